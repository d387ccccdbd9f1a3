"""A small world of touchpoints for property tests, and the system's answer about it held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import yaml
from hypothesis import strategies as st

from pathline.backtest import world as backtest
from pathline.backtest.world import Added
from pathline.config import STAGES_FILE
from pathline.domain import bonds
from pathline.domain.bonds import Pointer
from pathline.domain.entities import Entity
from pathline.domain.identifiers import STRENGTH, THING_KINDS, Identifier, person, thing, touchpoint_id
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import VOCABULARY, event_of, is_report

START = datetime(2026, 1, 1, tzinfo=UTC)
STAGES = Stages.from_builtins(yaml.safe_load(STAGES_FILE.read_text(encoding="utf-8")))

THING_VALUES = {kind: (f"{kind}-1", f"{kind}-2") for kind in THING_KINDS}
PERSON_VALUES = {
    "user_id": ("ann", "bob", "cem"),
    "email": ("a@example.com", "b@example.com"),
    "phone": ("+12025550101", "+12025550102"),
    "anonymous_id": ("browser-1", "browser-2", "browser-3"),
    "device_id": ("phone-1",),
}

PROPERTIES: dict[str, tuple[Any, ...]] = {
    "promised_at": ("2026-01-03", "2026-01-05", "2026-01-04T10:00:00+02:00"),
    "delivery_zone": ("Europe/Berlin", "America/New_York"),
    "estimated_at": ("2026-01-04", "2026-01-06"),
    "status": ("label_created", "in_transit", "out_for_delivery", "exception", "delivered", "attempt_failed"),
    "carrier": ("Fast", "Slow"),
    "location": ("Hub", "Depot"),
    "reason": ("damaged", "changed_mind"),
    "total": ("10.00", "25.50"),
    "value": ("10.00",),
    "currency": ("EUR",),
    "ship_by": ("2026-01-02",),
    "delivery_method": ("courier", "pickup"),
    "payment_method": ("card",),
    "amount": ("5.00", "10.00"),
    "code": ("card_declined",),
    "decline_code": ("insufficient_funds",),
    "next_attempt_at": ("2026-01-05T00:00:00Z",),
    "to": ("neighbour",),
    "step": (1, 2),
    "channel": ("phone", "chat"),
    "topic": ("delivery", "payment"),
    "wants_person": (True,),
    "by": ("agent", "customer", "bot"),
    "outcome": ("solved", "won"),
    "survey": ("nps", "csat"),
    "score": (2, 9),
    "scale": (10, 5),
    "attempt": (1, 2),
    "sentiment": ("angry", "calm"),
    "product_id": ("p1", "p2"),
    "price": ("10.00", 12),
    "results": (0, 3),
    "element": ("button Pay",),
    "count": (4,),
    "message_code": ("TypeError app.js 7",),
    "after_ms": (30, 400),
}

TRAITS: tuple[dict[str, Any], ...] = (
    {},
    {"name": "Ann"},
    {"name": "Bob", "segments": ["vip"]},
    {"customer_type": "business"},
    {"switched_from": "Other Shop"},
)

EVENTS = (
    *VOCABULARY,
    *("Checkout Step Viewed", "Checkout Step Completed", "Product Viewed", "Products Searched", "Cart Viewed"),
    "Product Added",
    *("Coupon Denied", "Coupon Applied", "Email Opened", "Error Shown", "Rage Clicked", "Dead Clicked"),
    *("Page Reloaded", "Visit Ended"),
    *("Shipment Weighed", "Something Else"),
)
"""Every event that users are told of, some of Segment's, one of a known family, and one that nobody knows."""


def touchpoint(
    number: int,
    *,
    type: str = "track",  # noqa: A002 - the field's own name
    event: str = "Product Viewed",
    people: dict[str, str] | None = None,
    things: dict[str, str] | None = None,
    properties: dict[str, Any] | None = None,
    traits: dict[str, Any] | None = None,
    seconds: float = 0,
    trusted: bool = True,
    source: str = "shop",
    namespace: str = "default",
    previous_id: str | None = None,
    account: str | None = None,
    historical: bool = False,
) -> Touchpoint:
    """A touchpoint by its parts; `seconds` is when, after START."""
    named = [person(namespace, kind, value) for kind, value in (people or {}).items()]
    given = things or {}
    message_id = f"m{number}"
    props = properties or {}
    report = type == "track" and is_report(event, props.get("by"))
    at = START + timedelta(seconds=seconds)
    return Touchpoint(
        id=touchpoint_id(source, message_id),
        source=source,
        message_id=message_id,
        namespace=namespace,
        trusted=trusted,
        type=type,
        event=event if type == "track" else type,
        channel="web",
        occurred_at=at,
        received_at=at,
        historical=historical,
        report=report,
        makes=event_of(event).makes if type == "track" else None,
        people=tuple(sorted((p for p in named if p), key=lambda p: STRENGTH[p.kind])),
        things=tuple(t for kind in THING_KINDS if kind in given and (t := thing(namespace, kind, given[kind]))),
        previous_id=previous_id,
        account=account,
        properties=props,
        traits=traits or {},
    )


KINDS = ("track", "track", "track", "track", "identify", "page", "alias", "group")

PAINFUL = (
    *("Order Completed", "Order Completed", "Delivery Promised", "Order Cancelled", "Order Refunded"),
    *("Shipment Created", "Shipment Scanned", "Shipment Scanned", "Shipment Scanned"),
    *("Checkout Started", "Checkout Started", "Payment Failed", "Payment Failed", "Payment Succeeded"),
    *("Survey Answered", "Survey Answered", "Contact Opened", "Contact Replied", "Contact Closed"),
    *("Contact Opened", "Contact Closed", "Return Requested", "Payment Info Entered", "Product Viewed", "Rage Clicked"),
)
"""Events that raise alerts or answer them, the likelier the more of them an alert takes."""


@st.composite
def touchpoints(
    draw: st.DrawFn,
    number: int,
    kinds: Sequence[str] = KINDS,
    events: Sequence[str] = EVENTS,
    *,
    step_seconds: int = 60,
    steps: int = 20,
) -> Touchpoint:
    """Any touchpoint of the vocabulary, about a few people and things, so that they meet."""
    kind = draw(st.sampled_from(kinds))
    event = draw(st.sampled_from(events)) if kind == "track" else kind
    people = draw(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in PERSON_VALUES.items()}))
    things = draw(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in THING_VALUES.items()}))
    if kind != "track":
        things = {}
    if kind == "alias":
        people["user_id"] = draw(st.sampled_from(PERSON_VALUES["user_id"]))
    if not people and not things:
        people = {"anonymous_id": "browser-1"}
    if kind == "track" and is_report(event) and not things:
        things = {"order": "order-1"}
    properties = draw(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in PROPERTIES.items()}))
    for names in event_of(event).required if kind == "track" and events is PAINFUL else ():
        if names[0] in PROPERTIES and names[0] not in properties:
            properties[names[0]] = draw(st.sampled_from(PROPERTIES[names[0]]))
    if event == "Contact Replied" and properties.get("by") == "customer" and not people:
        people = {"user_id": "ann"}
    return touchpoint(
        number,
        type=kind,
        event=event,
        people=people,
        things=things,
        properties=properties if kind == "track" else {},
        traits=draw(st.sampled_from(TRAITS)),
        seconds=draw(st.integers(min_value=0, max_value=steps)) * step_seconds,
        trusted=draw(st.booleans()),
        source=draw(st.sampled_from(("shop", "courier"))),
        previous_id=draw(st.sampled_from((*PERSON_VALUES["user_id"], "browser-1"))) if kind == "alias" else None,
        account=draw(st.sampled_from((None, "acme"))) if kind in {"identify", "group"} else None,
        historical=draw(st.integers(min_value=0, max_value=9)) == 0,
    )


@st.composite
def logs(draw: st.DrawFn, most: int = 25) -> list[Touchpoint]:
    """A log of different touchpoints."""
    return [draw(touchpoints(number)) for number in range(draw(st.integers(min_value=1, max_value=most)))]


@st.composite
def painful_logs(draw: st.DrawFn, most: int = 15) -> list[Touchpoint]:
    """A log of five days in which alerts are raised and answered; much happens at the instant of a deadline."""
    kinds = (*("track",) * 9, "identify", "identify", "alias")
    return [
        draw(touchpoints(number, kinds, PAINFUL, step_seconds=3600, steps=120))
        for number in range(draw(st.integers(min_value=min(4, most), max_value=most)))
    ]


class World(backtest.World):
    """What the stitcher makes of batches, without a database, with the answers that the oracle gives."""

    def __init__(self, *, mailbox_limit: int = bonds.MAILBOX_LIMIT) -> None:
        super().__init__(STAGES, mailbox_limit=mailbox_limit)
        self.subjects: dict[UUID, UUID] = {}

    def add(self, batch: Iterable[Touchpoint]) -> Added:
        """Stitch a batch, each touchpoint once however often it comes."""
        added = super().add(batch)
        self.subjects.update({one.touchpoint.id: one.subject for one in added.stitched})
        return added

    @property
    def people(self) -> dict[UUID, Identifier]:
        """Every identifier by its id."""
        return {one: person.identifier for one, person in self.kin.people.items()}

    @property
    def pointers(self) -> dict[UUID, Pointer]:
        """The pointers of those who have one."""
        return {one: person.pointer for one, person in self.kin.people.items() if person.pointer is not None}

    def roots(self) -> dict[Identifier, UUID]:
        """The customer of each identifier."""
        return {name: self.kin.root(one) for one, name in self.people.items()}

    def entities(self) -> dict[Identifier, Entity]:
        """The things by their names."""
        return {name: entity for one, name in self.things.items() if (entity := self.entity(one)) is not None}

    def owners(self) -> dict[Identifier, UUID | None]:
        """The identifier that owns each thing."""
        return {name: self.claimant(one) for one, name in self.things.items()}


def stitched(batches: Iterable[Sequence[Touchpoint]]) -> World:
    """A world after these batches."""
    world = World()
    for batch in batches:
        world.add(batch)
    return world
