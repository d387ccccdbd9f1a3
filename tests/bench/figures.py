"""A measured figure, and the goal it is held to."""

from __future__ import annotations

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
