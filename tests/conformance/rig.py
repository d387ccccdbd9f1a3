"""One run of all SDKs against one collector, with the stitcher and the console behind it, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
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
from pathline.storage import entities, keys, people, sources
from tests.conformance.outcome import Outcome
from tests.conformance.pages import visit_all
from tests.conformance.proxy import Fault, Proxy
from tests.conformance.sdks import HERE, Sdk
from tests.conftest import Stack
from tests.support.programs import Program
from tests.support.records import until

ROOT: Final = HERE.parents[1]
SECONDS: Final = 120.0
"""How long an SDK may take on a machine with much else to do; alone the slowest takes ten, most of it backing off."""

FAULTS: Final = (Fault.BUSY, Fault.LIMITED, Fault.DROPPED)


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
            # With every core busy with other tests an ack may take long; here only our proxy is to answer 503.
            "PATHLINE_ACK_SECONDS": "30",
        }
        return Program(name, env, self.folder)


def modules(rig: Rig) -> Path:
    """What is from npm."""
    return rig.sdks / "npm" / "node_modules"


def calls_file(rig: Rig, sdk: Sdk) -> Path:
    """The calls that it is to send."""
    return rig.folder / f"{sdk.name}.json"


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
        for program in programs:
            program.spawn()
            running.push_async_exit(program)
        await asyncio.gather(*(program.ready() for program in programs))
        collector, _, console = programs
        proxies = [
            await running.enter_async_context(Proxy(collector.address, [] if sdk.failing else list(FAULTS)))
            for sdk in sdks
        ]
        outcomes = [Outcome(sdk, proxy) for sdk, proxy in zip(sdks, proxies, strict=True)]
        for one in outcomes:
            calls_file(rig, one.sdk).write_text(json.dumps(one.sdk.calls()), encoding="utf-8")
        async with asyncio.TaskGroup() as tasks:
            pages = [one for one in outcomes if one.sdk.package.runs == "browser"]
            tasks.create_task(visit_all(pages, modules(rig), rig.folder, SECONDS))
            for one in outcomes:
                if one.sdk.package.runs != "browser":
                    tasks.create_task(_run(rig, one))
        records = await read_log(rig)
        for one in outcomes:
            one.records = [record for record in records if record.source == one.sdk.source]
        await _stitched(rig, len(records))
        for one in outcomes:
            one.counted = await _counted(rig, console.address, one.sdk)
    return {one.sdk.name: one for one in outcomes}


async def _make_keys(rig: Rig, sdks: Sequence[Sdk]) -> None:
    connection = await asyncpg.connect(rig.dsn)
    try:
        for sdk in sdks:
            if sdk.package.provider:
                provider, secret = sdk.package.provider, sdk.secret
                await sources.create(connection, name=sdk.name, provider=provider, secret=secret)
                continue
            kind: keys.Kind = "browser" if sdk.package.runs == "browser" else "server"
            await keys.create(connection, name=sdk.name, key=sdk.name, kind=kind)
    finally:
        await connection.close()


async def _run(rig: Rig, outcome: Outcome) -> None:
    """One SDK of a server to its end."""
    sdk = outcome.sdk
    program = rig.sdks / ("python/bin/python" if sdk.package.runs == "python" else "node")
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = (
        program,
        HERE / "senders" / sdk.package.sender,
        f"{outcome.proxy.url}{sdk.path}",
        sdk.secret,
        calls_file(rig, sdk),
    )
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        sdk.mode or sdk.package.provider,
        cwd=rig.folder,
        env={**env, "NODE_PATH": str(modules(rig)), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
        if process.returncode:
            outcome.problem = said.decode()[-3_000:]
    except TimeoutError:
        outcome.problem = f"it did not end in {SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


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


async def _stitched(rig: Rig, count: int) -> None:
    """Wait until the stitcher is through with so many records: what it would count twice it has counted by then."""
    connection = await asyncpg.connect(rig.dsn)
    try:
        await until(lambda: _is_through(connection, kafka.topics(rig.prefix).touchpoints, count))
    finally:
        await connection.close()


async def _is_through(connection: asyncpg.Connection[Any], topic: str, count: int) -> bool:
    return bool(await connection.fetchval("SELECT sum(next_offset) FROM fence WHERE topic = $1", topic) == count)


async def _counted(rig: Rig, console: str, sdk: Sdk) -> int:
    """How many the stitcher has counted for whom, or for what, it sent them of."""
    if sdk.met_as == "parcel":
        return await _counted_of_parcel(rig, sdk.user)
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {rig.token}"}) as client:
        url = f"http://{console}/api/v1/customers/lookup"
        answer = await client.get(url, params={"kind": sdk.met_as, "value": sdk.user})
        return int(answer.json()["touchpoint_count"]) if answer.is_success else 0


async def _counted_of_parcel(rig: Rig, number: str) -> int:
    """Of a parcel of which no customer is known, and so none can be asked for."""
    connection = await asyncpg.connect(rig.dsn)
    try:
        found = await entities.load(connection, await people.lookup_ids(connection, "parcel", number))
        return sum(one.state.count for one in found.values())
    finally:
        await connection.close()


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
