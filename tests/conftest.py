"""What the tests stand on: a real Kafka and a real PostgreSQL, started once a run by the code that `pathline up` uses."""

import asyncio
import itertools
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from pathline.embedded import home as homes
from pathline.embedded.kafka import EmbeddedKafka
from pathline.embedded.part import Part
from pathline.embedded.postgres import EmbeddedPostgres
from pathline.embedded.processes import Child
from pathline.kit import kafka
from pathline.kit.database import create_pool
from pathline.kit.topics import ensure_topics
from pathline.storage import migrate
from tests.support.workers import Shares

TEMPLATE = "pathline_template"
SAID = pytest.StashKey[dict[str, str]]()
"""What tests have to say at the end of a run besides their outcome, by its heading; the rows of one by `heading/row`."""

_numbers = itertools.count(1)

# An example that takes long is no fault: every processor may be busy with other tests.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@dataclass
class Stack:
    """The running Kafka and PostgreSQL; each part can be stopped and started again by a test of faults."""

    home: Path
    kafka: EmbeddedKafka
    postgres: EmbeddedPostgres
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """The address of Kafka."""
        return self.kafka.address

    def dsn(self, database: str = "postgres") -> str:
        """The URL of a database."""
        return self.postgres.dsn(database)

    async def start(self, name: str) -> None:
        """Start `kafka` or `postgres` and wait until it answers."""
        part: Part = self.kafka if name == "kafka" else self.postgres
        child = self.children.setdefault(name, Child(name, self.home))
        await part.prepare()
        child.start(part.launch())
        async with asyncio.timeout(part.start_seconds):
            while reason := await part.unready():
                assert child.running, f"{name} ended: {reason}\n{child.last_words()}"
                await asyncio.sleep(0.05)

    async def stop(self, name: str) -> None:
        """End `kafka` or `postgres` in order."""
        part: Part = self.kafka if name == "kafka" else self.postgres
        await self.children[name].end(part.stop_seconds)

    async def kill(self, name: str) -> None:
        """End it as a power cut would."""
        self.children[name].kill()
        while self.children[name].running:
            await asyncio.sleep(0.01)


async def _start_stack(home: Path) -> Stack:
    homes.prepare(home)
    embedded = EmbeddedKafka(home, port=0, cache=homes.cache_directory(), progress=lambda *_: None)
    stack = Stack(home, embedded, EmbeddedPostgres(home))
    await asyncio.gather(stack.start("kafka"), stack.start("postgres"))
    return stack


async def _stop_stack(stack: Stack) -> None:
    await asyncio.gather(*(stack.stop(name) for name in stack.children))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and PostgreSQL, once a run, on free ports, at a home of their own, which has a space in its name.

    What a run leaves that was killed pytest removes in one of the next.
    """
    home = tmp_path_factory.mktemp("pathline test ")
    running = asyncio.run(_start_stack(home))
    yield running
    asyncio.run(_stop_stack(running))
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def template(stack: Stack) -> str:
    """The name of a migrated database from which each module's own is copied."""

    async def make() -> None:
        await _execute(stack, f'CREATE DATABASE "{TEMPLATE}"')
        await migrate.upgrade(stack.dsn(TEMPLATE))

    asyncio.run(make())
    return TEMPLATE


@pytest.fixture(scope="module")
def database(stack: Stack, template: str) -> Iterator[str]:
    """The URL of a fresh migrated database for this module."""
    name = f"pathline_{next(_numbers)}"
    asyncio.run(_execute(stack, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield stack.dsn(name)
    asyncio.run(_execute(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections to this module's database."""
    opened = await create_pool(database, min_size=1, max_size=8, application_name="test")
    yield opened
    await opened.close()


@pytest.fixture
def topic_prefix() -> str:
    """A first word of topics and groups that no other test uses (setting PATHLINE_TOPIC_PREFIX)."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def topics(stack: Stack, topic_prefix: str) -> kafka.Topics:
    """This test's own topics, made, with two partitions each."""
    await ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=2, replicas=1)
    return kafka.topics(topic_prefix)


async def _execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """Several workers (`pytest -n`) share the tests by what these have in common."""
    config.option.loadscopereorder = False
    return Shares(config, log)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run the quick tests first: what is wrong in the core should be said at once.

    The long ones come next, so that at the end of a run by several workers there are short ones to fill up with.
    """
    order = ("unit", "contract", "conformance", "e2e", "chaos", "browser", "integration", "migration", "bench")

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return order.index(folder) if folder in order else len(order)

    assert isinstance(items, list)
    items.sort(key=place)


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what will be said."""
    config.stash[SAID] = {}


def say(config: pytest.Config, heading: str, text: str) -> None:
    """Print this at the end of the run; a worker hands it to the one who prints."""
    config.stash[SAID][heading] = text
    if hasattr(config, "workeroutput"):
        config.workeroutput["said"] = config.stash[SAID]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker has said."""
    node.config.stash[SAID] |= getattr(node, "workeroutput", {}).get("said", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it."""
    sections: dict[str, list[str]] = {}
    said = config.stash[SAID]
    for heading, text in sorted(said.items()):
        sections.setdefault(heading.partition("/")[0], []).append(text)
    for heading, texts in sections.items():
        terminalreporter.section(heading)
        terminalreporter.write("".join(texts))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: a check that did not run has not passed."""
    import os

    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    if os.environ.get("CI") == "true" and skipped:
        sys.stderr.write(f"\n{len(skipped)} skipped in CI, which counts as failed\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
