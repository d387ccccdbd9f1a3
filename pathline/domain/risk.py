"""How much trouble a customer is in: one number out of their open pain points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil, log1p, log2, prod
from typing import Final, Literal, NamedTuple

from pathline.domain.alerts import Severity

Band = Literal["unknown", "low", "moderate", "high", "critical"]

WEIGHTS: Final[dict[Severity, float]] = {"info": 0.1, "warning": 0.3, "high": 0.6, "critical": 0.9}
"""What one fresh pain point adds: the chance, if you like, that it alone loses the customer."""

HALF_LIFE: Final = timedelta(days=7)
"""After this long, a pain point that nobody ended weighs half."""

BANDS: Final[tuple[tuple[float, Band], ...]] = ((90, "critical"), (70, "high"), (40, "moderate"), (20, "low"))
"""The least score of each band, highest first. Below all of them nothing is known to be wrong."""

_STEP: Final = timedelta(microseconds=1)
_ROUNDING: Final = 0.05
"""What a score may lie under a line and still be told as it."""


class Pain(NamedTuple):
    """An open alert, as far as risk asks."""

    severity: Severity
    opened_at: datetime


class Lines(NamedTuple):
    """Scores at which a composite detector changes its mind.

    It holds from an alert's opening at or above `opens_at` until the score is below `ends_below`.
    """

    opens_at: float
    ends_below: float
    steps: tuple[tuple[Severity, float], ...]
    """Severities, mildest first, and the score that each takes; the first none above `opens_at`."""


class Risk(NamedTuple):
    """`score` is 0 to 100, one decimal."""

    score: float
    band: Band


class Term(NamedTuple):
    """What one pain point has to do with the score."""

    weight: float
    """Of its severity, when fresh."""
    age: timedelta
    faded: float
    """The weight by now."""
    contribution: float
    """Its part of the score; all parts together are the score."""


def risk(pains: Iterable[Pain], now: datetime) -> Risk:
    """The noisy-or of open pain points: 100 * (1 - prod(1 - w * 0.5 ** (age / HALF_LIFE))).

    One that opens after `now` (its deadline was judged by another clock) weighs as if it were fresh.
    """
    kept = prod(1 - WEIGHTS[pain.severity] * _faded(now - pain.opened_at) for pain in pains)
    score = round(100 * (1 - kept), 1)
    return Risk(score, next((band for least, band in BANDS if score >= least), "unknown"))


def terms(pains: Sequence[Pain], now: datetime) -> list[Term]:
    """The score of `risk`, pain by pain, in their order.

    What each adds depends on the others, so the score is shared by the logarithms, in which a noisy-or is a sum.
    """
    ages = [max(now - pain.opened_at, timedelta()) for pain in pains]
    faded = [WEIGHTS[pain.severity] * _faded(age) for pain, age in zip(pains, ages, strict=True)]
    logs = [-log1p(-weight) for weight in faded]
    whole, score = sum(logs), risk(pains, now).score
    return [
        Term(WEIGHTS[pain.severity], age, weight, score * part / whole if whole else 0.0)
        for pain, age, weight, part in zip(pains, ages, faded, logs, strict=True)
    ]


def falls_below(pains: Sequence[Pain], line: float, now: datetime) -> datetime:
    """The first instant from `now` on at which the score is below `line`, should no pain open, end or change.

    It is read off the pains, as every deadline is: at that instant `risk` says less than `line`, and a microsecond
    before it does not. The same pains fall at the same instant whenever they are asked before it.

    Args:
        pains: what is open.
        line: a score, at least 1.
        now: the time; what is below by then is below now.
    """
    if risk(pains, now).score < line:
        return now
    # A noisy-or is at most the sum of its weights, and after so many half-lives even that is below the line.
    most = 100 * sum(WEIGHTS[pain.severity] for pain in pains)
    fresh = max(now, *(pain.opened_at for pain in pains))
    above, below = now, fresh + HALF_LIFE * (1 + max(0, ceil(log2(most / (line - _ROUNDING)))))
    # A score only falls, so half of what lies between is left out at each look: about fifty looks.
    while below - above > _STEP:
        between = above + (below - above) // 2
        if risk(pains, between).score < line:
            below = between
        else:
            above = between
    return below


def band_until(pains: Sequence[Pain], now: datetime) -> datetime | None:
    """When time alone takes the score out of its band; None where it has none."""
    score = risk(pains, now).score
    line = next((least for least, _ in BANDS if score >= least), None)
    return None if line is None else falls_below(pains, line, now)


def _faded(age: timedelta) -> float:
    return float(0.5 ** (max(age, timedelta()) / HALF_LIFE))
