"""The collector's memory over a million single calls on kept connections, and then over new connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle, islice
from statistics import median
from typing import Final

import orjson

from tests.bench import load, served
from tests.bench.figures import Figure, at_most
from tests.bench.platform import Platform
from tests.bench.served import Served
from tests.bench.traffic import calls

PREFIX: Final = "memory"
CALLS: Final = 1_000_000
SAMPLE_SECONDS: Final = 10.0
ROUND: Final = 20_000
"""Requests put together once, and sent again and again."""
WARM_SHARE: Final = 0.1
"""So much of the run comes before what is compared: code is loaded, and buffers find their size."""
CALLS_A_CONNECTION: Final = 50
"""After the kept connections come new ones, one for so many of the calls before."""
GROWTH_GOAL: Final = 1.02
MOST_MEBIBYTES: Final = 120


async def run(platform: Platform, *, count: int = CALLS) -> list[Figure]:
    """Send so many, and look at the memory all the while."""
    async with served.collector(platform, PREFIX, {}) as collector:
        listed = calls(min(ROUND, count), customers=10_000)
        requests = [load.request(call["type"], orjson.dumps(call), collector.key) for call in listed]
        await load.closed(collector.port, list(islice(cycle(requests), int(count * WARM_SHARE))))
        samples = [collector.mebibytes()]
        # A shorter run is looked at as often in all.
        watching = asyncio.create_task(_watch(collector, samples, SAMPLE_SECONDS * count / CALLS))
        started = time.perf_counter()
        await load.closed(collector.port, list(islice(cycle(requests), count)))
        seconds = time.perf_counter() - started
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        samples.append(collector.mebibytes())
        sets = max(1, count // CALLS_A_CONNECTION // load.CONNECTIONS)
        for _ in range(sets):
            await load.closed(collector.port, requests[: load.CONNECTIONS])
        return [*_figures(samples, count, seconds), _of_new_connections(collector.mebibytes(), sets)]


async def _watch(collector: Served, samples: list[float], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        samples.append(collector.mebibytes())


def _figures(samples: Sequence[float], count: int, seconds: float) -> list[Figure]:
    tenth = max(1, len(samples) // 10)
    first, last = median(samples[:tenth]), median(samples[-tenth:])
    return [
        Figure(
            name=f"memory of the collector over {count:,} single calls ({count / seconds:,.0f}/s): last tenth to first",
            value=last,
            unit="MiB",
            limit=first,
            ratio=last / first,
            **at_most(last / first, GROWTH_GOAL, "times, after a warm-up"),
        ),
        Figure(
            name="the same: most at any time",
            value=max(samples),
            unit="MiB",
            **at_most(max(samples), MOST_MEBIBYTES, "MiB"),
        ),
    ]


def _of_new_connections(mebibytes: float, sets: int) -> Figure:
    return Figure(
        name=f"after {sets * load.CONNECTIONS:,} new connections, a call each, in sets of {load.CONNECTIONS}",
        value=mebibytes,
        unit="MiB",
        **at_most(mebibytes, MOST_MEBIBYTES, "MiB"),
    )
