"""Where a scorer's time goes: its share by module, from the bytes of its records to the commit, in this process.

    python -m tests.bench.scorer_profile

As `stitcher_profile` does it: the shares show where to look and not what is won. Without the profiler stands what a hint
waits for each statement, and what it costs of this process and of PostgreSQL's for it: first when nothing alerts, then when
one in a hundred does.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import psutil
import uvloop

from pathline.contracts import hint
from pathline.contracts.detector_folder import Folder
from pathline.kit import memory
from pathline.kit.database import create_pool
from pathline.kit.origin import Origin
from pathline.storage import fences, partitions
from pathline.storage.fences import Advance
from services.scorer.batch import batches
from services.scorer.judgement import Judge
from services.stitcher.hints import HINTS_A_RECORD
from tests.bench.collector_profile import named
from tests.bench.platform import running
from tests.bench.stitching import TOPIC, Stitching
from tests.bench.traffic import PAINFUL, calls, records_of

BATCH: Final = 1_000
BATCHES: Final = 40
CUSTOMERS: Final = 10_000
SHOWN: Final = 24
HINTS: Final = "bench-hints"
NEIGHBOURS: Final = 1_000
BLIND: Final = timedelta(minutes=5)
PARTITIONS: Final = 4


class Costs(msgspec.Struct):
    """Microseconds a hint."""

    elapsed: float
    process: float
    postgres: float


class Scoring:
    """What the scorer does with a batch, in this process: from the bytes of its records to the commit."""

    def __init__(self, db: asyncpg.Connection, backend: int) -> None:
        """Use `make`."""
        self._db = db
        self._backend = psutil.Process(backend)
        self._judge = Judge(Folder(None, None, None).load().detectors, ZoneInfo("UTC"), TOPIC, BLIND, NEIGHBOURS)
        self._epoch = self._offset = 0

    @classmethod
    async def make(cls, db: asyncpg.Connection) -> Scoring:
        """Take the partition of this database, and go on where whoever had it before left off."""
        self = cls(db, await db.fetchval("SELECT pg_backend_pid()"))
        held = await fences.take(db, HINTS, 0, Origin("bench", None))
        self._epoch, self._offset = held.epoch, held.next_offset
        return self

    async def all(self, values: Sequence[bytes], through: Any = None) -> Costs:
        """Judge what these records say, in batches; `through` stands in the connection's place."""
        db = through or self._db
        records: list[Any] = [
            SimpleNamespace(partition=0, offset=self._offset + number, key=None, value=value, headers=())
            for number, value in enumerate(values)
        ]
        count = 0
        busy, served, started = time.process_time(), self._served(), time.perf_counter()
        own: Any = SimpleNamespace()
        for first in range(0, len(records), BATCH // HINTS_A_RECORD + 2):
            for batch in batches({0: (own, records[first : first + BATCH // HINTS_A_RECORD + 2])}, BATCH):
                handled = batch.shares[0][1]
                move = Advance(0, self._epoch, self._offset, self._offset + len(handled))
                async with db.transaction():
                    await self._judge.hints(db, HINTS, batch.hints, [move])
                self._offset += len(handled)
                count += len(batch.hints)
        elapsed, busy, served = time.perf_counter() - started, time.process_time() - busy, self._served() - served
        return Costs(*(one * 1e6 / count for one in (elapsed, busy, served)))

    def _served(self) -> float:
        times = self._backend.cpu_times()
        return float(times.user + times.system)


class Timed:
    """A connection that notes how long each statement takes."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.spent: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._db, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute", "executemany"}:
            return asked

        async def run(text: str, *args: Any) -> Any:
            began = time.perf_counter()
            found = await asked(text, *args)
            said = " ".join(text.split())
            self.spent[said] = self.spent.get(said, 0) + time.perf_counter() - began
            return found

        return run


async def shares(dsn: str, count: int, painful: int = 0) -> tuple[list[tuple[str, float]], Costs, list[str]]:
    """The modules that take most of the time and their share of it, what a hint costs, and what each statement does."""
    pool = await create_pool(dsn, application_name="bench")
    async with pool.acquire() as db:
        await partitions.ensure(db, datetime.now(UTC))
        stitching, scoring = await Stitching.make(db), await Scoring.make(db)
        seed = 10 * int(datetime.now(UTC).timestamp())  # far from those of the stitcher's profile
        await scoring.all(await _hints(stitching, count, seed, painful))
        values = await _hints(stitching, count, seed + 1, painful)
        costs = await scoring.all(values)
        values = await _hints(stitching, count, seed + 3, painful)
        timed = Timed(db)
        await scoring.all(values, timed)
        values = await _hints(stitching, count, seed + 2, painful)
        profile = cProfile.Profile()
        profile.enable()
        await scoring.all(values)
        profile.disable()
    await pool.close()
    spent: Counter[str] = Counter()
    for (file, _line, name), (_calls, _own_calls, own, *_rest) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[named(file, name)] += own
    whole = sum(spent.values())
    slowest = sorted(timed.spent.items(), key=lambda one: -one[1])[:SHOWN]
    lines = [f"{seconds * 1e6 / count:6.2f} us a hint in {text[:110]}" for text, seconds in slowest]
    return [(name, own / whole) for name, own in spent.most_common(SHOWN)], costs, lines


async def _hints(stitching: Stitching, count: int, seed: int, painful: int) -> list[bytes]:
    given = records_of(calls(count, customers=CUSTOMERS, seed=seed, painful=painful))
    values = []
    now = datetime.now(UTC)
    for first in range(0, count, BATCH):
        await stitching.batch(given[first : first + BATCH])
        for partition in range(PARTITIONS):
            share = [one for one in stitching.hints if one.subject.int % PARTITIONS == partition]
            if share:
                values.append(hint.encode(share[:HINTS_A_RECORD], now))
    return values


async def _measure() -> None:
    async with running() as platform:
        for painful in (0, PAINFUL):
            told, costs, statements = await shares(platform.dsn, BATCHES * BATCH, painful)
            for name, share in told:
                sys.stdout.write(f"{share:6.1%}  {name}\n")
            for line in statements:
                sys.stdout.write(f"{line}\n")
            sys.stdout.write(
                f"a hint: {costs.elapsed:.1f} us, {costs.process:.1f} of this process,"
                f" {costs.postgres:.1f} of PostgreSQL's for it\n"
            )


def main() -> None:
    """Print both."""
    memory.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure())


if __name__ == "__main__":
    main()
