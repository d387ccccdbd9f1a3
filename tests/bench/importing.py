"""`pathline import` of a file against what the collector takes of the same calls in batches, in turn.

They share the machine's processors with the collector and Kafka, so what each of them costs is said, too.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import orjson

from pathline.sending.importing import BATCH_CALLS, UNDER_WAY
from tests.bench import load, served
from tests.bench.figures import Figure
from tests.bench.platform import ROOT, Platform, cpu_seconds
from tests.bench.served import Served
from tests.bench.traffic import calls

PREFIX: Final = "importing"
CALLS: Final = 400_000
CUSTOMERS: Final = 10_000


async def run(platform: Platform, *, count: int = CALLS, rounds: int = 3) -> list[Figure]:
    """Import a file of so many calls, and post the same calls put together before, so many rounds of each."""
    file = platform.home / "history.ndjson"
    bodies = [orjson.dumps(call) for call in calls(count, customers=CUSTOMERS)]
    file.write_bytes(b"".join(body + b"\n" for body in bodies))
    async with served.collector(platform, PREFIX, {}) as collector:
        requests = [
            load.request("batch", b'{"historical":true,"batch":[%b]}' % b",".join(bodies[at : at + BATCH_CALLS]), collector.key)
            for at in range(0, count, BATCH_CALLS)
        ]  # fmt: skip
        start, _ = await _imported(file, 1, collector)
        turns = []
        for _ in range(rounds):
            direct = count / await load.closed(collector.port, requests, connections=UNDER_WAY)
            assert collector.child.pid is not None
            before = cpu_seconds(collector.child.pid)
            seconds, spent = await _imported(file, count, collector)
            costs = 1e6 * spent / count, 1e6 * (cpu_seconds(collector.child.pid) - before) / count
            turns.append(_Turn(count / seconds, direct, *costs))
    return _figures(turns, count, start)


class _Turn(NamedTuple):
    """Touchpoints a second by the command and directly; processor microseconds of the command and the collector."""

    imported: float
    direct: float
    own_cost: float
    collectors_cost: float


async def _imported(file: Path, count: int, collector: Served) -> tuple[float, float]:
    """Seconds that the command takes for so much of the file, its start and end included, and its processor time.

    Raises:
        RuntimeError: it did not store all.
    """
    part = file.with_suffix(f".{count}")
    if not part.exists():
        with file.open("rb") as whole:
            part.write_bytes(b"".join(islice(whole, count)))
    words = ["import", "--restart", "--key", collector.key, "--collector", f"http://127.0.0.1:{collector.port}"]
    started, spent = time.perf_counter(), _children_seconds()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", *words, str(part),
        cwd=ROOT, env={**os.environ, "PATHLINE_HOME": str(file.parent)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await command.communicate()
    if command.returncode != 0 or f"{count:,} stored".encode() not in said:
        message = f"the import ended with {command.returncode}: {said.decode()}"
        raise RuntimeError(message)
    return time.perf_counter() - started, _children_seconds() - spent


def _children_seconds() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(turns: Sequence[_Turn], count: int, start: float) -> list[Figure]:
    return [
        Figure(
            name=f"pathline import of {count:,} calls, with its start, against the same batches put together before",
            value=median(turn.imported for turn in turns),
            unit="touchpoints/s",
            limit=median(turn.direct for turn in turns),
            ratio=median(turn.imported / turn.direct for turn in turns),
        ),
        Figure(
            name="its processor time, with its start, against the collector's for the same",
            value=median(turn.own_cost for turn in turns),
            unit="µs a touchpoint",
            limit=median(turn.collectors_cost for turn in turns),
            ratio=median(turn.own_cost / turn.collectors_cost for turn in turns),
        ),
        Figure(name="its start alone: a file of one call", value=1_000 * start, unit="ms"),
    ]
