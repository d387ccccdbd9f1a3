from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX, Fact, State
from pathline.domain.journey import StageSpan, Wanted, positions, stage_spans, wanted
from tests.support.world import START

ORDER = ("look", "buy", "wait", "rate")


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def entered(**stages: float) -> State:
    return State(facts={STAGE_PREFIX + name: Fact(at(hours), "m") for name, hours in stages.items()})


def span(stage: str, entered_at: datetime, left_at: datetime | None) -> StageSpan:
    return StageSpan(stage, entered_at, left_at, None, "m")


def test_a_stage_is_left_when_a_later_one_is_entered() -> None:
    assert stage_spans([entered(look=0, buy=1, wait=3)], ORDER) == [
        span("look", at(0), at(1)),
        span("buy", at(1), at(3)),
        span("wait", at(3), None),
    ]


def test_a_stage_that_was_skipped_is_not_shown_and_ends_nothing() -> None:
    assert stage_spans([entered(look=0, rate=5)], ORDER) == [
        span("look", at(0), at(5)),
        span("rate", at(5), None),
    ]


def test_a_stage_entered_after_a_later_one_is_left_at_once() -> None:
    assert stage_spans([entered(look=4, buy=1)], ORDER) == [
        span("look", at(4), at(4)),
        span("buy", at(1), None),
    ]


def test_of_several_states_the_first_entry_counts_and_other_facts_and_unknown_stages_do_not() -> None:
    other = State(facts={"placed": Fact(at(0), "m"), STAGE_PREFIX + "gone": Fact(at(0), "m")})
    assert stage_spans([entered(look=2), entered(look=1), other], ORDER) == [span("look", at(1), None)]
    assert stage_spans([], ORDER) == []


def test_a_stage_tells_the_touchpoint_that_entered_it() -> None:
    states = [
        State(facts={STAGE_PREFIX + "look": Fact(at(n), f"m{n}", channel)}) for n, channel in ((2, "web"), (1, "ad"))
    ]
    assert stage_spans(states, ORDER) == [StageSpan("look", at(1), None, "ad", "m1")]


def test_an_action_is_wanted_where_its_stage_was_entered_and_told_where_it_was_done_without() -> None:
    done = Fact(at(1), "m1", "web")
    states = [
        entered(look=0),
        State(facts={ACTION_PREFIX + "pay": done, ACTION_PREFIX + "gone": done}),
        State(facts={ACTION_PREFIX + "pay": Fact(at(2), "m2", "app")}),
    ]
    actions = {"look": ("ask", "compare"), "buy": ("pay",), "wait": ("receive",)}
    assert wanted(states, actions) == [
        Wanted("look", "ask", None), Wanted("look", "compare", None), Wanted("buy", "pay", done),
    ]  # fmt: skip
    assert wanted([], actions) == []


times = st.lists(st.integers(min_value=0, max_value=10**7), max_size=30).map(
    lambda seconds: [START + timedelta(seconds=s) for s in sorted(seconds)]
)


@given(times)
def test_positions_go_from_0_to_1_in_the_order_of_time(moments: list[datetime]) -> None:
    places = positions(moments)
    assert len(places) == len(moments)
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    if len(set(moments)) > 1:
        assert (places[0], places[-1]) == (0, 1)
    elif moments:
        assert set(places) == {0.5}


@given(times)
def test_only_what_happened_at_one_instant_stands_at_one_place(moments: list[datetime]) -> None:
    places = positions(moments)
    assert len(set(places)) == len(set(moments))


def test_a_week_does_not_hide_a_minute() -> None:
    first, second, last = positions([at(0), at(1 / 60), at(24 * 7)])
    assert second - first > 0.01
    assert last - second < 0.99
