"""One batch's changes: counts, links, stages, history; what a touchpoint without a subject is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from pathline.domain.facts import Fact, State
from pathline.domain.fold import Changes, Stitched, join_of
from pathline.domain.identifiers import Identifier, name_id
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import STAGES, logs, touchpoint

ANN = Identifier("default", "user_id", "ann")
MAILBOX = Identifier("default", "email", "a@b")
BROWSER = Identifier("default", "anonymous_id", "browser")
ORDER = Identifier("default", "order", "1")
PARCEL = Identifier("default", "parcel", "1")


def fold(*log: Touchpoint) -> Changes:
    changes = Changes(STAGES)
    for one in log:
        changes.add(one)
    return changes


def test_a_touchpoint_is_counted_once_where_it_belongs() -> None:
    log = [
        touchpoint(1, people={"user_id": "ann", "email": "a@b"}, seconds=60),
        touchpoint(2, type="page", people={"user_id": "ann"}),
    ]
    state = fold(*log).states[ANN]
    assert (state.count, state.channels) == (2, {"web": 2})
    assert (state.first_seen_at, state.last_seen_at) == (log[1].occurred_at, log[0].occurred_at)


def test_an_act_belongs_to_the_strongest_identifier_and_a_report_to_the_thing() -> None:
    things = {"parcel": "1", "order": "1"}
    act = touchpoint(1, event="Something Else", people={"email": "a@b", "user_id": "ann"}, things=things)
    report = touchpoint(2, event="Shipment Scanned", people={"user_id": "ann"}, things=things)
    changes = fold(act, report)
    assert [one.subject for one in changes.stitched] == [ANN.id, PARCEL.id]
    assert changes.stitched[1].entities == (PARCEL.id, ORDER.id)


def test_an_act_that_names_nobody_belongs_to_the_thing() -> None:
    (one,) = fold(touchpoint(1, event="Return Requested", things={"order": "1"})).stitched
    assert one.subject == ORDER.id


def test_every_weaker_identifier_proposes_the_strongest_as_its_parent() -> None:
    changes = fold(touchpoint(1, people={"user_id": "ann", "email": "a@b", "anonymous_id": "browser"}))
    assert {name: pointer.best.target for name, pointer in changes.parents.items()} == {
        MAILBOX: ANN.id,
        BROWSER: ANN.id,
    }
    assert changes.people == {ANN, MAILBOX, BROWSER}


def test_a_stage_is_entered_by_the_order_else_by_the_first_thing_else_by_the_person() -> None:
    stage = "stage.fulfilment"
    scan = touchpoint(1, event="Shipment Scanned", things={"parcel": "1"})
    assert fold(scan).states[PARCEL].facts[stage] == Fact(scan.occurred_at, "m1", scan.channel)
    both = fold(touchpoint(1, event="Shipment Scanned", things={"parcel": "1", "order": "1"}))
    assert stage in both.states[ORDER].facts and stage not in both.states[PARCEL].facts
    page = fold(touchpoint(1, type="page", people={"user_id": "ann"}))
    assert "stage.awareness" in page.states[ANN].facts


def test_an_action_is_completed_by_what_is_in_the_stage_and_once() -> None:
    first, again = (
        touchpoint(n, event="Survey Answered", people={"user_id": "ann"}, things={"order": "1"}, seconds=n)
        for n in (1, 2)
    )
    facts = fold(again, first).states[ORDER].facts
    assert facts["action.gave an opinion"] == Fact(first.occurred_at, "m1", first.channel)
    other = fold(touchpoint(1, event="Product Added", people={"user_id": "ann"}))
    assert "action.put into the cart" in other.states[ANN].facts
    scan: dict[str, Any] = {"event": "Shipment Scanned", "things": {"parcel": "1"}}
    assert "action.received" not in fold(touchpoint(1, **scan, properties={"status": "delayed"})).states[PARCEL].facts
    assert "action.received" in fold(touchpoint(1, **scan, properties={"status": "delivered"})).states[PARCEL].facts


def test_history_is_dated_by_its_receipt_in_every_fact_it_tells_and_in_no_other() -> None:
    scan: dict[str, Any] = {"event": "Shipment Scanned", "things": {"parcel": "1"}}
    old = touchpoint(1, **scan, properties={"status": "exception"}, historical=True, seconds=5)
    new = touchpoint(2, **scan, properties={"status": "in_transit"}, seconds=9)
    state = fold(old, new).states[PARCEL]
    assert [fact.imported_at for fact in state.marks["scans"]] == [old.received_at, None]
    assert state.facts["status"].imported_at is None


def test_a_state_of_before_facts_were_dated_can_be_read() -> None:
    held = b"""{"history_until":"2026-01-01T00:00:00Z","facts":{"placed":["2026-01-01T00:00:00Z","m",null]}}"""
    assert msgspec.json.decode(held, type=State).facts == {"placed": Fact(datetime(2026, 1, 1, tzinfo=UTC), "m")}


def test_the_latest_alias_of_a_pair_is_kept_whoever_was_who() -> None:
    log = [
        touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id="bob", seconds=9),
        touchpoint(2, type="alias", people={"user_id": "bob"}, previous_id="ann"),
    ]
    for told in (log, log[::-1]):
        first, second = (join for one in told if (join := join_of(one)) is not None)
        assert (first.a, first.b) == (second.a, second.b) and first.a < first.b
        kept = second if second.later_than(first.bond) else first
        assert kept.bond.message_id == "m1"


@pytest.mark.parametrize(
    "one",
    [
        touchpoint(1, type="identify", people={"user_id": "ann"}, previous_id="bob"),
        touchpoint(1, type="alias", people={"email": "a@b"}, previous_id="bob"),
        touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id="bob", trusted=False),
        touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id="ann"),
        touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id="null"),
        touchpoint(1, type="alias", previous_id="bob"),
    ],
)
def test_nothing_else_joins_two_user_ids(one: Touchpoint) -> None:
    assert join_of(one) is None


def test_without_a_subject_it_is_refused() -> None:
    with pytest.raises(ValueError, match="without a subject"):
        fold(touchpoint(1))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs())
def test_a_batch_says_of_every_touchpoint_where_it_went(log: list[Touchpoint]) -> None:
    changes = fold(*log)
    stitched: Sequence[Stitched] = changes.stitched
    assert [one.touchpoint for one in stitched] == log
    assert sum(state.count for state in changes.states.values()) == len(log)
    known = {name.id for name in changes.people | changes.things | set(changes.states)}
    assert all({one.subject, *one.entities} <= known for one in stitched)
    assert all(one.stage is None or one.stage in STAGES.names for one in stitched)
    assert all(changes.claims[name].target in {p.id for p in changes.people} for name in changes.claims)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs())
def test_who_acts_for_an_account_belongs_to_it_since_they_first_did(log: list[Touchpoint]) -> None:
    members = fold(*log).members
    assert members == fold(*log[::-1]).members
    acted = [t for t in log if t.account is not None and t.people and not t.report]
    assert set(members) == {(name_id("default", "account", str(t.account)), t.people[0].id) for t in acted}
    for (_, one), member in members.items():
        theirs = [t for t in acted if t.people[0].id == one]
        assert member.since == min(t.occurred_at for t in theirs)
        assert member.trusted is any(t.trusted for t in theirs)
