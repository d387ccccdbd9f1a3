"""Draw the course of `pathline bench --only overload`: scripts/plot_overload.py docs/images/overload.json out.svg.

Three charts over one axis of time. The colours follow the reader's light or dark page.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

WIDTH: Final = 860
LEFT: Final = 76
RIGHT: Final = 150
"""Room for the names of the lines."""
CHART: Final = 130
GAP: Final = 44
TOP: Final = 40
MARKS: Final = 4
"""Marks on an axis, about."""

LABEL: Final = "Requests, latency and memory of the collector before, during and after an overload"
STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #24292f }
  .axis { stroke: #8c959f; stroke-width: 1 }
  .grid { stroke: #8c959f; stroke-width: 1; opacity: .25 }
  .phase { fill: #8c959f; opacity: .12 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  .s0 { stroke: #57606a } .s1 { stroke: #1a7f37 } .s2 { stroke: #bc4c00 } .s3 { stroke: #0969da }
  text.s0 { fill: #57606a; stroke: none } text.s1 { fill: #1a7f37; stroke: none }
  text.s2 { fill: #bc4c00; stroke: none } text.s3 { fill: #0969da; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .s0 { stroke: #9198a1 } .s1 { stroke: #3fb950 } .s2 { stroke: #f0883e } .s3 { stroke: #58a6ff }
    text.s0 { fill: #9198a1 } text.s1 { fill: #3fb950 } text.s2 { fill: #f0883e } text.s3 { fill: #58a6ff }
  }
"""

Row = dict[str, Any]


class Line(NamedTuple):
    """A line of a chart: the field it shows, its name, its colour."""

    field: str
    name: str
    colour: str


CHARTS: Final = (
    ("requests a second", (Line("sent", "posted", "s0"), Line("refused", "503", "s2"), Line("accepted", "200", "s1"))),
    ("milliseconds to a 200", (Line("p99_ms", "99 of 100", "s3"), Line("p50_ms", "half", "s1"))),
    ("MiB in memory", (Line("mebibytes", "collector", "s3"),)),
)


def draw(rows: Sequence[Row]) -> str:
    """The course, a row a second, as an SVG."""
    height = TOP + len(CHARTS) * (CHART + GAP)
    across = _scale(len(rows), LEFT, WIDTH - RIGHT)
    overload = [number for number, row in enumerate(rows) if row["phase"] == "overload"]
    opened = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{LABEL}">'
    parts = [opened, f"<style>{STYLE}</style>"]
    for number, (title, lines) in enumerate(CHARTS):
        top = TOP + number * (CHART + GAP)
        begin, end = across(overload[0]), across(overload[-1] + 1)
        parts.append(f'<rect class="phase" x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{CHART}"/>')
        parts += _chart(title, lines, rows, top, across)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _chart(
    title: str, lines: Sequence[Line], rows: Sequence[Row], top: int, across: Callable[[float], float]
) -> list[str]:
    step, most = _marks(max(float(row[line.field]) for row in rows for line in lines))
    up = _scale(most, top + CHART, top)
    parts = [f'<text class="title" x="{LEFT}" y="{top - 10}">{title}</text>']
    for mark in range(round(most / step) + 1):
        y = up(mark * step)
        kind = "grid" if mark else "axis"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{mark * step:,.0f}</text>')
    every, _ = _marks(len(rows))
    parts += [
        f'<text x="{across(second):.1f}" y="{top + CHART + 16}" text-anchor="middle">{second} s</text>'
        for second in range(0, len(rows) + 1, int(max(every, 1)))
    ]
    names = _apart([(up(float(rows[len(rows) // 2][line.field])), line) for line in lines])
    for y, line in names:
        points = " ".join(f"{across(n + 0.5):.1f},{up(float(row[line.field])):.1f}" for n, row in enumerate(rows))
        parts.append(f'<polyline class="line {line.colour}" points="{points}"/>')
        parts.append(f'<text class="{line.colour}" x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}">{line.name}</text>')
    return parts


def _scale(most: float, begin: float, end: float) -> Callable[[float], float]:
    """From 0 to `most` onto the way from `begin` to `end`."""
    return lambda value: begin + (end - begin) * value / most


def _marks(most: float) -> tuple[float, float]:
    """The distance of the marks of an axis for values up to `most`, and its end."""
    rough = max(most, 1.0) / MARKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(times for times in (1, 2, 5, 10) if times * unit >= rough)
    return step, step * math.ceil(max(most, 1.0) / step)


def _apart(names: Sequence[tuple[float, Line]], least: float = 15) -> list[tuple[float, Line]]:
    """Names at their lines' heights, moved apart where they would lie on each other."""
    placed: list[tuple[float, Line]] = []
    for y, line in sorted(names):
        placed.append((max(y, placed[-1][0] + least) if placed else y, line))
    return placed


def main() -> None:
    """Read the JSON, write the SVG."""
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(json.loads(source.read_bytes())["seconds"]), encoding="utf-8")


if __name__ == "__main__":
    main()
