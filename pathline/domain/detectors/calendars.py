"""Working days: which days of a region nobody works on. The days are data; whoever knows a region gives them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

SATURDAY: Final = 5
SUNDAY: Final = 6
DAYS_OF_WEEK: Final = 7

LONGEST_BREAK: Final = 40
"""Days without a working day between two that are; a calendar with a longer break is a mistake, and not followed."""


class Calendar(msgspec.Struct, frozen=True):
    """The days on which a business works."""

    holidays: frozenset[date] = frozenset()
    weekend: frozenset[int] = frozenset({SATURDAY, SUNDAY})
    """Days of the week, Monday is 0."""

    def works_on(self, day: date) -> bool:
        """Whether this is a working day."""
        return day.weekday() not in self.weekend and day not in self.holidays

    def next_working_day(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The first midnight that begins a working day after the local day of `at`, as an instant in UTC.

        Where the calendar ends before that, the end of time.
        """
        try:
            day = self._step(at.astimezone(zone).date(), 1)
            # Built from the wall clock and then made an instant, so that a night without a midnight is no trap.
            return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
        except OverflowError:
            return END_OF_TIME

    def later(self, at: datetime, days: float, zone: ZoneInfo) -> datetime:
        """The same time of day so many working days later, or earlier where `days` is below 0.

        The part of a day is added as hours. From a Saturday one working day later is Monday.
        """
        whole, step = int(abs(days)), 1 if days >= 0 else -1
        try:
            local = at.astimezone(zone)
            day = local.date()
            for _ in range(whole):
                day = self._step(day, step)
            moved = datetime.combine(day, local.time(), tzinfo=zone).astimezone(UTC)
            return moved + timedelta(days=days - step * whole)
        except OverflowError:
            return END_OF_TIME if step > 0 else datetime.min.replace(tzinfo=UTC)

    def _step(self, day: date, step: int) -> date:
        moved = day
        for _ in range(LONGEST_BREAK):
            moved += timedelta(days=step)
            if self.works_on(moved):
                return moved
        return day + timedelta(days=step)


WEEKDAYS: Final = Calendar()
"""Monday to Friday, without holidays: what is meant where no region is set."""
