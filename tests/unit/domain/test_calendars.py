"""Working days: over weekends and holidays, forward and back, where somebody lives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pathline.domain.detectors import spans
from pathline.domain.detectors.calendars import END_OF_TIME, LONGEST_BREAK, WEEKDAYS, Calendar

BERLIN, KIRITIMATI, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("UTC")
THURSDAY = datetime(2026, 1, 1, 15, tzinfo=UTC)
CLOSED = Calendar(holidays=frozenset({date(2026, 1, 2), date(2026, 1, 6)}))


@pytest.mark.parametrize(
    ("days", "calendar", "then"),
    [
        (0, WEEKDAYS, THURSDAY),
        (1, WEEKDAYS, THURSDAY + timedelta(days=1)),
        (2, WEEKDAYS, THURSDAY + timedelta(days=4)),
        (6, WEEKDAYS, THURSDAY + timedelta(days=8)),
        (1.5, WEEKDAYS, THURSDAY + timedelta(days=1, hours=12)),
        (-1, WEEKDAYS, THURSDAY - timedelta(days=1)),
        (-4, WEEKDAYS, THURSDAY - timedelta(days=6)),
        (-0.5, WEEKDAYS, THURSDAY - timedelta(hours=12)),
        (1, CLOSED, THURSDAY + timedelta(days=4)),
        (2, CLOSED, THURSDAY + timedelta(days=6)),
    ],
)
def test_so_many_working_days_later_it_is_the_same_time_of_day(days: float, calendar: Calendar, then: datetime) -> None:
    assert calendar.later(THURSDAY, days, UTC_ZONE) == then


def test_from_a_saturday_one_working_day_later_is_monday() -> None:
    saturday = datetime(2026, 1, 3, 9, tzinfo=UTC)
    assert WEEKDAYS.later(saturday, 1, UTC_ZONE) == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert WEEKDAYS.later(saturday, -1, UTC_ZONE) == datetime(2026, 1, 2, 9, tzinfo=UTC)


def test_which_day_it_is_is_told_by_the_zone() -> None:
    evening = datetime(2026, 1, 1, 12, tzinfo=UTC)
    # There it is Friday already, at two in the morning.
    assert WEEKDAYS.later(evening, 1, KIRITIMATI) == datetime(2026, 1, 4, 12, tzinfo=UTC)
    assert WEEKDAYS.next_working_day(evening, KIRITIMATI) == datetime(2026, 1, 4, 10, tzinfo=UTC)
    assert WEEKDAYS.next_working_day(evening, UTC_ZONE) == datetime(2026, 1, 2, tzinfo=UTC)


def test_over_the_night_in_which_clocks_change_the_wall_clock_counts() -> None:
    friday = datetime(2026, 3, 27, 9, tzinfo=UTC)
    assert WEEKDAYS.later(friday, 1, BERLIN) == datetime(2026, 3, 30, 8, tzinfo=UTC)


def test_a_calendar_of_holidays_alone_is_not_followed() -> None:
    never = Calendar(weekend=frozenset(range(7)))
    assert never.later(THURSDAY, 2, UTC_ZONE) == THURSDAY + timedelta(days=2)
    assert never.next_working_day(THURSDAY, UTC_ZONE) == datetime(2026, 1, 2, tzinfo=UTC)
    holidays = frozenset(date(2026, 1, 2) + timedelta(days=n) for n in range(LONGEST_BREAK - 1))
    assert Calendar(holidays, frozenset()).later(THURSDAY, 1, UTC_ZONE) == THURSDAY + timedelta(days=LONGEST_BREAK)


@pytest.mark.parametrize("days", [3, 1.5])
def test_past_the_calendar_it_is_the_end_or_the_beginning_of_time(days: float) -> None:
    last, first = datetime(9999, 12, 31, 12, tzinfo=UTC), datetime(1, 1, 1, 12, tzinfo=UTC)
    assert WEEKDAYS.later(last, days, UTC_ZONE) == END_OF_TIME
    assert WEEKDAYS.later(first, -days, UTC_ZONE) == datetime.min.replace(tzinfo=UTC)


def test_a_span_is_added_and_taken_away() -> None:
    two = spans.parse("2wd")
    assert two is not None
    monday = datetime(2026, 1, 5, 15, tzinfo=UTC)
    assert spans.after(THURSDAY, two, WEEKDAYS, UTC_ZONE) == monday
    assert spans.before(monday, two, WEEKDAYS, UTC_ZONE) == THURSDAY
    assert spans.plus(END_OF_TIME, timedelta(days=1)) == END_OF_TIME
    assert spans.plus(datetime.min.replace(tzinfo=UTC), -timedelta(days=1)) == datetime.min.replace(tzinfo=UTC)
