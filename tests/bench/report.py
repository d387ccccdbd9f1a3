"""The figures as tables, and docs/benchmarks.md brought up to date with them."""

from __future__ import annotations

import os
import platform as system
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import psutil

from pathline.embedded import jars
from pathline.embedded.postgres import MAJOR
from tests.bench.figures import Figure
from tests.bench.platform import ROOT

PAGE: Final = ROOT / "docs" / "benchmarks.md"
LIBRARIES: Final = ("uvicorn", "uvloop", "httptools", "msgspec", "aiokafka", "asyncpg")


def table(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | measured | baseline, same run | ratio | goal | met |", "|---|---:|---:|---:|---|---|"]
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:,.1f}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        met = "" if one.met is None else ("yes" if one.met else "**no**")
        lines.append(f"| {one.name} | {one.value:,.1f} {one.unit} | {limit} | {ratio} | {one.goal} | {met} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What the figures were measured on and with, in a sentence."""
    kafka = jars.kafka_version(jars.read_lock(jars.LOCK.read_text(encoding="utf-8")))
    memory_gib = psutil.virtual_memory().total / 1_073_741_824
    load_1, _load_5, _load_15 = os.getloadavg()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {psutil.cpu_count()} cores ({system.machine()}), {memory_gib:.0f} GiB, "
        f"{system.system()}; load average at the end {load_1:.1f}. Python {sys.version.split()[0]}, Kafka {kafka}, "
        f"PostgreSQL {MAJOR}, {libraries}."
    )


def write(measured: Mapping[str, Iterable[Figure]]) -> None:
    """Put each bench's figures between its markers in docs/benchmarks.md, the rest of the page left as it is."""
    page = PAGE.read_text(encoding="utf-8")
    for name, figures in measured.items():
        page = between(page, name, f"{machine()}\n\n{table(figures)}")
    PAGE.write_text(page, encoding="utf-8")


def between(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of `name`.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        message = f"{PAGE.name} has no markers for {name}"
        raise ValueError(message)
    return f"{before}{begin}\n{text}\n{end}{after}"
