"""A comparison of thresholds as an SVG: a row of bars a value, a column a figure. It follows a light or dark page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from pathline.backtest.trials import Comparison
from pathline.domain.records import Record

LEFT: Final = 120
"""Room for the values."""
PANEL: Final = 190
BAR: Final = 110
"""How wide a bar can be; beside it stands its number."""
ROW: Final = 24
THICK: Final = 14
HEAD: Final = 52
GAP: Final = 28
HOUR: Final = 3_600
WHOLE: Final = 100
"""Of a share: a bar as wide as can be."""

STYLE: Final = """
  .page { fill: #fff }
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #24292f }
  .own { font-weight: 600; fill: #24292f }
  .axis { stroke: #8c959f; stroke-width: 1 }
  .bar { fill: #0969da; opacity: .45 } .bar.own { opacity: 1 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #9198a1 } .title, text.own { fill: #f0f6fc } .bar { fill: #58a6ff }
  }
"""


class Panel(NamedTuple):
    """A figure: its title, what it is of a record (None where there is none), and how it is written."""

    title: str
    of: Callable[[Record], float | None]
    form: str
    most: float | None = None
    """What a whole bar stands for; without it, the greatest of those compared."""


WARNING: Final = (
    Panel("episodes", lambda one: one.episodes, "{:,.0f}"),
    Panel("came true, %", lambda one: _percent(one.share_right), "{:.0f} %", WHOLE),
    Panel("troubles missed", lambda one: one.troubles - one.foreseen, "{:,.0f}"),
    Panel("median lead, hours", lambda one: _hours(one.median_lead_seconds), "{:,.1f} h"),
)
TROUBLE: Final = (
    Panel("episodes", lambda one: one.episodes, "{:,.0f}"),
    Panel("open at the end", lambda one: one.open, "{:,.0f}"),
    Panel("answered, %", lambda one: _percent(one.share_answered), "{:.0f} %", WHOLE),
    Panel("median to the answer, hours", lambda one: _hours(one.median_answer_seconds), "{:,.1f} h"),
)


def draw(comparisons: Sequence[Comparison]) -> str:
    """All of them, one below the other."""
    parts: list[str] = []
    top = 0
    for comparison in comparisons:
        parts += _comparison(comparison, top)
        top += HEAD + ROW * len(comparison.values) + GAP
    names = ", ".join(f"{one.detector}.{one.threshold}" for one in comparisons)
    width = LEFT + PANEL * len(WARNING)
    opened = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" role="img"'
        f' aria-label="{_quoted(f"Values of thresholds compared: {names}")}">'
    )
    # A page of its own: opened by itself, it lies on white whatever the scheme.
    page = f'<rect class="page" width="{width}" height="{top}"/>'
    return "\n".join([opened, f"<style>{STYLE}</style>", page, *parts, "</svg>"]) + "\n"


def _comparison(comparison: Comparison, top: int) -> Iterable[str]:
    panels = WARNING if comparison.warns else TROUBLE
    yield f'<text class="title" x="8" y="{top + 20}">{escape(f"{comparison.detector}.{comparison.threshold}")}</text>'
    for place, one in enumerate(comparison.values):
        value = f"{one.value} (now)" if one.own else one.value
        y = top + HEAD + ROW * place + THICK - 2
        yield f'<text{_own(own=one.own)} x="{LEFT - 10}" y="{y}" text-anchor="end">{escape(value)}</text>'
    for place, panel in enumerate(panels):
        yield from _panel(panel, comparison, LEFT + PANEL * place, top)


def _panel(panel: Panel, comparison: Comparison, left: int, top: int) -> Iterable[str]:
    yield f'<text x="{left}" y="{top + 40}">{panel.title}</text>'
    told = [panel.of(one.record) for one in comparison.values]
    most = panel.most or max((one for one in told if one is not None), default=0) or 1
    for place, (one, number) in enumerate(zip(comparison.values, told, strict=True)):
        y = top + HEAD + ROW * place
        length = BAR * (number or 0) / most
        kind = "bar own" if one.own else "bar"
        yield f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="{THICK}"/>'
        words = "none" if number is None else panel.form.format(number)
        yield f'<text{_own(own=one.own)} x="{left + length + 6:.1f}" y="{y + THICK - 2}">{words}</text>'
    bottom = top + HEAD + ROW * len(told) - (ROW - THICK) // 2
    yield f'<line class="axis" x1="{left}" x2="{left}" y1="{top + HEAD - 5}" y2="{bottom}"/>'


def _own(*, own: bool) -> str:
    return ' class="own"' if own else ""


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _percent(share: float | None) -> float | None:
    return None if share is None else WHOLE * share


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / HOUR
