"""While there is little nobody waits, under load batches are let gather, and nothing is held up where more waits."""

from __future__ import annotations

import asyncio

import pytest

from pathline.kit.pace import Pace
from tests.support.clock import Clock

PACE = 0.04
QUICK = 0.005
"""What a small transaction takes."""
AN_HOUR = 3_600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def batch(pace: Pace, clock: Clock, took: float, *, full: bool = False) -> float:
    """Wait as told, then do a batch; returns how long the wait was."""
    waited = pace.left()
    clock.now += waited
    pace.began(full=full)
    clock.now += took
    pace.ended()
    return round(waited, 6)


def test_one_alone_and_the_next_few_wait_for_nobody(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    assert [batch(pace, clock, QUICK) for _ in range(5)] == [0.0] * 5


def test_a_light_load_never_waits(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    for _ in range(1_000):
        assert batch(pace, clock, QUICK) == 0
        clock.now += 2 * QUICK  # nothing comes for so long


def test_where_something_always_waits_small_batches_take_half_of_the_time(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    for _ in range(100):
        batch(pace, clock, QUICK)
    started = clock.now
    waits = [batch(pace, clock, QUICK) for _ in range(100)]
    assert waits == [pytest.approx(QUICK)] * 100
    assert 100 * QUICK / (clock.now - started) == pytest.approx(0.5)


def test_slow_batches_keep_the_pace_between_their_beginnings_and_no_more(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    slow = 0.03
    for _ in range(100):
        batch(pace, clock, slow)
    assert [batch(pace, clock, slow) for _ in range(10)] == [pytest.approx(PACE - slow)] * 10
    assert [batch(pace, clock, 2 * PACE) for _ in range(10)][1:] == [0.0] * 9


def test_a_database_that_was_away_for_long_is_paid_for_with_one_pace(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    batch(pace, clock, AN_HOUR)
    clock.now += 4 * PACE
    assert [batch(pace, clock, QUICK) for _ in range(5)] == [0.0] * 5


def test_after_a_full_batch_the_next_follows_at_once(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    for _ in range(100):
        batch(pace, clock, PACE / 2)
    assert batch(pace, clock, PACE / 2, full=True) > 0
    pace.began(full=True)
    assert pace.left() == 0, "not even until it is done: it is read while PostgreSQL works"


def test_while_a_small_one_is_in_hand_the_next_waits_for_its_end_or_for_the_pace(clock: Clock) -> None:
    pace = Pace(PACE, clock)
    pace.began(full=False)
    clock.now += QUICK
    assert pace.left() == pytest.approx(PACE - QUICK)
    pace.ended()
    assert pace.left() == 0
    pace.began(full=False)
    clock.now += PACE
    assert pace.left() == 0


def test_two_in_hand_are_not_twice_the_time(clock: Clock) -> None:
    one, two = Pace(PACE, clock), Pace(PACE, clock)
    one.began(full=False)
    two.began(full=False)
    clock.now += PACE / 2
    two.began(full=False)
    clock.now += PACE / 2
    one.ended()
    two.ended()
    two.ended()
    one.began(full=False)
    two.began(full=False)
    clock.now += QUICK
    one.ended()
    two.ended()
    assert one.left() == two.left()


def test_no_pace_is_no_wait(clock: Clock) -> None:
    pace = Pace(0, clock)
    pace.began(full=False)
    assert pace.left() == 0


async def test_who_waits_is_let_go_when_the_one_before_is_done() -> None:
    pace = Pace(AN_HOUR)
    pace.began(full=False)
    waiting = asyncio.create_task(pace.kept())
    await asyncio.sleep(0)
    assert not waiting.done()
    pace.ended()
    await waiting


async def test_who_waits_is_let_go_after_the_pace() -> None:
    pace = Pace(0.001)
    pace.began(full=False)
    await pace.kept()
    assert pace.left() == 0
