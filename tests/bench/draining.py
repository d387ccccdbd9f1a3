"""How fast a process handles what waits for it in Kafka, timed by how its rows of the fence move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import asyncpg
import msgspec

from pathline.embedded.processes import Child
from pathline.storage import fences
from tests.bench.platform import Platform, cpu_seconds

SAMPLE_SECONDS: Final = 0.02
WARM_PART: Final = 0.2
"""Part of the work after which the clock starts: joining the group and the first plans are no steady work."""

LONGEST_SECONDS: Final = 120.0


class Turn(msgspec.Struct):
    """What a program did in its turn, a piece of work."""

    rate: float
    process: float
    """Microseconds of its process."""
    postgres: float
    """Microseconds of PostgreSQL."""


def turn(count: int, seconds: float, process: float, postgres: float) -> Turn:
    """What that makes for each of so many pieces of work."""
    return Turn(count / seconds, process * 1e6 / count, postgres * 1e6 / count)


async def timed(
    platform: Platform,
    db: asyncpg.Connection,
    child: Child,
    topic: str,
    count: int,
    done: Callable[[Mapping[int, int]], int],
) -> Turn:
    """Wait until a process has handled so much, and end it.

    Args:
        platform: where it runs.
        db: a connection.
        child: the process, started.
        topic: what it reads.
        count: how much waits for it.
        done: how much of that is done when each partition stands at its offset.
    """
    pids = [platform.pid(child.name), platform.pid("postgres")]
    started: tuple[int, float, list[float]] | None = None
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            positions = await fences.positions(db, topic)
            handled = done({partition: offset for partition, (_epoch, offset) in positions.items()})
            now, spent = time.perf_counter(), [cpu_seconds(pid) for pid in pids]
            if started is None and handled >= WARM_PART * count:
                started = handled, now, spent
            if handled == count:
                break
            if not child.running:
                raise RuntimeError(child.last_words())
            await asyncio.sleep(SAMPLE_SECONDS)
    await platform.end(child)
    assert started is not None
    process, postgres = (after - before for after, before in zip(spent, started[2], strict=True))
    return turn(count - started[0], now - started[1], process, postgres)
