"""What a detector looks at: one thing (or person) within its story, and the facts it offers.

`OFFERED` is the whole list of facts that a detector's file may name, by kind of entity. Nothing
else can be asked for, and none of them runs code that a file chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.story import OrderStory, amount, zone_named

CUSTOMER: Final = "customer"
"""The kind of an alert's entity when it is about a person: its value is the id of a strand."""

CODE_LENGTH: Final = 3
"""Letters of a currency's code (ISO 4217)."""

FOLLOW_UP: Final = "agent"
"""Who must have replied for it to be a follow-up."""


class Customer(msgspec.Struct, frozen=True):
    """What detectors ask of the customer who owns a thing. More known never makes a detector hold."""

    named: bool
    """Whether a user_id, an email or a phone is known."""
    orders: tuple[Entity, ...] = ()
    cases: tuple[Entity, ...] = ()


ANYONE: Final = Customer(named=True)
"""Who is assumed before anybody was looked up: what does not hold for them holds for nobody."""


class Strand(msgspec.Struct, frozen=True):
    """A person under one identifier."""

    identifier: Identifier
    state: State


class Instant(NamedTuple):
    """A point in time that the state tells of, and the messages that told it."""

    at: datetime
    message_ids: tuple[str, ...] = ()
    imported_at: datetime | None = None
    """When what tells it was received, where only history told it."""


class Money(NamedTuple):
    """A sum at stake: a decimal as text, and its currency where known."""

    amount: str
    currency: str | None


class Story:
    """What is judged together: an order with its parts, or one thing without an order, or a strand."""

    def __init__(
        self,
        key: UUID,
        things: Iterable[Entity],
        zone: ZoneInfo,
        *,
        strand: Strand | None = None,
        customers: Mapping[UUID, Customer] | None = None,
    ) -> None:
        """Tell of the `things` of one key, in any order.

        Args:
            key: id of the order, of the one thing, or of the strand.
            things: the order and its parts, or the one thing.
            zone: meant where the order does not say where it goes.
            strand: the person, where the story is about one.
            customers: the owner of each thing (by its id) as far as they were looked up; ANYONE else.
        """
        self.id = key
        self.things = tuple(sorted(things, key=lambda e: (e.identifier.kind, e.identifier.value)))
        self.strand = strand
        self.customers = customers or {}
        self._zone = zone
        self.order = next((e for e in self.things if e.id == key and e.identifier.kind == "order"), None)

    def knowing(self, customers: Mapping[UUID, Customer]) -> Story:
        """The same story with these customers looked up."""
        return Story(self.id, self.things, self._zone, strand=self.strand, customers={**self.customers, **customers})

    @cached_property
    def purchase(self) -> OrderStory | None:
        """The order with its parts, where there is one."""
        if self.order is None:
            return None
        return OrderStory(self.order, (e for e in self.things if e is not self.order), self._zone)

    @property
    def zone(self) -> ZoneInfo:
        """Where it is delivered, else the deployment's."""
        return self._zone if self.order is None else zone_named(self.order.state.value("zone"), self._zone)

    def of_kind(self, kind: str) -> tuple[Entity, ...]:
        """Its parcels, its checkouts, ..."""
        return tuple(e for e in self.things if e.identifier.kind == kind)

    def views(self) -> Iterator[View]:
        """Everything in it that a detector may look at."""
        for entity in self.things:
            yield View(self, entity.identifier, entity.id, entity.state)
        if self.strand is not None:
            named = Identifier(self.strand.identifier.namespace, CUSTOMER, str(self.id))
            yield View(self, named, self.id, self.strand.state)


class View:
    """One thing or person in its story."""

    def __init__(self, story: Story, identifier: Identifier, entity_id: UUID, state: State) -> None:
        """Look at the entity of this id and state."""
        self.story = story
        self.identifier = identifier
        self.id = entity_id
        self.state = state
        self.customer = story.customers.get(entity_id, ANYONE)

    @property
    def kind(self) -> str:
        """Which facts it offers."""
        return self.identifier.kind

    def instant(self, name: str) -> Instant | None:
        """The instant of that name, if it is known."""
        found = OFFERED[self.kind][name].read(self)
        assert found is None or isinstance(found, Instant)
        return found

    def marks(self, name: str) -> tuple[Fact, ...]:
        """The marks of that name, oldest first."""
        found = OFFERED[self.kind][name].read(self)
        assert not isinstance(found, Instant)
        return found or ()

    def money(self) -> Money | None:
        """What is at stake."""
        tells = self.story.order.state if self.kind in {"parcel", "case"} and self.story.order else self.state
        sum_told = amount(tells.value("total")) if tells.value("value") is None else amount(tells.value("value"))
        currency = tells.value("currency")
        if sum_told is None:
            # Who pays for a checkout of which no sum was told says with the payment what it is of.
            paid = ((fact.value or {}) for fact in reversed(tells.marks.get("payments", ())))
            sum_told, currency = next(
                ((told, one.get("currency")) for one in paid if (told := amount(one.get("amount"))) is not None),
                (None, None),
            )
        if sum_told is None:
            return None
        known = isinstance(currency, str) and currency.isascii() and currency.isalpha() and len(currency) == CODE_LENGTH
        return Money(f"{sum_told:f}", currency.upper() if known else None)


class Offer(NamedTuple):
    """A fact that a file may name."""

    shape: Literal["instant", "marks"]
    words: str
    """What it tells, for the documentation."""
    read: Callable[[View], Instant | tuple[Fact, ...] | None]
    of_customer: bool = False
    """Whether it is asked of the owner, who has to be looked up."""
    told_by: tuple[str, ...] = ()
    """Events that tell it of other things of the customer, so that these must be looked at again."""


def _instant(fact: Fact | None) -> Instant | None:
    return None if fact is None else Instant(fact.at, (fact.message_id,), fact.imported_at)


def _fact(name: str) -> Callable[[View], Instant | None]:
    return lambda view: _instant(view.state.facts.get(name))


def _own_marks(name: str) -> Callable[[View], tuple[Fact, ...]]:
    return lambda view: view.state.marks.get(name, ())


def _end(until: datetime | None, told: Fact | None) -> Instant | None:
    """The end of a promise, and what told it."""
    return None if until is None or told is None else Instant(until, (told.message_id,), told.imported_at)


def _promised_until(view: View) -> Instant | None:
    purchase = view.story.purchase
    return None if purchase is None else _end(purchase.promised_until, view.state.facts.get("promised"))


def _first_promised_until(view: View) -> Instant | None:
    purchase = view.story.purchase
    return None if purchase is None else _end(purchase.first_promised_until, view.state.facts.get("promised_first"))


def _reached(name: str) -> Callable[[View], Instant | None]:
    return lambda view: None if view.story.purchase is None else _instant(view.story.purchase.reached(name))


def _parcel_reached(name: str) -> Callable[[View], Instant | None]:
    """Of a parcel: by its own scan, or by a report that names only the order and so means all of it."""

    def read(view: View) -> Instant | None:
        order = view.story.order
        told = [view.state.facts.get(name), None if order is None else order.state.facts.get(name)]
        return _instant(min((f for f in told if f is not None), key=lambda f: (f.at, f.message_id), default=None))

    return read


def _cancelled(view: View) -> Instant | None:
    return None if view.story.purchase is None else _instant(view.story.purchase.cancelled)


def _refunded(view: View) -> Instant | None:
    return None if view.story.purchase is None else _instant(view.story.purchase.refunded)


def _purchase_payments(view: View) -> tuple[Fact, ...]:
    """Its own payments; of a checkout also those of its order, of an order also those of its checkouts."""
    order = view.story.order
    others: tuple[Entity, ...] = view.story.of_kind("checkout") if view.kind == "order" else (order,) if order else ()
    facts = [*view.state.marks.get("payments", ())]
    for other in others:
        facts += other.state.marks.get("payments", ())
    return tuple(sorted(facts, key=lambda f: (f.at, f.message_id)))


def _ordered(view: View) -> Instant | None:
    """The order that a checkout became: its own, or one that its customer placed at or after it started."""
    told = [view.state.facts.get("completed")]
    if view.story.order is not None:
        told.append(view.story.order.state.facts.get("placed"))
    started = view.state.at("started")
    if started is not None:
        placed = (order.state.facts.get("placed") for order in view.customer.orders)
        told += [fact for fact in placed if fact is not None and fact.at >= started]
    return _instant(min((f for f in told if f is not None), key=lambda f: (f.at, f.message_id), default=None))


def _contactable(view: View) -> Instant | None:
    first = view.state.first_seen_at or view.state.at("active")
    return Instant(first) if view.customer.named and first is not None else None


def _follow_ups(view: View) -> tuple[Fact, ...]:
    """What an agent did about it: replies, and the closing of a case; in its own case or any of the customer's."""
    cases = {case.id: case.state for case in (*view.story.of_kind("case"), *view.customer.cases)}
    if view.kind == "case":
        cases[view.id] = view.state
    facts: list[Fact] = []
    for state in cases.values():
        facts += (f for f in state.marks.get("replies", ()) if (f.value or {}).get("by") == FOLLOW_UP)
        closed = state.facts.get("closed")
        if closed is not None:
            facts.append(closed)
    return tuple(sorted(facts, key=lambda f: (f.at, f.message_id)))


_SURVEYS: Final = Offer("marks", "answers to surveys that name it", _own_marks("surveys"))
_FOLLOW_UPS: Final = Offer(
    "marks",
    "replies by an agent and closings, in its case or any case of the customer",
    _follow_ups,
    of_customer=True,
    told_by=("Contact Replied", "Contact Closed"),
)
_PAYMENTS: Final = Offer("marks", "its own payments; `outcome` is failed or succeeded", _own_marks("payments"))
_PURCHASE_PAYMENTS: Final = Offer(
    "marks", "payments of the purchase: its own, and those of its order or its checkouts", _purchase_payments
)
_SCANS: Final = Offer(
    "marks", "scans that name it, and for an order no parcel; `status` as reported", _own_marks("scans")
)

OFFERED: Final[dict[str, dict[str, Offer]]] = {
    "order": {
        "placed": Offer("instant", "the order was completed", _fact("placed")),
        "promised_until": Offer("instant", "the end of the promise as it stands", _promised_until),
        "first_promised_until": Offer("instant", "the end of the promise as first told", _first_promised_until),
        "out_for_delivery": Offer("instant", "all of it was out for delivery", _reached("out_for_delivery")),
        "delivered": Offer("instant", "all of it was delivered", _reached("delivered")),
        "cancelled": Offer("instant", "the whole order was cancelled", _cancelled),
        "refunded": Offer("instant", "the whole order was refunded", _refunded),
        "return_requested": Offer("instant", "the customer asked to return it", _fact("return_requested")),
        "scans": _SCANS,
        "payments": _PAYMENTS,
        "purchase_payments": _PURCHASE_PAYMENTS,
        "surveys": _SURVEYS,
        "follow_ups": _FOLLOW_UPS,
    },
    "parcel": {
        "created": Offer("instant", "its label was made", _fact("created")),
        "out_for_delivery": Offer("instant", "it was out for delivery", _parcel_reached("out_for_delivery")),
        "delivered": Offer("instant", "it was delivered", _parcel_reached("delivered")),
        "scans": _SCANS,
    },
    "checkout": {
        "started": Offer("instant", "the checkout was started", _fact("started")),
        "active": Offer("instant", "the last touchpoint that named it", _fact("active")),
        "ordered": Offer(
            "instant",
            "it became an order, or its customer placed one since it started",
            _ordered,
            of_customer=True,
            told_by=("Order Completed",),
        ),
        "contactable": Offer(
            "instant",
            "known from the start where its owner has a user_id, email or phone",
            _contactable,
            of_customer=True,
        ),
        "payments": _PAYMENTS,
        "purchase_payments": _PURCHASE_PAYMENTS,
    },
    "case": {
        "opened": Offer("instant", "the case was opened", _fact("opened")),
        "accepted": Offer("instant", "a person took it", _fact("accepted")),
        "closed": Offer("instant", "the case was last closed", _fact("closed")),
        "surveys": _SURVEYS,
        "follow_ups": _FOLLOW_UPS,
    },
    CUSTOMER: {
        "surveys": Offer("marks", "answers to surveys that name no case and no order", _own_marks("surveys")),
        "follow_ups": _FOLLOW_UPS,
    },
}
"""Facts by kind of entity. docs/detectors.md has the same list; a test holds the two together."""

CUSTOMER_EVENTS: Final = frozenset(
    event for offers in OFFERED.values() for offer in offers.values() for event in offer.told_by
)
"""Events after which other things of the same customer must be judged again."""
