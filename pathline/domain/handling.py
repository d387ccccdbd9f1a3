"""What people made of a detector's episodes: how many somebody acted on, and how many were called no problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date

import msgspec

from pathline.domain.alerts import REASONS
from pathline.domain.judging import EXPIRED
from pathline.domain.records import Lived

NOT_A_PROBLEM = REASONS[1]


class Handled(msgspec.Struct, frozen=True):
    """Of the episodes that were not history's. A share of nothing is None."""

    episodes: int
    acted_on: int
    """Somebody has or had it at its end, or resolved it."""
    not_a_problem: int
    share_acted_on: float | None
    share_not_a_problem: float | None
    days: tuple[tuple[date, int], ...]
    """How many opened on each day, in UTC, of those on which any did; newest first."""


def handled(episodes: Iterable[tuple[Lived, str | None]]) -> Handled:
    """Count these: each with its assignee."""
    told = [(one, assignee) for one, assignee in episodes if one.resolution != EXPIRED]
    acted = sum(assignee is not None or one.resolution in REASONS for one, assignee in told)
    nothing = sum(one.resolution == NOT_A_PROBLEM for one, _ in told)
    days = Counter(one.opened_at.astimezone(UTC).date() for one, _ in told)
    return Handled(
        len(told), acted, nothing, _share(acted, len(told)), _share(nothing, len(told)),
        tuple(sorted(days.items(), reverse=True)),
    )  # fmt: skip


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
