"""The pure part of a rebuild: what a stored touchpoint tells again, and a state with it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathline.backtest.world import World
from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX, Fact, State
from pathline.domain.fold import Changes
from pathline.domain.rebuilding import Retained, Undone, earlier, more_than_the_file, refold, renewed
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from tests.support.rebuilding import OTHER, bodied
from tests.support.world import STAGES, START, logs, touchpoint

AT = START + timedelta(days=30)


def retained(log: list[Touchpoint], stages: Stages) -> tuple[list[Retained], dict[UUID, str]]:
    """What is stored of these, and the kinds of what they name."""
    changes = Changes(stages)
    for one in log:
        changes.add(one)
    rows = []
    for stitched in changes.stitched:
        t = stitched.touchpoint
        rows.append(
            Retained(
                stitched.subject, t.occurred_at, t.id, t.received_at, t.message_id, t.source, t.type, t.event, t.channel,
                stitched.stage, stitched.moment_of_truth, t.historical, list(stitched.entities), t.body,
            )
        )  # fmt: skip
    return rows, {thing.id: thing.kind for thing in changes.things}


def world_of(log: list[Touchpoint], stages: Stages) -> World:
    world = World(stages)
    world.add(log)
    return world


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), size=st.integers(min_value=1, max_value=10))
def test_whatever_the_pages_the_states_are_those_of_the_other_file(log: list[Touchpoint], size: int) -> None:
    log = [bodied(one) for one in log]
    rows, kinds = retained(log, STAGES)
    rows.sort(key=lambda one: one.place)
    world = world_of(log, STAGES)
    held = {one: state.facts for one, state in world.states.items()}
    states = dict(world.states)
    pages = [refold(rows[start : start + size], kinds, held, OTHER) for start in range(0, len(rows), size)]
    for one in {name for page in pages for name in {**page.told, **page.undone}}:
        undone = [gone for page in pages for gone in page.undone.get(one, [])]
        states[one] = renewed(states.get(one, State()), State(), undone, AT)
        for page in pages:
            states[one] = renewed(states[one], page.told.get(one, State()), [], AT)
    assert states == world_of(log, OTHER).states
    # Once more changes nothing.
    held = {one: state.facts for one, state in states.items()}
    again = refold(rows, kinds, held, OTHER)
    assert again.undone == {}
    assert all(renewed(states[one], told, [], AT) == states[one] for one, told in again.told.items())


def test_placements_are_those_that_differ() -> None:
    log = [
        touchpoint(1, event="Product Viewed", people={"user_id": "ann"}),
        touchpoint(2, type="page", people={"user_id": "ann"}),
    ]
    rows, kinds = retained([bodied(one) for one in log], STAGES)
    assert refold(rows, kinds, {}, STAGES).placements == []
    assert [(one.id, one.stage) for one in refold(rows, kinds, {}, OTHER).placements] == [
        (log[0].id, "loyal"),
        (log[1].id, "engagement"),
    ]


def test_a_thing_that_is_gone_is_told_nothing() -> None:
    order = touchpoint(1, event="Order Completed", things={"order": "1", "checkout": "2"})
    scan = touchpoint(2, event="Shipment Scanned", things={"parcel": "3"}, properties={"status": "delivered"})
    rows, kinds = retained([bodied(order), bodied(scan)], STAGES)
    left = {one: kind for one, kind in kinds.items() if kind == "checkout"}
    assert set(refold(rows, left, {}, STAGES).told) == set(left)


def test_what_nobody_told_before_is_history_and_what_was_told_is_as_it_was() -> None:
    told = State(
        facts={"placed": Fact(START, "m1"), "total": Fact(START, "m1", "10")}, marks={"scans": (Fact(START, "m2", {}),)}
    )
    held = State(count=3, facts={"total": Fact(START, "m1", "1")})
    now = renewed(held, told, [], AT)
    assert now.count == 3
    assert now.facts == {"placed": Fact(START, "m1", None, AT), "total": Fact(START, "m1", "10")}
    assert now.marks == {"scans": (Fact(START, "m2", {}, AT),)}
    assert more_than_the_file(held, now)


def test_only_the_fact_of_that_touchpoint_is_taken_back() -> None:
    held = State(facts={STAGE_PREFIX + "a": Fact(START, "m1"), ACTION_PREFIX + "b": Fact(START, "m2")})
    gone = [Undone(STAGE_PREFIX + "a", START, "m1"), Undone(ACTION_PREFIX + "b", START, "m3")]
    now = renewed(held, State(), gone, AT)
    assert set(now.facts) == {ACTION_PREFIX + "b"}
    assert not more_than_the_file(held, now)


def test_what_is_older_than_what_is_kept_and_not_told_is_earlier() -> None:
    name, other = STAGE_PREFIX + "a", STAGE_PREFIX + "b"
    state = State(facts={name: Fact(START, "m1"), other: Fact(AT, "m2"), "placed": Fact(START, "m1")})
    assert earlier(state, State(), AT) == [name]
    assert earlier(state, State(facts={name: Fact(START, "m1")}), AT) == []
    imported = msgspec.structs.replace(state, facts={name: Fact(START, "m1", None, AT)})
    assert earlier(imported, State(), AT) == []
