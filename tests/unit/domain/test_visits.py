"""Sessions of a customer, and which purchase came in which."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.visits import PAUSE, Act, Bought, Session, bought, sessions
from tests.support.world import START


def act(minutes: float, number: int = 0, channel: str = "web") -> Act:
    return Act(START + timedelta(minutes=minutes), f"m{number}", "page", channel)


def told(*found: Session) -> list[tuple[float, float, int, tuple[str, ...]]]:
    minute = timedelta(minutes=1)
    return [((s.started_at - START) / minute, (s.ended_at - START) / minute, s.acts, s.orders) for s in found]


def test_a_pause_of_half_an_hour_ends_a_session_and_a_shorter_one_does_not() -> None:
    acts = [act(0, channel="ad"), act(29, 1), act(29 + 30, 2, "app")]
    found = sessions(acts, {}, complete=True)
    assert told(*found) == [(0, 29, 2, ()), (59, 59, 1, ())]
    assert [s.channels for s in found] == [("ad", "web"), ("app",)]


def test_an_oldest_session_that_may_have_begun_earlier_is_left_out() -> None:
    assert told(*sessions([act(0), act(60)], {}, complete=False)) == [(60, 60, 1, ())]
    assert sessions([], {}, complete=True) == sessions([act(0)], {}, complete=False) == []


def test_purchases_of_the_same_session_and_of_later_ones_are_told_apart() -> None:
    acts = [act(m, m) for m in (0, 1, 100, 200, 201, 202)]
    placed = {"a": acts[1].at, "b": acts[4].at, "c": acts[5].at, "elsewhere": START - PAUSE}
    found = sessions(acts, placed, complete=True)
    assert told(*found) == [(0, 1, 2, ("a",)), (100, 100, 1, ()), (200, 202, 3, ("b", "c"))]
    came = bought(found, complete=True)
    assert came == {
        "a": Bought(acts[0].at, 1, known=True),
        "b": Bought(acts[3].at, 2, known=True),
        "c": Bought(acts[3].at, 1, known=True),
    }
    assert [came[name].in_one_session for name in "abc"] == [True, False, True]


def test_where_earlier_sessions_may_be_forgotten_only_a_later_one_is_sure() -> None:
    acts = [act(m, m) for m in (0, 100)]
    first = bought(sessions(acts, {"a": acts[0].at}, complete=True), complete=False)["a"]
    assert (first.sessions, first.in_one_session) == (1, None)
    second = bought(sessions(acts, {"a": acts[1].at}, complete=True), complete=False)["a"]
    assert (second.sessions, second.in_one_session) == (2, False)


minutes = st.lists(st.integers(min_value=0, max_value=600), max_size=40)


@given(minutes, st.randoms(use_true_random=False))
def test_sessions_depend_on_the_set_of_acts_and_part_it(when: list[int], chance: object) -> None:
    acts = [act(m, n) for n, m in enumerate(when)]
    shuffled = [*acts, *acts[: len(acts) // 2]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    found = sessions(acts, {}, complete=True)
    assert sessions(shuffled, {}, complete=True) == found
    assert sum(one.acts for one in found) == len(acts)
    for before, after in pairwise(found):
        assert after.started_at - before.ended_at >= PAUSE
    for one in found:
        inside = sorted(a.at for a in acts if one.started_at <= a.at <= one.ended_at)
        assert all(b - a < PAUSE for a, b in pairwise(inside))


@given(minutes.filter(bool), st.integers(min_value=0, max_value=600))
def test_every_purchase_is_in_the_session_of_its_own_act(when: list[int], ordered: int) -> None:
    acts = [act(m, n) for n, m in enumerate([*when, ordered])]
    found = sessions(acts, {"a": acts[-1].at}, complete=True)
    came = bought(found, complete=True)["a"]
    assert came.sessions == 1 + sum(1 for one in found if one.ended_at < came.started_at)
