"""One run of all SDKs against one collector, with the stitcher and the console behind it, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from pathline.contracts import accepted
from pathline.contracts.accepted import Accepted
from pathline.kit import kafka
from pathline.kit.kafka import make_consumer
from pathline.kit.topics import ensure_topics
from pathline.storage import keys
from tests.conformance.proxy import Fault, Proxy
from tests.conformance.sdks import HERE, TEXT, Sdk
from tests.conftest import Stack
from tests.support.programs import Program
from tests.support.records import until

ROOT: Final = HERE.parents[1]
SECONDS: Final = 60.0
"""How long an SDK may take; the slowest backs off for some seconds."""

FAULTS: Final = (Fault.BUSY, Fault.LIMITED, Fault.DROPPED)
_MARK: Final = re.compile(r"(.*) #(\d+);", re.DOTALL)


@dataclass
class Outcome:
    """What came of one SDK."""

    sdk: Sdk
    proxy: Proxy
    problem: str | None = None
    """Why it did not send all, in its own words."""
    records: list[Accepted] = field(default_factory=list)
    """What is in the log of it."""
    counted: int = 0
    """`touchpoint_count` of the one customer whose calls it sent."""

    def numbers(self) -> dict[str, int]:
        """The number of the call by the id of its message."""
        return {one.message_id: marked(one)[0] for one in self.records}


@dataclass
class Rig:
    """What runs."""

    stack: Stack
    dsn: str
    prefix: str
    folder: Path
    sdks: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def program(self, name: str) -> Program:
        """One of our services."""
        env = {
            "PATHLINE_HOME": str(self.folder),
            "PATHLINE_KAFKA": self.stack.bootstrap,
            "PATHLINE_DATABASE_URL": self.dsn,
            "PATHLINE_TOPIC_PREFIX": self.prefix,
            "PATHLINE_API_TOKEN": self.token,
        }
        return Program(name, env, self.folder)


def installed() -> Path:
    """The folder of the SDKs, set up by the script that `make test` runs before."""
    script = ROOT / "scripts" / "conformance.py"
    said = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return Path(said.stdout.strip())


async def run_all(rig: Rig, sdks: Sequence[Sdk]) -> dict[str, Outcome]:
    """Let all of them send at once; what came of each."""
    await ensure_topics(rig.stack.bootstrap, prefix=rig.prefix, partitions=2, replicas=1)
    await _make_keys(rig, sdks)
    async with AsyncExitStack() as running:
        programs = [rig.program(name) for name in ("ingest", "stitcher", "console")]
        await asyncio.gather(*(running.enter_async_context(one) for one in programs))
        collector, _, console = programs
        proxies = [
            await running.enter_async_context(Proxy(collector.address, list(FAULTS) if sdk.retries else []))
            for sdk in sdks
        ]
        outcomes = [Outcome(sdk, proxy) for sdk, proxy in zip(sdks, proxies, strict=True)]
        await asyncio.gather(*(_run(rig, one) for one in outcomes))
        records = await read_log(rig)
        for one in outcomes:
            one.records = [record for record in records if record.source == one.sdk.name]
        await _stitched(rig, records)
        for one in outcomes:
            one.counted = await _counted(rig, console.address, one.sdk.user)
    return {one.sdk.name: one for one in outcomes}


async def _make_keys(rig: Rig, sdks: Sequence[Sdk]) -> None:
    connection = await asyncpg.connect(rig.dsn)
    try:
        for sdk in sdks:
            kind: keys.Kind = "browser" if sdk.runs == "browser" else "server"
            await keys.create(connection, name=sdk.name, key=sdk.name, kind=kind)
    finally:
        await connection.close()


async def _run(rig: Rig, outcome: Outcome) -> None:
    """One SDK of a server to its end."""
    sdk = outcome.sdk
    calls = rig.folder / f"{sdk.name}.json"
    calls.write_text(json.dumps(sdk.calls()), encoding="utf-8")
    program = rig.sdks / ("python/bin/python" if sdk.runs == "python" else "node")
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        str(program), str(HERE / "senders" / sdk.sender), outcome.proxy.url, sdk.name, str(calls), *sdk.mode.split(),
        cwd=rig.folder,
        env={**env, "NODE_PATH": str(rig.sdks / "npm" / "node_modules"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        said = await process.stdout.read() if process.stdout else b""
        outcome.problem = f"it did not end in {SECONDS:.0f} s\n{said.decode()[-3_000:]}"
    else:
        if process.returncode:
            outcome.problem = said.decode()[-3_000:]


async def read_log(rig: Rig) -> list[Accepted]:
    """All of the touchpoints topic, as it is now."""
    topic = kafka.topics(rig.prefix).touchpoints
    consumer: AIOKafkaConsumer = make_consumer(rig.stack.bootstrap, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Accepted] = []
        while sum(ends.values()) > len(found):
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                found += [accepted.decode(one.value) for one in batch]
        return found
    finally:
        await consumer.stop()


async def _stitched(rig: Rig, records: Sequence[Accepted]) -> None:
    """Wait until every message is in the journeys once."""
    wanted = len({(one.source, one.message_id) for one in records})
    connection = await asyncpg.connect(rig.dsn)
    try:
        await until(lambda: _rows(connection, wanted))
    finally:
        await connection.close()


async def _rows(connection: asyncpg.Connection[Any], wanted: int) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM touchpoint") >= wanted)


async def _counted(rig: Rig, console: str, user: str) -> int:
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {rig.token}"}) as client:
        url = f"http://{console}/api/v1/customers/lookup"
        answer = await client.get(url, params={"kind": "user_id", "value": user})
        return int(answer.json()["touchpoint_count"]) if answer.is_success else 0


@asynccontextmanager
async def fresh_database(stack: Stack, template: str, name: str) -> AsyncIterator[str]:
    """A migrated database of that name, for as long as it is wanted."""
    connection = await asyncpg.connect(stack.dsn())
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield stack.dsn(name)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def marked(record: Accepted) -> tuple[int, str]:
    """The number of the call in a record and the text before it, wherever the SDK has put them."""
    call = record.call
    for text in _texts([call.previous_id, _plain(call.properties), _plain(call.traits), call.context, call.name]):
        found = _MARK.fullmatch(text)
        if found and (found[1] == TEXT or call.type == "alias"):
            return int(found[2]), found[1]
    message = f"{record.source}: a {call.type} without the text that was sent: {call}"
    raise AssertionError(message)


def _plain(raw: bytes) -> Any:
    return json.loads(bytes(raw))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]
