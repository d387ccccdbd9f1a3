"""`migrate`, `topics` and `keys` on real servers: what they print, and the status with which they end."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.kit import kafka
from pathline.storage import migrate
from tests.conftest import Stack

pytestmark = pytest.mark.integration
Run = Callable[..., Result]


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
def fresh(stack: Stack) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    asyncio.run(execute(stack.dsn(), 'CREATE DATABASE "pathline_commands"'))
    yield stack.dsn("pathline_commands")
    asyncio.run(execute(stack.dsn(), 'DROP DATABASE "pathline_commands" WITH (FORCE)'))


@pytest.fixture
def run(stack: Stack, fresh: str, topic_prefix: str) -> Run:
    """One command, in this process."""
    program = cli.make_app()
    env = {
        "PATHLINE_KAFKA": stack.bootstrap,
        "PATHLINE_DATABASE_URL": fresh,
        "PATHLINE_TOPIC_PREFIX": topic_prefix,
    }
    return lambda *arguments: CliRunner().invoke(program, arguments, env=env)


def test_the_database_is_told_then_brought_up_to_date(run: Run) -> None:
    told = run("migrate", "--check")
    assert told.exit_code == 1
    assert told.stdout == f"the database is at version none; this Pathline wants {migrate.head()}\n"
    assert run("migrate").stdout == f"the database is at version {migrate.head()}\n"
    assert run("migrate", "--check").exit_code == 0


def test_the_topics_are_told_then_made(run: Run, topic_prefix: str) -> None:
    names = sorted(kafka.topics(topic_prefix))
    told = run("topics", "--check")
    assert told.exit_code == 1
    assert sorted(told.stdout.splitlines()) == [f"{name} does not exist" for name in names]
    assert sorted(run("topics").stdout.splitlines()) == [f"made {name}" for name in names]
    assert run("topics").stdout == "the topics are there\n"
    assert run("topics", "--check").exit_code == 0


def test_a_write_key_is_made_listed_and_revoked(run: Run) -> None:
    run("migrate")
    made = {
        kind: run("keys", "create", f"till-{kind}", "--kind", kind).stdout.strip() for kind in ("server", "browser")
    }
    assert made["server"].startswith("pls_") and made["browser"].startswith("plb_")
    again = run("keys", "create", "till-server", "--kind", "server")
    assert again.exit_code == 1 and "[name_taken]" in again.stderr
    listed = {line.split()[0]: line for line in run("keys", "list").stdout.splitlines()}
    assert made["server"] not in listed["till-server"] and made["server"][:8] in listed["till-server"]
    assert made["browser"] in listed["till-browser"]
    assert run("keys", "revoke", "till-server").exit_code == 0
    gone = run("keys", "revoke", "till-server")
    assert gone.exit_code == 1 and "[not_found]" in gone.stderr


def test_what_a_key_may_send_is_set_and_changed(run: Run) -> None:
    run("migrate")
    given = (
        "--origin",
        "https://shop.example",
        "--origin",
        "https://*.shop.example",
        "--rate",
        "50",
        "--gpc",
        "refuse",
    )
    assert run("keys", "create", "web", "--kind", "browser", *given).exit_code == 0
    listed = run("keys", "list").stdout
    for said in ("origins https://shop.example https://*.shop.example", "calls_per_second 50", "privacy_signal refuse"):
        assert said in listed
    changed = run("keys", "set", "web", "--rate", "0", "--origin", "", "--ip", "none")
    assert changed.stdout == "web: addresses none, privacy_signal refuse\n"
    gone = run("keys", "set", "nobody", "--rate", "1")
    assert gone.exit_code == 1 and "[not_found]" in gone.stderr


def test_an_origin_is_listed_as_browsers_write_it(run: Run) -> None:
    run("migrate")
    given = ("https://shop.example:443", "https://shop.example", "http://*.shop.example:80", "http://shop.example:443")
    options = [part for origin in given for part in ("--origin", origin)]
    assert run("keys", "create", "web", "--kind", "browser", *options).exit_code == 0
    listed = "origins https://shop.example http://*.shop.example http://shop.example:443"
    assert run("keys", "set", "web").stdout == f"web: {listed}\n"


def test_a_policy_of_a_newer_version_is_listed_and_not_changed(run: Run, fresh: str) -> None:
    run("migrate")
    run("keys", "create", "web", "--kind", "browser")
    asyncio.run(execute(fresh, """UPDATE write_key SET policy = '{"countries":["DE"]}'"""))
    assert "set by a newer version" in run("keys", "list").stdout
    refused = run("keys", "set", "web", "--rate", "1")
    assert refused.exit_code == 1 and "[newer_policy]" in refused.stderr
    assert run("keys", "revoke", "web").exit_code == 0


def test_a_key_s_secret_is_rotated(run: Run) -> None:
    run("migrate")
    old = run("keys", "create", "till", "--kind", "server").stdout.strip()
    new = run("keys", "rotate", "till", "--for", "1").stdout.strip()
    assert new.startswith("pls_") and new != old
    listed = run("keys", "list").stdout
    assert new[:8] in listed and new not in listed and f"{datetime.now(UTC):%Y-%m}" in listed.split(new[:8])[1]
    # The first secret was promised for an hour: another rotation would end it.
    again = run("keys", "rotate", "till")
    assert again.exit_code == 1 and "[rotation_under_way]" in again.stderr
    assert run("keys", "rotate", "till", "--at-once").stdout.startswith("pls_")
    gone = run("keys", "rotate", "nobody")
    assert gone.exit_code == 1 and "[not_found]" in gone.stderr


@pytest.mark.parametrize(
    "given",
    [("--origin", "shop.example"), ("--origin", "https://shop.example/"), ("--origin", "https://*"), ("--origin", "https://shop.example:0443"),
     ("--origin", "https://shop.example:65536"), ("--rate", "-1"),
     ("--burst", "5"), ("--ip", "some"), ("--gpc", "obey"), ("--event", "x" * 201), ("--batch-calls", "999999")],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(run: Run, given: tuple[str, ...]) -> None:
    assert run("keys", "create", "web", "--kind", "browser", *given).exit_code == 2


@pytest.mark.parametrize("arguments", [("Till 7", "--kind", "server"), ("till", "--kind", "phone"), ("till",)])
def test_a_key_that_cannot_be_is_refused_with_what_may_be(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("keys", "create", *arguments).exit_code == 2
