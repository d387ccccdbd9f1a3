"""All benches, or some: `pathline bench` runs this from the checkout."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from pathline.commands import trouble
from tests.bench import (
    backtesting,
    collector,
    deadlines,
    importing,
    ingest_memory,
    overload,
    rebuilding,
    report,
    scorer,
    stitcher,
    storage,
    whole,
)
from tests.bench.figures import Figure
from tests.bench.platform import ROOT, Platform, running

IMAGES: Final = ROOT / "docs" / "images"
QUICK_SECONDS: Final = 15.0
QUICK_CALLS: Final = 50_000

Measure = Callable[[Platform, bool], Awaitable[list[Figure]]]
"""A bench on a platform; told whether to be quick, which those that take minutes can be."""

BENCHES: Final[dict[str, tuple[str, Measure]]] = {
    "collector": ("one process against the bare one, in turn", lambda on, _quick: collector.run(on)),
    "overload": (
        "ten times what a small admission limit lets through",
        lambda on, quick: overload.run(
            on, seconds=QUICK_SECONDS if quick else overload.SECONDS, out=None if quick else IMAGES
        ),
    ),
    "memory": (
        "the collector's, over single calls",
        lambda on, quick: ingest_memory.run(on, count=QUICK_CALLS if quick else ingest_memory.CALLS),
    ),
    "import": (
        "a file against the same batches posted, in turn",
        lambda on, quick: importing.run(on, count=QUICK_CALLS if quick else importing.CALLS),
    ),
    "stitcher": ("one process against a bare insert + upsert, in turn", lambda on, _quick: stitcher.run(on)),
    "scorer": ("one process through all built-in detectors", lambda on, _quick: scorer.run(on)),
    "deadlines": (
        "a million waiting, ten thousand due in a minute, touchpoints beside",
        lambda on, quick: deadlines.run(on, waiting=100_000 if quick else deadlines.WAITING),
    ),
    "storage": (
        "what a touchpoint costs, with few customers and with many",
        lambda on, quick: storage.run(
            on, populations=storage.QUICK if quick else storage.POPULATIONS, out=None if quick else IMAGES
        ),
    ),
    "backtest": (
        "a month through all built-in detectors, by one process and by two",
        lambda _on, quick: backtesting.run(customers=backtesting.QUICK if quick else backtesting.CUSTOMERS),
    ),
    "rebuild": (
        "every journey by another stage file",
        lambda on, quick: rebuilding.run(on, touchpoints=rebuilding.QUICK if quick else rebuilding.TOUCHPOINTS),
    ),
}

NAMES: Final = (*BENCHES, "whole")
"""In the order in which they run. `whole` comes last, on a Kafka and PostgreSQL of its own."""


async def measure(names: Sequence[str], *, quick: bool) -> dict[str, list[Figure]]:
    """The figures of each of these benches; of those that take minutes `quick` makes shorter ones."""
    figures: dict[str, list[Figure]] = {}
    if set(names) - {"whole"}:
        async with running() as platform:
            for name, (what, run) in BENCHES.items():
                if name in names:
                    _say(f"{name}: {what}")
                    figures[name] = await run(platform, quick)
    if "whole" in names:
        _say("whole: all services, six minutes")
        figures["whole"] = await whole.run()
    return figures


def main() -> None:
    """Measure, print the table, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="pathline bench")
    parser.add_argument("--only", choices=NAMES, action="append", help="one of the benches; may be given again")
    parser.add_argument("--quick", action="store_true", help="the long ones shorter; the page stays as it is")
    parser.add_argument("--json", help="also write the figures to this file; - for standard output")
    given = parser.parse_args()
    trouble.quiet_libraries()
    names = [name for name in NAMES if not given.only or name in given.only]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(measure(names, quick=given.quick))
    figures = [figure for name in names for figure in measured[name]]
    encoded = msgspec.json.format(msgspec.json.encode(figures)) + b"\n"
    if given.json == "-":
        sys.stdout.buffer.write(encoded)
    else:
        sys.stdout.write(report.table(figures))
        if given.json:
            Path(given.json).write_bytes(encoded)
    if not given.quick:
        report.write(measured)


def _say(what: str) -> None:
    sys.stderr.write(f"bench: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
