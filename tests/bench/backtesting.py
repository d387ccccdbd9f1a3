"""`pathline backtest` of a generated month through all built-in detectors, by one process and by two, in turn.

The clock runs from the command to its end, less what it takes with an empty file: to start, and to read the detectors.
Memory is the most that the command and its processes held together.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import psutil

from pathline.contracts import detector_files
from pathline.demo.history import history
from tests.bench.figures import Figure, at_least
from tests.bench.platform import ROOT

CUSTOMERS: Final = 9_000
QUICK: Final = 1_000
DAYS: Final = 30
START: Final = datetime(2026, 3, 1, tzinfo=UTC)
GOAL: Final = 15_000
TWICE: Final = 1.7
SAMPLE_SECONDS: Final = 0.1
MEBIBYTE: Final = 1_048_576


class Run(NamedTuple):
    """Seconds that the command took, and the most bytes it held."""

    seconds: float
    resident: int
    episodes: bytes


async def run(*, customers: int = CUSTOMERS, rounds: int = 3) -> list[Figure]:
    """Backtest a month of so many customers, so many rounds with one process and with two.

    Raises:
        RuntimeError: a run failed, or two processes found something else than one.
    """
    with TemporaryDirectory() as folder:
        month, empty = Path(folder) / "month.ndjson", Path(folder) / "empty.ndjson"
        lines = list(history(1, customers=customers, start=START, days=DAYS))
        month.write_bytes(b"".join(lines))
        empty.write_bytes(b"")
        start = median([(await _backtest(empty, 1)).seconds for _ in range(3)])
        turns = []
        for _ in range(rounds):
            one, two = await _backtest(month, 1), await _backtest(month, 2)
            if one.episodes != two.episodes or not one.episodes:
                message = "two processes did not find what one does"
                raise RuntimeError(message)
            turns.append((one, two))
    return _figures(turns, len(lines), start)


def _figures(turns: list[tuple[Run, Run]], count: int, start: float) -> list[Figure]:
    one, two = (median(count / (turn[place].seconds - start) for turn in turns) for place in (0, 1))
    twice = median((alone.seconds - start) / (both.seconds - start) for alone, both in turns)
    held = [max(turn[place].resident for turn in turns) / MEBIBYTE for place in (0, 1)]
    detectors = len(detector_files.built_in())
    return [
        Figure(
            name=f"backtest of {count:,} touchpoints through {detectors} detectors, one process",
            value=one,
            unit="touchpoints/s",
            **at_least(one, GOAL, "a second"),
        ),
        Figure(
            name="two processes",
            value=two,
            unit="touchpoints/s",
            limit=one,
            ratio=twice,
            **at_least(twice, TWICE, "times one process"),
        ),
        Figure(name="its start, with an empty file", value=start * 1_000, unit="ms"),
        Figure(name="the most memory of one process", value=held[0], unit="MiB"),
        Figure(name="the most memory of two and the first", value=held[1], unit="MiB", limit=held[0]),
    ]


async def _backtest(file: Path, processes: int) -> Run:
    out = file.with_suffix(f".{processes}")
    words = ["backtest", str(file), "--processes", str(processes), "--out", str(out)]
    started = time.perf_counter()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", *words,
        cwd=ROOT, env={**os.environ, "PATHLINE_HOME": str(file.parent)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    watching = asyncio.create_task(_most_held(psutil.Process(command.pid)))
    _, said = await command.communicate()
    seconds = time.perf_counter() - started
    if command.returncode != 0:
        message = f"the backtest ended with {command.returncode}: {said.decode()}"
        raise RuntimeError(message)
    return Run(seconds, await watching, out.read_bytes())


async def _most_held(command: psutil.Process) -> int:
    """The most bytes that it and its processes hold together, until it ends."""
    most = 0
    with suppress(psutil.NoSuchProcess):
        while command.is_running() and command.status() != psutil.STATUS_ZOMBIE:
            family = [command, *command.children(recursive=True)]
            most = max(most, sum(map(_resident, family)))
            await asyncio.sleep(SAMPLE_SECONDS)
    return most


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
