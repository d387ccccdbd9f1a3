"""All benches, or some: `pathline bench` runs this from the checkout."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from pathline.commands import trouble
from tests.bench import collector, importing, ingest_memory, overload, rebuilding, report, stitcher, storage, whole
from tests.bench.figures import Figure
from tests.bench.platform import ROOT, running

NAMES: Final = ("collector", "overload", "memory", "import", "stitcher", "storage", "rebuild", "whole")
"""In the order in which they run. `whole` comes last, on a Kafka and PostgreSQL of its own."""

IMAGES: Final = ROOT / "docs" / "images"
QUICK_SECONDS: Final = 15.0
QUICK_CALLS: Final = 50_000


async def measure(names: Sequence[str], *, quick: bool) -> dict[str, list[Figure]]:
    """The figures of each of these benches; of those that take minutes `quick` makes shorter ones."""
    figures: dict[str, list[Figure]] = {}
    if set(names) - {"whole"}:
        async with running() as platform:
            if "collector" in names:
                _say("collector: one process against the bare one, in turn")
                figures["collector"] = await collector.run(platform)
            if "overload" in names:
                _say("overload: ten times what a small admission limit lets through")
                seconds = QUICK_SECONDS if quick else overload.SECONDS
                figures["overload"] = await overload.run(platform, seconds=seconds, out=None if quick else IMAGES)
            if "memory" in names:
                _say("memory: the collector's, over single calls")
                count = QUICK_CALLS if quick else ingest_memory.CALLS
                figures["memory"] = await ingest_memory.run(platform, count=count)
            if "import" in names:
                _say("import: a file against the same batches posted, in turn")
                figures["import"] = await importing.run(platform, count=QUICK_CALLS if quick else importing.CALLS)
            if "stitcher" in names:
                _say("stitcher: one process against a bare insert + upsert, in turn")
                figures["stitcher"] = await stitcher.run(platform)
            if "storage" in names:
                _say("storage: what a touchpoint costs, with few customers and with many")
                populations = storage.QUICK if quick else storage.POPULATIONS
                figures["storage"] = await storage.run(platform, populations=populations, out=None if quick else IMAGES)
            if "rebuild" in names:
                _say("rebuild: every journey by another stage file")
                count = rebuilding.QUICK if quick else rebuilding.TOUCHPOINTS
                figures["rebuild"] = await rebuilding.run(platform, touchpoints=count)
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
