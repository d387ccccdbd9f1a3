"""Visits that came to nothing: over at once, and not engaged. A share of all visits, of nobody in particular.

A visit tells of itself when it ends (`Visit Ended`: seconds, clicks, views), so nothing is guessed from pauses. It was
engaged by the usual measure of web analytics: longer than ten seconds, two views, or a key event, which is a moment
of truth here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from pathline.domain.detectors.operators import number
from pathline.domain.touchpoint import Touchpoint

EVENT: Final = "Visit Ended"

ENGAGED_OVER_SECONDS: Final = 10
ENGAGED_VIEWS: Final = 2
LOST_BY_SECONDS: Final = 7
LOST_BY_CLICKS: Final = 3
LONGEST_SECONDS: Final = 86_400
"""A visit that says it was longer counts as one of a day: where it began is looked for no further back."""

K = TypeVar("K")

MAX_LANDINGS: Final = 20
"""Landing pages that are told apart, those with most visits."""


class Ended(NamedTuple):
    """What a visit told when it ended."""

    seconds: float
    clicks: float
    views: float


class Visit(NamedTuple):
    """A visit that is over; `landing` and `stage` are of its first page, None where that is not known."""

    ended_at: datetime
    told: Ended
    key_event: bool
    landing: str | None
    stage: str | None


class Share(NamedTuple):
    """Of so many visits so many were lost."""

    visits: int
    lost: int


class Interest(msgspec.Struct, frozen=True):
    """The share in all, and by the day of the end (UTC), the first page and the stage that it entered."""

    all: Share
    by_day: Mapping[str, Share]
    by_landing: Mapping[str | None, Share]
    by_stage: Mapping[str | None, Share]


def ended(properties: Mapping[str, Any]) -> Ended | None:
    """What `Visit Ended` tells; None where one of its numbers is none, or below zero."""
    told = [number(properties.get(name)) for name in ("seconds", "clicks", "views")]
    # NaN is not >= 0 either.
    seconds, clicks, views = (one if one is not None and one >= 0 else None for one in told)
    if seconds is None or clicks is None or views is None:
        return None
    return Ended(min(seconds, LONGEST_SECONDS), clicks, views)


def lost(told: Ended, *, key_event: bool) -> bool:
    """Whether a visit was over by 7 seconds or 3 clicks without having been engaged."""
    engaged = told.seconds > ENGAGED_OVER_SECONDS or told.views >= ENGAGED_VIEWS or key_event
    return not engaged and (told.seconds <= LOST_BY_SECONDS or told.clicks <= LOST_BY_CLICKS)


def interest(visits: Iterable[Visit]) -> Interest:
    """The shares of these visits."""
    known = [(one, lost(one.told, key_event=one.key_event)) for one in visits]
    by_day = _by(known, lambda one: one.ended_at.astimezone(UTC).date().isoformat())
    landings = sorted(_by(known, lambda one: one.landing).items(), key=lambda item: (-item[1].visits, item[0] or ""))
    return Interest(
        all=Share(len(known), sum(1 for _, was_lost in known if was_lost)),
        by_day={day: by_day[day] for day in sorted(by_day)},
        by_landing=dict(landings[:MAX_LANDINGS]),
        by_stage=_by(known, lambda one: one.stage),
    )


def just_ended(touchpoints: Iterable[Touchpoint]) -> Share:
    """The share of these touchpoints' visits by what they tell of themselves; history counts for nothing."""
    told = [ended(one.properties) for one in touchpoints if one.event == EVENT and not one.historical]
    visits = [one for one in told if one is not None]
    return Share(len(visits), sum(1 for one in visits if lost(one, key_event=False)))


def _by(known: Iterable[tuple[Visit, bool]], key: Callable[[Visit], K]) -> dict[K, Share]:
    visits: Counter[K] = Counter()
    gone: Counter[K] = Counter()
    for one, was_lost in known:
        visits[key(one)] += 1
        gone[key(one)] += was_lost
    return {name: Share(count, gone[name]) for name, count in visits.items()}
