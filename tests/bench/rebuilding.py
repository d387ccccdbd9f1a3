"""A rebuild of journeys by a stage file in which every touchpoint is in another stage than before: the dearest there is.

The touchpoints are stitched by the real transaction; then `pathline journeys rebuild` runs as a process, from its start
to its end.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import msgspec

from pathline.config import STAGES_FILE
from pathline.kit import kafka
from pathline.kit.settings import Settings
from pathline.storage import migrate, partitions
from tests.bench.figures import Figure, at_least
from tests.bench.platform import ROOT, Platform
from tests.bench.stitching import Stitching
from tests.bench.traffic import records

DATABASE: Final = "rebuilding"
TOUCHPOINTS: Final = 1_000_000
QUICK: Final = 50_000
A_CUSTOMER: Final = 50
"""Touchpoints of one customer."""

BATCH: Final = 2_000
GOAL: Final = 1_000_000 / 180
"""Touchpoints a second: a million in three minutes."""


async def run(platform: Platform, *, touchpoints: int = TOUCHPOINTS) -> list[Figure]:
    """Fill a database of its own, and rebuild it twice: to another stage file, and back."""
    db = await asyncpg.connect(platform.dsn)
    try:
        await db.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await db.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await db.close()
    dsn = platform.postgres.dsn(DATABASE)
    await migrate.upgrade(dsn)
    await _fill(dsn, touchpoints)
    renamed = platform.home / "renamed.yaml"
    renamed.write_text(STAGES_FILE.read_text(encoding="utf-8").replace("- name: ", "- name: new "), encoding="utf-8")
    there = await _rebuild(dsn, renamed, touchpoints)
    back = await _rebuild(dsn, STAGES_FILE, touchpoints)
    rates = {
        f"a rebuild of {touchpoints:,} touchpoints, all of them in another stage": touchpoints / there.elapsed,
        "the same once more, back to the stages that were": touchpoints / back.elapsed,
    }
    figures = [
        Figure(
            name=name, value=rate, unit="touchpoints/s",
            **at_least(rate, round(GOAL), "touchpoints/s: a million in three minutes"),
        )
        for name, rate in rates.items()
    ]  # fmt: skip
    busy = (there.processor + back.processor) / 2 / touchpoints * 1e6
    return [*figures, Figure(name="a rebuild: processor time of the command", value=busy, unit="µs a touchpoint")]


async def _fill(dsn: str, touchpoints: int) -> None:
    db = await asyncpg.connect(dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        stitching = await Stitching.make(db)
        customers = max(1, touchpoints // A_CUSTOMER)
        for seed, start in enumerate(range(0, touchpoints, BATCH)):
            await stitching.batch(records(min(BATCH, touchpoints - start), customers=customers, seed=seed))
        # Under the name that the command knows it by: else it would look for what came meanwhile from the beginning.
        await db.execute("UPDATE fence SET topic = $1", kafka.topics(Settings.load().topic_prefix).touchpoints)
        await db.execute("VACUUM ANALYZE")
    finally:
        await db.close()


class Cost(NamedTuple):
    """Seconds that a rebuild took, by the clock and of a processor."""

    elapsed: float
    processor: float


async def _rebuild(dsn: str, stages: Path, touchpoints: int) -> Cost:
    busy, started = _children(), time.perf_counter()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", "journeys", "rebuild", "--json",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATHLINE_DATABASE_URL": dsn, "PATHLINE_STAGES": str(stages), "PATHLINE_HOME": str(Settings.load().home)},
    )  # fmt: skip
    said, complaint = await command.communicate()
    elapsed = time.perf_counter() - started
    if command.returncode:
        raise RuntimeError(complaint.decode(errors="replace"))
    job = msgspec.json.decode(said)
    if (job["touchpoints"], job["placed"]) != (touchpoints, touchpoints):
        message = f"of {touchpoints} touchpoints {job['touchpoints']} were read and {job['placed']} moved"
        raise RuntimeError(message)
    return Cost(elapsed, _children() - busy)


def _children() -> float:
    """Processor time of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
