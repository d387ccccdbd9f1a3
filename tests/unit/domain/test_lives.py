"""Journeys in full over generated lives: any order of the log, doubled or not, tells what a plain reading of it tells.

The oracle sorts the log and reads it from the beginning. It knows neither facts nor marks nor joins.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pathline.domain import particulars
from pathline.domain.entities import Entity
from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX
from pathline.domain.identifiers import Identifier
from pathline.domain.journey import stage_spans, wanted
from pathline.domain.particulars import field
from pathline.domain.people import Person
from pathline.domain.story import OrderStory, promise_end
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.visits import Act
from pathline.storage.acts import Lived
from pathline.storage.customers import Whole
from pathline.storage.people import Family
from services.console import shapes
from tests.support.world import EVENTS, STAGES, START, World, logs, stitched, touchpoint, touchpoints

UTC_ZONE = ZoneInfo("UTC")
PURCHASES = (
    *(
        "Order Completed",
        "Order Updated",
        "Delivery Promised",
        "Order Refunded",
        "Shipment Created",
        "Checkout Started",
    ),
    *("Shipment Scanned", "Shipment Scanned", "Shipment Redirected", "Payment Failed", "Payment Succeeded"),
    *("Contact Opened", "Contact Replied", "Contact Replied", "Contact Accepted", "Contact Closed", "Survey Answered"),
    *("Dispute Opened", "Dispute Closed", "Invoice Payment Failed", "Invoice Paid", "Checkout Step Viewed"),
    "Product Viewed",
)


@st.composite
def lives(draw: st.DrawFn, most: int = 25) -> list[Touchpoint]:
    """A log of purchases, each told of by many and often before it was made; much happens at one instant."""
    kinds = (*("track",) * 9, "identify")
    return [
        draw(touchpoints(number, kinds, PURCHASES, step_seconds=600, steps=60))
        for number in range(draw(st.integers(min_value=1, max_value=most)))
    ]


def mixed(log: Sequence[Touchpoint], seed: int) -> list[list[Touchpoint]]:
    """The log doubled, shuffled and cut into batches."""
    chance = random.Random(seed)
    given = [*log, *log]
    chance.shuffle(given)
    size = chance.randint(1, len(given))
    return [given[first : first + size] for first in range(0, len(given), size)]


def wholes(world: World) -> dict[UUID, Whole]:
    """Every customer with what they own, as storage reads them."""
    roots, entities, owners = world.roots(), world.entities(), world.owners()
    found: dict[UUID, Whole] = {}
    for root in sorted(set(roots.values()), key=str):
        names = sorted(name for name, theirs in roots.items() if theirs == root)
        ids = {name.id for name in names}
        things = [entity for name, entity in sorted(entities.items()) if owners[name] in ids]
        strands = {name.id: world.states[name.id] for name in names if name.id in world.states}
        found[root] = Whole(Family(root, {n.id: Person(n) for n in names}, truncated=False), strands, things)
    return found


def answers(world: World, log: Iterable[Touchpoint]) -> dict[UUID, bytes]:
    """What the API says of every customer."""
    out = {}
    for root, whole in wholes(world).items():
        acts = [
            Act(
                one.occurred_at,
                one.message_id,
                one.event,
                one.channel,
                *STAGES.place(one),
                tuple(thing.id for thing in one.things),
            )
            for one in sorted(log, key=lambda one: (one.occurred_at, one.message_id), reverse=True)
            if one.subject is not None and one.subject.id in whole.strands
        ]
        lived = Lived(tuple(acts), acts[-1] if acts else None)
        told = shapes.customer(whole, [], STAGES, UTC_ZONE, START, lived, [], ())
        out[root] = msgspec.json.encode(told, order="deterministic")
    return out


@given(logs() | lives(), st.integers(min_value=0, max_value=9))
@settings(max_examples=50)
def test_the_whole_answer_depends_on_the_set_of_touchpoints_and_on_nothing_else(
    log: list[Touchpoint], seed: int
) -> None:
    straight = sorted(log, key=lambda one: (one.occurred_at, one.message_id))
    assert answers(stitched(mixed(log, seed)), log) == answers(stitched([straight]), log)


class Reading:
    """A plain reading of a log about one thing: the touchpoints that name it, oldest first."""

    def __init__(self, log: Iterable[Touchpoint], thing: Identifier) -> None:
        ordered = sorted(log, key=lambda one: (one.occurred_at, one.message_id))
        self.all = [one for one in ordered if one.type == "track" and thing in one.things]

    def of(self, *events: str, without: Sequence[str] = ()) -> list[Touchpoint]:
        return [one for one in self.all if one.event in events and not any(one.named(kind) for kind in without)]

    def first(self, *events: str) -> datetime | None:
        return next((one.occurred_at for one in self.of(*events)), None)

    def last_value(self, prop: str, *events: str, without: Sequence[str] = ()) -> Any:
        told = [one.properties[prop] for one in self.of(*events, without=without) if one.properties.get(prop)]
        return told[-1] if told else None


def check_order(story: OrderStory, read: Reading, log: list[Touchpoint]) -> None:
    promised: list[tuple[datetime, datetime]] = []
    for one in read.of("Order Completed", "Order Updated", "Delivery Promised", "Shipment Created"):
        until = promise_end(one.properties.get("promised_at"), story.zone)
        if until is not None and (not promised or promised[-1][1] != until):
            promised.append((one.occurred_at, until))
    assert [tuple(one) for one in particulars.promise_changes(story)] == promised
    assert story.first_promised_until == (promised[0][1] if promised else None)
    assert story.promised_until == (promised[-1][1] if promised else None)
    refunds = read.of("Order Refunded")
    told = particulars.parts(story.order.state.marks.get("refunds", ()))
    assert [part.at for part in told] == [one.occurred_at for one in refunds]
    given_back = [one.properties.get("total") for one in refunds]
    if refunds and all(given_back) and story.total is not None:
        whole = sum((Decimal(part) for part in given_back if part), Decimal(0))
        assert particulars.sum_of(told, story.total) == min(whole, story.total)
    paid = [
        (one.occurred_at, one.event.removeprefix("Payment ").lower())
        for one in read.of("Payment Failed", "Payment Succeeded", without=["checkout"])
    ]
    # A payment of a checkout is told of the checkout, whatever order it names; those of the order's own come on top.
    checkouts = {part.identifier for part in story.of_kind("checkout")}
    for one in sorted(log, key=lambda one: (one.occurred_at, one.message_id)):
        is_payment = one.type == "track" and one.event in {"Payment Failed", "Payment Succeeded"}
        if is_payment and one.named("checkout") in checkouts:
            paid.append((one.occurred_at, one.event.removeprefix("Payment ").lower()))
    states = [story.order.state, *(part.state for part in story.of_kind("checkout"))]
    assert sorted((mark.at, field(mark, "outcome")) for mark in particulars.payments(states)) == sorted(paid)


def check_parcel(parcel: Entity, read: Reading) -> None:
    scans, state = read.of("Shipment Scanned"), parcel.state
    assert [(scan.at, field(scan, "status")) for scan in state.marks.get("scans", ())] == [
        (one.occurred_at, one.properties.get("status")) for one in scans
    ]
    assert len(particulars.failed_attempts(state)) == sum(
        one.properties.get("status") == "attempt_failed" for one in scans
    )
    delivered = [one.occurred_at for one in scans if one.properties.get("status") == "delivered"]
    assert state.at("delivered") == (delivered[0] if delivered else None)
    assert [(mark.at, field(mark, "to")) for mark in state.marks.get("redirects", ())] == [
        (one.occurred_at, one.properties.get("to")) for one in read.of("Shipment Redirected")
    ]
    assert state.value("redirected") == read.last_value("to", "Shipment Redirected")


def check_case(case: Entity, read: Reading) -> None:
    standing = particulars.standing(case.state)
    opened = read.first("Contact Opened")
    closings = read.of("Contact Closed")
    closed = closings[-1].occurred_at if closings else None
    said = [(one.occurred_at, one.properties.get("by")) for one in read.of("Contact Replied")]
    if opened is not None:
        said.append((opened, "customer"))
    ends = [at for at, by in said if by == "agent"]
    first_answer = min(ends, default=None)
    answered = bool(ends)
    if closed is not None:
        ends.append(closed)
    waiting = [at for at, by in said if by == "customer" and all(at > end for end in ends)]
    assert standing.waiting_since == min(waiting, default=None)
    assert standing.answered_at == first_answer
    if not waiting:
        assert (standing.status == "closed") == (closed is not None)
        assert (standing.status == "answered") == (answered and closed is None)
    else:
        assert standing.status == ("accepted" if read.first("Contact Accepted") else "open")


def check_dispute(dispute: Entity, read: Reading) -> None:
    state = dispute.state
    assert state.at("opened") == read.first("Dispute Opened")
    assert state.value("total") == read.last_value("amount", "Dispute Opened")
    assert state.value("outcome") == read.last_value("outcome", "Dispute Closed")


@given(lives(), st.integers(min_value=0, max_value=9))
@settings(max_examples=50)
def test_things_in_full_are_what_a_plain_reading_of_the_sorted_log_tells(log: list[Touchpoint], seed: int) -> None:
    world = stitched(mixed(log, seed))
    entities = world.entities()
    for name, entity in entities.items():
        read = Reading(log, name)
        if name.kind == "order":
            parts = [one for one in entities.values() if one.order is not None and one.order.target == name.id]
            check_order(OrderStory(entity, parts, UTC_ZONE), read, log)
        elif name.kind == "parcel":
            check_parcel(entity, read)
        elif name.kind == "case":
            check_case(entity, read)
        elif name.kind == "dispute":
            check_dispute(entity, read)


talks = st.lists(
    st.tuples(
        st.sampled_from(("opened", "agent", "bot", "customer", "customer", "accepted", "closed")),
        st.integers(min_value=0, max_value=5),
    ),
    max_size=6,
)


@given(talks, st.integers(min_value=0, max_value=9))
def test_a_customer_waits_from_the_first_word_after_the_last_answer(talk: list[tuple[str, int]], seed: int) -> None:
    log = []
    for number, (word, minute) in enumerate(talk):
        replied = word in {"agent", "bot", "customer"}
        log.append(
            touchpoint(
                number,
                event="Contact Replied" if replied else f"Contact {word.capitalize()}",
                people={"user_id": "ann"},
                things={"case": "c"},
                properties={"by": word} if replied else {},
                seconds=minute * 60,
            )
        )
    for name, case in stitched(mixed(log, seed) if log else []).entities().items():
        check_case(case, Reading(log, name))


@given(logs(), st.integers(min_value=0, max_value=9))
@settings(max_examples=50)
def test_stages_and_actions_are_of_the_earliest_touchpoint_that_meets_them(log: list[Touchpoint], seed: int) -> None:
    world = stitched(mixed(log, seed))
    entries: dict[tuple[UUID, str], tuple[datetime, str]] = {}
    for one in log:
        subject = one.named("order") or (one.things[0] if one.things else one.subject)
        assert subject is not None
        stage, _ = STAGES.place(one)
        names = {ACTION_PREFIX + action for action in STAGES.completed(one)} | (
            {STAGE_PREFIX + stage} if stage else set()
        )
        for name in names:
            key, when = (subject.id, name), (one.occurred_at, one.message_id)
            entries[key] = min(entries.get(key, when), when)
    held = {
        (one, name): (fact.at, fact.message_id)
        for one, state in world.states.items()
        for name, fact in state.facts.items()
        if name.startswith((STAGE_PREFIX, ACTION_PREFIX))
    }
    assert held == entries
    for subject_id, state in world.states.items():
        mine = {name: at for (of, name), (at, _) in entries.items() if of == subject_id}
        spans = {STAGE_PREFIX + span.stage: span.entered_at for span in stage_spans([state], STAGES.names)}
        done = {ACTION_PREFIX + one.action: one.done.at for one in wanted([state], STAGES.actions) if one.done}
        assert spans | done == mine


@given(lives(), st.integers(min_value=0, max_value=9))
@settings(max_examples=50)
def test_every_survey_is_kept_raw_where_it_was_asked(log: list[Touchpoint], seed: int) -> None:
    asked: list[tuple[Any, ...]] = []
    for one in log:
        target = one.named("case") or one.named("order") or (one.people[0] if one.people else None)
        if one.type == "track" and one.event == "Survey Answered" and target is not None:
            asked.append((target.id, one.occurred_at, *(one.properties.get(p) for p in ("survey", "score", "scale"))))
    kept = [
        (of, mark.at, *(field(mark, name) for name in ("survey", "score", "scale")))
        for of, state in stitched(mixed(log, seed)).states.items()
        for mark in state.marks.get("surveys", ())
    ]
    assert sorted(kept, key=str) == sorted(asked, key=str)


def test_the_lives_are_of_known_events() -> None:
    assert set(PURCHASES) <= set(EVENTS)
