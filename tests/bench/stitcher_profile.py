"""Where a stitcher's time goes: its share by module, from the bytes of a record to the commit, in this process.

    python -m tests.bench.stitcher_profile

The profiler charges calls of Python too much and native code too little, so the shares show where to look and not what is
won. What it costs without the profiler stands below, a touchpoint, with what PostgreSQL's process used for it.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

import asyncpg
import uvloop

from pathline.kit import memory
from pathline.storage import partitions
from tests.bench.collector_profile import named
from tests.bench.platform import running
from tests.bench.stitcher import BATCH, CUSTOMERS
from tests.bench.stitching import Stitching
from tests.bench.traffic import records

BATCHES: Final = 40
SHOWN: Final = 18


async def shares(dsn: str, batches: int, size: int = BATCH) -> tuple[list[tuple[str, float]], float]:
    """The modules that take most of the time and their share of it, and microseconds a touchpoint without a profile."""
    db = await asyncpg.connect(dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        stitching = await Stitching.make(db)
        seed, part = int(datetime.now(UTC).timestamp()), batches * size
        values = records(3 * part, customers=CUSTOMERS, seed=seed)
        await _all(stitching, values[:part], size)
        costs = await _all(stitching, values[part : 2 * part], size)
        profile = cProfile.Profile()
        profile.enable()
        await _all(stitching, values[2 * part :], size)
        profile.disable()
    finally:
        await db.close()
    spent: Counter[str] = Counter()
    for (file, _line, name), (_calls, _own_calls, own, *_rest) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[named(file, name)] += own
    whole = sum(spent.values())
    return [(name, own / whole) for name, own in spent.most_common(SHOWN)], median(costs)


async def _all(stitching: Stitching, values: Sequence[bytes], size: int) -> list[float]:
    return [(await stitching.batch(values[i : i + size])).busy for i in range(0, len(values), size)]


async def _measure() -> None:
    async with running() as platform:
        told, busy = await shares(platform.dsn, BATCHES)
    for name, share in told:
        sys.stdout.write(f"{share:6.1%}  {name}\n")
    sys.stdout.write(f"a touchpoint, with PostgreSQL's part: {busy:.1f} us\n")


def main() -> None:
    """Print both."""
    memory.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure())


if __name__ == "__main__":
    main()
