"""Since when a source is silent for longer than it ever is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.rhythm import Limits, Rhythm, allowed, heard, silent_since
from tests.support.world import START

HOUR = timedelta(hours=1)
LIMITS = Limits(HOUR, 72 * HOUR)


def at(hours: float) -> datetime:
    return START + hours * HOUR


def spoken(hours: Iterable[float]) -> Rhythm:
    rhythm = None
    for hour in hours:
        rhythm = heard(rhythm, "courier", at(hour), LIMITS)
    assert rhythm is not None
    return rhythm


def days(count: int, first: int = 0) -> list[float]:
    """A courier who scans every ten minutes from 8 to 20 o'clock."""
    return [24 * day + 8 + minute / 60 for day in range(first, first + count) for minute in range(0, 721, 10)]


def test_a_night_is_no_silence_and_a_morning_without_scans_is_one() -> None:
    courier = spoken(days(9))
    assert 11.8 * HOUR < courier.longest <= 12 * HOUR
    assert silent_since(courier, at(24 * 9 + 8), LIMITS) is None
    assert silent_since(courier, at(24 * 8 + 20 + 23), LIMITS) is None
    assert silent_since(courier, at(24 * 8 + 20 + 24.1), LIMITS) == at(24 * 8 + 20)


def test_one_that_never_rests_is_given_the_least() -> None:
    shop = spoken(n / 6 for n in range(6 * 24 * 9))
    assert silent_since(shop, shop.heard_at + HOUR, LIMITS) is None
    assert silent_since(shop, shop.heard_at + 1.01 * HOUR, LIMITS) == shop.heard_at


def test_who_is_hardly_known_or_comes_when_it_comes_has_no_rhythm() -> None:
    young = spoken(n / 6 for n in range(6 * 24 * 7))
    rare = spoken([0, 72, 144, 216])
    odd = spoken(100.0 * n for n in range(30))
    assert [allowed(one, LIMITS) for one in (young, rare, odd)] == [None] * 3
    assert silent_since(young, at(10_000), LIMITS) is silent_since(odd, at(10_000), LIMITS) is None


def test_an_incident_is_no_habit_but_a_slower_pace_is_learned() -> None:
    shop = spoken(n / 6 for n in range(6 * 24 * 9))
    again = heard(shop, "courier", shop.heard_at + 48 * HOUR, LIMITS)
    assert allowed(shop, LIMITS) == HOUR and allowed(again, LIMITS) == 2 * HOUR
    slower = again
    for _ in range(5):
        slower = heard(slower, "courier", slower.heard_at + 10 * HOUR, LIMITS)
    assert slower.longest == 10 * HOUR and silent_since(slower, slower.heard_at + 19 * HOUR, LIMITS) is None


def test_an_old_silence_fades() -> None:
    # Two days of holidays in the first week, and then 60 days without.
    holidays = [*days(2), *days(5, first=4)]
    assert 50 * HOUR < spoken(holidays).longest <= 60 * HOUR
    assert spoken([*holidays, *days(60, first=9)]).longest < 20 * HOUR


def test_no_silence_is_allowed_beyond_the_most() -> None:
    slow = spoken(50.0 * n for n in range(30))
    assert allowed(slow, LIMITS) == 72 * HOUR


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_what_comes_late_or_again_changes_nothing(hours: list[int]) -> None:
    rhythm = spoken(hours)
    assert heard(rhythm, "courier", rhythm.heard_at, LIMITS) == rhythm
    assert rhythm.heard_at == at(max(hours)) and rhythm.longest >= timedelta()
    assert silent_since(rhythm, rhythm.heard_at, LIMITS) is None
