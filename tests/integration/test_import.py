"""`pathline import` against a real collector, stitcher and scorer: journeys are built, nobody is alerted."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from pathline.cli import make_app
from pathline.demo.history import history
from pathline.kit.topics import ensure_topics
from pathline.storage import keys
from tests.conftest import Stack
from tests.support.programs import Program
from tests.support.records import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

Import = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def services(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    """The collector, the stitcher and the scorer, not yet started."""
    home = tmp_path_factory.mktemp("home")
    env = {
        "PATHLINE_HOME": str(home), "PATHLINE_KAFKA": stack.bootstrap, "PATHLINE_DATABASE_URL": database,
        "PATHLINE_TOPIC_PREFIX": "importing",
    }  # fmt: skip
    return {name: Program(name, env, home) for name in ("ingest", "stitcher", "scorer")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(stack: Stack, database: str, services: dict[str, Program]) -> AsyncIterator[dict[str, Program]]:
    """The same, running, with the keys `demo` and `demo-web`."""
    await ensure_topics(stack.bootstrap, prefix="importing", partitions=2, replicas=1)
    connection = await asyncpg.connect(database)
    await keys.create(connection, name="demo", key="demo", kind="server", loopback_only=True)
    await keys.create(connection, name="demo-web", key="demo-web", kind="browser", loopback_only=True)
    await connection.close()
    async with AsyncExitStack() as opened:
        async with asyncio.TaskGroup() as starting:
            for program in services.values():
                opened.push_async_exit(program)
                starting.create_task(program.start())
        yield services


@pytest.fixture
def import_files(running: dict[str, Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """The command, as it is typed."""
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "home"))
    base = f"http://{running['ingest'].address}"

    async def run(*arguments: str, typed: bytes | None = None) -> Any:
        words = ["import", "--collector", base, "--patience", "20", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, make_app(("importing",)), words, input=typed)

    return run


async def metric(program: Program, name: str) -> float:
    """The sum of a metric over its labels."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://{program.address}/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


async def count(database: str, statement: str) -> int:
    connection = await asyncpg.connect(database)
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()


async def test_a_month_becomes_journeys_and_alerts_nobody(
    import_files: Import, running: dict[str, Program], database: str, tmp_path: Path
) -> None:
    begun = datetime.now(UTC)
    lines = list(history(3, customers=60, start=begun - timedelta(days=30), days=30))
    file = tmp_path / "month.ndjson.gz"
    file.write_bytes(gzip.compress(b"".join(lines)))
    done = await import_files(str(file))
    assert done.exit_code == 0, done.output
    assert f"{len(lines):,} stored, 0 refused" in done.output

    async def judged() -> bool:
        stored = await count(database, "SELECT count(*) FROM touchpoint")
        hints, lag = [
            await metric(running["scorer"], name) for name in ("pathline_scorer_hints_total", "pathline_consumer_lag")
        ]
        return stored == len(lines) and hints > 0 and lag == 0

    await until(judged, 60)
    first = min(json.loads(line)["timestamp"] for line in lines)
    kept = await count(
        database, "SELECT count(*) FROM touchpoint WHERE historical AND occurred_at < now() - interval '7 d'"
    )
    assert kept > len(lines) // 2, "the times of history are its own, however old"
    assert await count(database, f"SELECT count(*) FROM touchpoint WHERE occurred_at = '{first}'") == 1
    past = f"SELECT count(*) FROM alert WHERE opened_at < '{begun.isoformat()}' AND state"
    assert await count(database, f"{past} = 'expired'") > 0, "what hurt then is kept for the record"
    assert await count(database, f"{past} <> 'expired'") == 0, "and nobody is alerted of it"
    again = await import_files(str(file))
    assert again.exit_code == 0 and f"0 stored, 0 refused, {len(lines):,} lines were sent before" in again.output
    # Sent once more from the beginning, each is still counted once.
    assert (await import_files("--restart", str(file))).exit_code == 0

    async def doubled() -> bool:
        return await metric(running["stitcher"], "pathline_stitcher_touchpoints_total") >= 2 * len(lines)

    await until(doubled, 60)
    assert await count(database, "SELECT count(*) FROM touchpoint") == len(lines)


async def test_what_is_refused_is_told_line_by_line(import_files: Import, tmp_path: Path) -> None:
    typed = (
        b'{"type":"track","event":"Cart Viewed","userId":"i-1"}\n'
        b"nonsense\n"
        b'{"type":"track","event":"Order Completed","userId":"i-1","properties":{}}\n'
        b'{"type":"track","event":"Big","userId":"i-1","properties":{"text":"%b"}}\n' % (b"x" * 100_000)
    )
    rejects = tmp_path / "rejects"
    done = await import_files("--rejects", str(rejects), "-", typed=typed)
    assert done.exit_code == 1 and "1 stored, 3 refused" in done.output
    told = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(one["line"], one["code"]) for one in told] == [
        (2, "not_json"), (3, "missing_property"), (4, "call_too_large"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "code"), [("nobody", "unknown_key"), ("demo-web", "needs_server_key")], ids=["unknown", "browser"]
)
async def test_a_key_that_may_not_is_told(key: str, code: str, import_files: Import, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"type":"track","event":"Cart Viewed","userId":"i-1"}\n')
    done = await import_files("--key", key, str(file))
    assert done.exit_code == 2 and code in done.output
    missing = await import_files(str(tmp_path / "missing"))
    assert missing.exit_code == 2 and "No such file" in missing.output


async def test_a_collector_that_restarts_is_waited_for(
    import_files: Import, running: dict[str, Program], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("".join(f'{{"type":"track","event":"Cart Viewed","userId":"w-{n}"}}\n' for n in range(5)))
    running["ingest"].kill()
    importing = asyncio.create_task(import_files(str(file)))
    await running["ingest"].start()
    done = await importing
    assert done.exit_code == 0 and "5 stored, 0 refused" in done.output


async def test_killed_in_the_middle_it_goes_on_and_loses_and_doubles_nothing(
    import_files: Import, running: dict[str, Program], database: str, tmp_path: Path
) -> None:
    total, home = 8_000, tmp_path / "home"
    file = tmp_path / "file"
    # Every other call leaves its id to the importer, which must give it the same one again.
    named = ("", '"messageId":"killed-%d",')
    call = '{%s"type":"track","event":"Killed","userId":"k-%d"}\n'
    file.write_text("".join(call % (named[n % 2] and named[1] % n, n % 300) for n in range(total)))
    words = ["import", "--collector", f"http://{running['ingest'].address}", str(file)]
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", *words, env={**os.environ, "PATHLINE_HOME": str(home)}
    )
    while not list(home.glob("imports/*.json")):
        assert first.returncode is None
        await asyncio.sleep(0.001)
    # Its batches under way are now in a collector that stands still, so that it cannot come to its end.
    running["ingest"].freeze()
    first.kill()
    await first.wait()
    running["ingest"].thaw()
    done = await import_files(str(file))
    assert done.exit_code == 0, done.output
    before = int(re.findall(r"refused, ([\d,]+) lines were sent before", done.output)[0].replace(",", ""))
    assert 0 < before < total

    async def all_there() -> bool:
        stored = await count(database, "SELECT count(*) FROM touchpoint WHERE event = 'Killed'")
        return stored >= total and await metric(running["stitcher"], "pathline_consumer_lag") == 0

    await until(all_there, 60)
    assert await count(database, "SELECT count(*) FROM touchpoint WHERE event = 'Killed'") == total


async def test_without_a_collector_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_COLLECTOR", "127.0.0.1:0")
    done = await asyncio.to_thread(CliRunner().invoke, make_app(("importing",)), ["import", "-"])
    assert done.exit_code == 2 and "no collector runs on this home" in done.output
