"""The memory of processes over time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from statistics import median
from typing import Final

import msgspec
import psutil

from tests.bench.figures import Figure, at_most

SAMPLE_SECONDS: Final = 1.0
LAST_SECONDS: Final = 40.0
"""Growth is taken over so much of the end."""
EDGE: Final = 5
"""Samples at each end of that time, of which the median counts."""
GROWTH_GOAL: Final = 1.05
"""Growth that passes for flat: an allocator's pages come and go."""
SERVICES: Final = ("ingest", "stitcher", "scorer", "console")
MEBIBYTE: Final = 1_048_576


class Memory:
    """Samples of some processes, by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._samples: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Take samples while the block runs."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            for name, process in self._processes.items():
                self._samples[name].append((time.perf_counter(), _resident(name, process) / MEBIBYTE))
            await asyncio.sleep(SAMPLE_SECONDS)

    def figures(self) -> list[Figure]:
        """How much each had at the end, and what it was 40 seconds before."""
        return [self._figure(name, samples) for name, samples in self._samples.items()]

    def _figure(self, name: str, samples: list[tuple[float, float]]) -> Figure:
        last = [mebibytes for at, mebibytes in samples if at >= samples[-1][0] - LAST_SECONDS]
        before, after = median(last[:EDGE]), median(last[-EDGE:])
        growth = after / before
        figure = Figure(
            name=f"memory of {name}, and {LAST_SECONDS:.0f} s before",
            value=after,
            unit="MiB",
            limit=before,
            ratio=growth,
        )
        held = at_most(growth, GROWTH_GOAL, "times")
        return msgspec.structs.replace(figure, **held) if name in SERVICES else figure


def _resident(name: str, process: psutil.Process) -> int:
    """Bytes of a process. PostgreSQL's are counted without what its processes share, which each would count again."""
    with suppress(psutil.NoSuchProcess):
        if name != "postgres":
            return int(process.memory_info().rss)
        family = [process, *process.children(recursive=True)]
        return sum(_private(one) for one in family)
    return 0


def _private(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        held = process.memory_info()
        return int(held.rss - held.shared)
    return 0
