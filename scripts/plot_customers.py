"""Draw what a touchpoint costs with more customers: scripts/plot_customers.py docs/images/customers.json out.svg.

Customers on a scale of powers of ten; the colours follow the reader's light or dark page.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 76
RIGHT: Final = 190
"""Room for the names of the lines."""
TOP: Final = 48
BOTTOM: Final = 44
MARKS: Final = 4

LABEL: Final = "Microseconds that a touchpoint costs, by how many customers the database has"
LINES: Final = (("elapsed_microseconds", "bytes to commit", "s3"), ("busy_microseconds", "processor time", "s1"))
STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #24292f }
  .grid { stroke: #8c959f; stroke-width: 1; opacity: .25 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  .s1 { stroke: #1a7f37 } .s3 { stroke: #0969da }
  text.s1 { fill: #1a7f37; stroke: none } text.s3 { fill: #0969da; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .s1 { stroke: #3fb950 } .s3 { stroke: #58a6ff } text.s1 { fill: #3fb950 } text.s3 { fill: #58a6ff }
  }
"""


def draw(points: Sequence[dict[str, Any]]) -> str:
    """The costs as an SVG."""
    most = max(float(point[field]) for point in points for field, _, _ in LINES)
    unit = 10.0 ** math.floor(math.log10(most / MARKS))
    step = unit * next(times for times in (1, 2, 5, 10) if times * unit >= most / MARKS)
    top = step * math.ceil(most / step)
    first, last = math.log10(points[0]["customers"]), math.log10(points[-1]["customers"])

    def across(customers: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(customers) - first) / ((last - first) or 1)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top

    opened = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{LABEL}">'
    parts = [opened, f"<style>{STYLE}</style>"]
    parts.append(
        f'<text class="title" x="{LEFT}" y="{TOP - 22}">microseconds a touchpoint, 10,000 active customers</text>'
    )
    for mark in range(round(top / step) + 1):
        y = up(mark * step)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{mark * step:,.0f}</text>')
    for point in points:
        x = across(point["customers"])
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{point["customers"]:,}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{HEIGHT - BOTTOM + 20}">customers there are</text>')
    for field, name, colour in LINES:
        way = " ".join(f"{across(point['customers']):.1f},{up(float(point[field])):.1f}" for point in points)
        parts.append(f'<polyline class="line {colour}" points="{way}"/>')
        end = up(float(points[-1][field]))
        parts.append(f'<text class="{colour}" x="{WIDTH - RIGHT + 10}" y="{end + 4:.1f}">{name}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main() -> None:
    """Read the JSON, write the SVG."""
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(json.loads(source.read_bytes())["populations"]), encoding="utf-8")


if __name__ == "__main__":
    main()
