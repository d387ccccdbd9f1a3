from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.funnel import Did, Moment, PainSeen, Step, acted, flow, moments_by_stage
from tests.support.world import START

ORDER = ("look", "buy", "wait")
ANN, BOB, CEM = (UUID(int=n) for n in (1, 2, 3))


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def step(customer: UUID, stage: str | None, hours: float, channel: str = "web", touchpoints: int = 1) -> Step:
    return Step(customer, stage, channel, at(hours), touchpoints)


def test_who_enters_any_later_stage_goes_on() -> None:
    steps = [
        step(ANN, "look", 0), step(ANN, "buy", 2), step(ANN, "wait", 3),
        step(BOB, "look", 0), step(BOB, "wait", 4),
        step(CEM, "look", 0),
    ]  # fmt: skip
    look, buy, wait = flow(steps, [], ORDER)
    assert (look.customers, look.went_on, look.dropped, look.median_seconds) == (3, 2, 1, 3 * 3600)
    assert (buy.customers, buy.went_on, buy.median_seconds) == (1, 1, 3600)
    assert (wait.customers, wait.went_on, wait.dropped, wait.median_seconds) == (2, 0, 2, None)


def test_a_later_stage_entered_before_does_not_count_as_going_on() -> None:
    look, buy, _ = flow([step(ANN, "look", 5), step(ANN, "buy", 1)], [], ORDER)
    assert (look.went_on, buy.customers) == (0, 1)


def test_two_stages_entered_at_once_count_as_going_on() -> None:
    look, *_ = flow([step(ANN, "look", 1), step(ANN, "buy", 1)], [], ORDER)
    assert (look.went_on, look.median_seconds) == (1, 0)


def test_touchpoints_are_counted_by_channel_most_first_and_those_of_no_stage_left_out() -> None:
    steps = [
        step(ANN, "look", 0, "web", 2), step(BOB, "look", 0, "app", 5), step(BOB, "look", 1, "web", 1),
        step(ANN, None, 0, "chat", 9), step(ANN, "other", 0, "chat", 9),
    ]  # fmt: skip
    look, buy, _ = flow(steps, [], ORDER)
    assert list(look.channels.items()) == [("app", 5), ("web", 3)]
    assert (buy.channels, look.customers) == ({}, 2)


def test_a_pain_belongs_to_the_last_stage_entered_before_it() -> None:
    steps = [step(ANN, "look", 0), step(ANN, "buy", 2), step(BOB, "look", 0)]
    pains = [
        PainSeen(ANN, "late", "high", at(1)),
        PainSeen(ANN, "late", "high", at(2)),
        PainSeen(ANN, "late", "high", at(9)),
        PainSeen(BOB, "late", "high", at(0) - timedelta(seconds=1)),  # before anything was entered: nowhere
        PainSeen(None, "late", "high", at(3)),
        PainSeen(CEM, "late", "high", at(3)),
    ]
    look, buy, _ = flow(steps, pains, ORDER)
    assert look.pains == [("late", "high", 1)]
    assert buy.pains == [("late", "high", 2)]


def test_of_two_stages_entered_at_once_the_later_has_the_pain() -> None:
    look, buy, _ = flow([step(ANN, "look", 1), step(ANN, "buy", 1)], [PainSeen(ANN, "d", "info", at(1))], ORDER)
    assert (look.pains, buy.pains) == ([], [("d", "info", 1)])


def test_who_dropped_in_pain_is_counted_where_they_dropped() -> None:
    steps = [step(ANN, "look", 0), step(ANN, "buy", 1), step(BOB, "look", 0), step(CEM, "look", 0)]
    pains = [PainSeen(one, "d", "info", at(2)) for one in (ANN, BOB)]
    look, buy, _ = flow(steps, pains, ORDER)
    assert (look.dropped, look.dropped_with_pain, buy.dropped_with_pain) == (2, 1, 1)


steps = st.builds(
    step,
    st.sampled_from((ANN, BOB, CEM)),
    st.sampled_from((*ORDER, None)),
    st.integers(min_value=0, max_value=5),
    st.sampled_from(("web", "app")),
)


@given(st.lists(steps), st.randoms())
def test_the_flow_depends_on_no_order_and_adds_up(log: list[Step], chance: object) -> None:
    flows = flow(log, [], ORDER)
    mixed = list(log)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert [(f.stage, f.customers, f.went_on, f.median_seconds, dict(f.channels)) for f in flow(mixed, [], ORDER)] == [
        (f.stage, f.customers, f.went_on, f.median_seconds, dict(f.channels)) for f in flows
    ]
    for one in flows:
        assert 0 <= one.went_on <= one.customers <= 3
        assert sum(one.channels.values()) == sum(1 for s in log if s.stage == one.stage)
    assert flows[-1].went_on == 0


def test_an_action_is_done_by_whoever_did_it_and_open_for_the_others_of_its_stage() -> None:
    steps = [step(ANN, "look", 0), step(BOB, "look", 0), step(CEM, "buy", 0)]
    did = [Did(ANN, "ask"), Did(ANN, "ask"), Did(CEM, "ask")]
    told = acted(steps, did, {"look": ("ask", "compare"), "buy": ("pay",)})
    assert told == {"look": [("ask", 2, 1), ("compare", 0, 2)], "buy": [("pay", 0, 1)]}


def test_moments_of_truth_are_counted_by_stage() -> None:
    met = [Moment(ANN, "buy", "Paid", 2), Moment(BOB, "buy", "Paid", 1), Moment(BOB, None, "Asked", 1)]
    assert moments_by_stage(met) == {"buy": {"Paid": 3}, None: {"Asked": 1}}
