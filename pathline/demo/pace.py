"""How fast life goes in the demo's shop: in minutes while somebody watches, in days in a file of history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

Span = tuple[float, float]
"""Least and most, in seconds."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The spans between what happens; each is drawn anew every time."""

    think: Span
    """Between two things a customer does."""
    handle: Span
    """Until the shop, the bank or the courier takes the next step."""
    promise: Span
    """From an order to the end of its promise."""
    overdue: Span
    """How long after its promise a late parcel comes."""
    answer: Span
    """Until somebody in the contact centre answers."""
    rest: Span
    """Until a customer who left comes back, or answers a survey."""
    by_day: bool
    """Whether a promise names a day rather than an instant."""

    def promised_at(self, chance: Random, at: datetime, zone: str) -> tuple[datetime, str]:
        """The end of a promise given at that time, and how it is written."""
        end = at + draw(chance, self.promise)
        if not self.by_day:
            return end, written(end)
        day = end.astimezone(ZoneInfo(zone)).date()
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)), day.isoformat()


def draw(chance: Random, span: Span) -> timedelta:
    """A span of time between the two ends, to the millisecond."""
    return timedelta(milliseconds=round(chance.uniform(*span) * 1_000))


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def written(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as SDKs write it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR

LIVE: Final = Pace(
    think=(0.7, 3.5),
    handle=(2.0, 7.0),
    promise=(60.0, 110.0),
    overdue=(15.0, 60.0),
    answer=(8.0, 25.0),
    rest=(10.0, 40.0),
    by_day=False,
)
"""Somebody watches: a purchase takes half a minute, a delivery a minute or two."""

HISTORY: Final = Pace(
    think=(5.0, 120.0),
    handle=(0.5 * HOUR, 10 * HOUR),
    promise=(2.5 * DAY, 5 * DAY),
    overdue=(0.3 * DAY, 4 * DAY),
    answer=(0.2 * HOUR, 6 * HOUR),
    rest=(2 * HOUR, 2 * DAY),
    by_day=True,
)
"""As a real shop's month looks."""
