"""`pathline backtest` of a generated month through all built-in detectors, by one process and by two, in turn.

The clock runs in the program itself, from when it has its detectors until it has the episodes: what it takes to start
would be half of a short run, and more than all of it on a busy machine. Memory is the most that the program and its
processes held together.

    python -m tests.bench.backtesting MONTH PROCESSES OUT    # the program: prints its seconds
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
from zoneinfo import ZoneInfo

import msgspec
import psutil

from pathline.backtest.run import Listener
from pathline.backtest.run import run as backtest
from pathline.commands.backtest import collector
from pathline.contracts import detector_files
from pathline.demo.history import history
from tests.bench.figures import Figure, at_least
from tests.bench.platform import ROOT

NAMESPACE: Final = "default"
CUSTOMERS: Final = 9_000
QUICK: Final = 1_000
DAYS: Final = 30
START: Final = datetime(2026, 3, 1, tzinfo=UTC)
GOAL: Final = 15_000
TWICE: Final = 1.7
SAMPLE_SECONDS: Final = 0.1
MEBIBYTE: Final = 1_048_576


class Run(NamedTuple):
    """Seconds that it took to start and to do its work, and the most bytes it held."""

    start: float
    seconds: float
    resident: int
    episodes: bytes


async def run(*, customers: int = CUSTOMERS, rounds: int = 3) -> list[Figure]:
    """Backtest a month of so many customers, so many rounds with one process and with two.

    Raises:
        RuntimeError: a run failed, or two processes found something else than one.
    """
    with TemporaryDirectory() as folder:
        month = Path(folder) / "month.ndjson"
        lines = list(history(1, customers=customers, start=START, days=DAYS))
        month.write_bytes(b"".join(lines))
        turns = []
        for _ in range(rounds):
            one, two = await _backtest(month, 1), await _backtest(month, 2)
            if one.episodes != two.episodes or not one.episodes:
                message = "two processes did not find what one does"
                raise RuntimeError(message)
            turns.append((one, two))
    return _figures(turns, len(lines))


def _figures(turns: list[tuple[Run, Run]], count: int) -> list[Figure]:
    one, two = (median(count / turn[place].seconds for turn in turns) for place in (0, 1))
    twice = median(alone.seconds / both.seconds for alone, both in turns)
    start = median(alone.start for alone, _ in turns)
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
        Figure(name="its start, beside that", value=start * 1_000, unit="ms"),
        Figure(name="the most memory of one process", value=held[0], unit="MiB"),
        Figure(name="the most memory of two and the first", value=held[1], unit="MiB", limit=held[0]),
    ]


async def _backtest(file: Path, processes: int) -> Run:
    out = file.with_suffix(f".{processes}")
    started = time.perf_counter()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.backtesting", str(file), str(processes), str(out),
        cwd=ROOT, env={**os.environ, "PATHLINE_HOME": str(file.parent)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    watching = asyncio.create_task(_most_held(psutil.Process(command.pid)))
    told, said = await command.communicate()
    whole = time.perf_counter() - started
    if command.returncode != 0:
        message = f"the backtest ended with {command.returncode}: {said.decode()}"
        raise RuntimeError(message)
    seconds = float(told)
    return Run(whole - seconds, seconds, await watching, out.read_bytes())


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


def main() -> None:
    """Backtest a file, write its episodes, and say how many seconds that took without the start."""
    month, processes, out = sys.argv[1:]
    detectors, accept = detector_files.load(), collector(NAMESPACE)
    begun = time.perf_counter()
    outcome = backtest(
        [month], detectors, zone=ZoneInfo("UTC"), accept=accept, processes=int(processes), listener=Listener()
    )
    seconds = time.perf_counter() - begun
    Path(out).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in outcome.episodes))
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main()
