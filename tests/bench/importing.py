"""`pathline import` of a file against what the collector takes of the same calls in batches, in turn."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from pathline.sending.importing import BATCH_CALLS, UNDER_WAY
from tests.bench import load, served
from tests.bench.figures import Figure
from tests.bench.platform import ROOT, Platform
from tests.bench.served import Served
from tests.bench.traffic import calls

PREFIX: Final = "importing"
CALLS: Final = 200_000
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
        turns = []
        for _ in range(rounds):
            direct = count / await load.closed(collector.port, requests, connections=UNDER_WAY)
            turns.append((count / await _imported(file, collector), direct))
    return _figures(turns, count)


async def _imported(file: Path, collector: Served) -> float:
    """Seconds that the command takes, its start and end included.

    Raises:
        RuntimeError: it did not store all.
    """
    words = ["import", "--restart", "--key", collector.key, "--collector", f"http://127.0.0.1:{collector.port}"]
    started = time.perf_counter()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", *words, str(file),
        cwd=ROOT, env={**os.environ, "PATHLINE_HOME": str(file.parent)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await command.communicate()
    if command.returncode != 0:
        message = f"the import ended with {command.returncode}: {said.decode()}"
        raise RuntimeError(message)
    return time.perf_counter() - started


def _figures(turns: Sequence[tuple[float, float]], count: int) -> list[Figure]:
    return [
        Figure(
            name=f"pathline import of {count:,} calls, with its start, against the same batches put together before",
            value=median(imported for imported, _ in turns),
            unit="touchpoints/s",
            limit=median(direct for _, direct in turns),
            ratio=median(imported / direct for imported, direct in turns),
        )
    ]
