"""A measured figure, and how the figures are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One line of the table. `ratio` is within one run; `goal` is the bound it is held to, where there is one."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    """What the bare program did in the same run, in the same unit."""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


class Verdict(TypedDict):
    """Keyword arguments of a figure that is held to a goal."""

    goal: str
    met: bool


def at_most(value: float, bound: float, of: str) -> Verdict:
    """The goal of staying at or below `bound`, and whether `value` does."""
    return Verdict(goal=f"at most {bound:g} {of}", met=value <= bound)


def at_least(value: float, bound: float, of: str) -> Verdict:
    """The goal of reaching `bound`, and whether `value` does."""
    return Verdict(goal=f"at least {bound:g} {of}", met=value >= bound)


def markdown(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | measured | baseline, same run | ratio | goal | met |", "|---|---|---|---|---|---|"]
    for one in figures:
        limit = "" if one.limit is None else f"{one.limit:,.1f}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        met = "" if one.met is None else ("yes" if one.met else "**no**")
        lines.append(f"| {one.name} | {one.value:,.1f} {one.unit} | {limit} | {ratio} | {one.goal} | {met} |")
    return "\n".join(lines) + "\n"
