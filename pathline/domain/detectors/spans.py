"""Spans of time as people write them: `100ms`, `30s`, `15m`, `24h`, `3d`, and `2wd` for working days."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from pathline.domain.detectors.calendars import END_OF_TIME, Calendar

MAX_SPAN: Final = timedelta(days=366)
MAX_WORKING_DAYS: Final = 100

_SPAN: Final = re.compile(r"(\d{1,6})\s*(ms|s|m|h|d|wd)")
_UNITS: Final = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Span(NamedTuple):
    """A length of time, either by the clock or in working days. Spans of one sort can be compared."""

    time: timedelta = timedelta(0)
    working_days: float = 0

    @property
    def by_the_clock(self) -> bool:
        """Whether it has no working days in it."""
        return self.working_days == 0

    def times(self, factor: float) -> Span:
        """So many times as long."""
        return Span(self.time * factor, self.working_days * factor)

    def __bool__(self) -> bool:
        """Whether it is any time at all."""
        return bool(self.time) or bool(self.working_days)


NONE: Final = Span()


def parse(text: str) -> Span | None:
    """The span, or None where the text is none, or it is longer than MAX_SPAN or MAX_WORKING_DAYS."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        return None
    number = int(match[1])
    if match[2] == "wd":
        return Span(working_days=number) if number <= MAX_WORKING_DAYS else None
    span = timedelta(**{_UNITS[match[2]]: number})
    return Span(span) if span <= MAX_SPAN else None


def after(at: datetime, span: Span, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The instant a span later; working days are those of the calendar, where the zone is.

    Past the end of time it is the end: a promise for the year 9999 is no reason to stop.
    """
    moved = at if span.by_the_clock else calendar.later(at, span.working_days, zone)
    return plus(moved, span.time)


def before(at: datetime, span: Span, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The instant a span earlier."""
    moved = at if span.by_the_clock else calendar.later(at, -span.working_days, zone)
    return plus(moved, -span.time)


def plus(at: datetime, time: timedelta) -> datetime:
    """The sum, or the end of time."""
    try:
        return at + time
    except OverflowError:
        return END_OF_TIME if time > timedelta(0) else datetime.min.replace(tzinfo=UTC)
