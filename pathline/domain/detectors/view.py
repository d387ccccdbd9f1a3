"""What a detector looks at: one thing (or person) within its story, and the facts it offers.

`OFFERED` is the whole list of facts that a detector's file may name, by kind of entity; `offers` has how
each is read. Nothing else can be asked for, and none of them runs code that a file chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.domain.detectors.offers import billing, contact, person, purchase, shipping
from pathline.domain.detectors.offers.offer import Instant, Offers
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.recording import PERSON, RECORDING, Told
from pathline.domain.story import OrderStory, amount, zone_named

CUSTOMER: Final = "customer"
"""The kind of an alert's entity when it is about a person: its value is the id of a strand."""

SESSION: Final = "session"
"""The same of an alert about what a person ran into in a session: the strand again, for sessions come and merge."""

CODE_LENGTH: Final = 3
"""Letters of a currency's code (ISO 4217)."""


class Customer(msgspec.Struct, frozen=True):
    """What detectors ask of the customer who owns a thing. More known never makes a detector hold."""

    named: bool
    """Whether a user_id, an email or a phone is known."""
    orders: tuple[Entity, ...] = ()
    cases: tuple[Entity, ...] = ()
    segments: frozenset[str] = frozenset()
    """In lower case; `business` and `switching` are among them where they are."""
    relation: str | None = None
    """visitor, new, returning or switching."""
    customer_type: str | None = None
    """business or consumer, where it is known."""


ANYONE: Final = Customer(named=True)
"""Who is assumed before anybody was looked up: what does not hold for them holds for nobody."""


class Strand(msgspec.Struct, frozen=True):
    """A person under one identifier."""

    identifier: Identifier
    state: State


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

    @cached_property
    def zone(self) -> ZoneInfo:
        """Where it is delivered, else the deployment's."""
        return self._zone if self.order is None else zone_named(self.order.state.value("zone"), self._zone)

    @cached_property
    def told(self) -> frozenset[str]:
        """Names of the facts and marks of all that is in it."""
        states = [entity.state for entity in self.things] if self.strand is None else [self.strand.state]
        return frozenset(name for state in states for told in (state.facts, state.marks) for name in told)

    def of_kind(self, kind: str) -> tuple[Entity, ...]:
        """Its parcels, its checkouts, ..."""
        return tuple(e for e in self.things if e.identifier.kind == kind)

    @property
    def ids(self) -> tuple[UUID, ...]:
        """What is in it."""
        return tuple(entity.id for entity in self.things) if self.strand is None else (self.id,)

    def views(self) -> Iterator[View]:
        """Everything in it that a detector may look at."""
        for entity in self.things:
            yield View(self, entity.identifier, entity.id, entity.state)
        if self.strand is not None:
            for kind in (CUSTOMER, SESSION):
                named = Identifier(self.strand.identifier.namespace, kind, str(self.id))
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
        self._offers = OFFERED[identifier.kind]
        self._known: dict[str, Instant | tuple[Fact, ...] | None] = {}

    @property
    def kind(self) -> str:
        """Which facts it offers."""
        return self.identifier.kind

    def instant(self, name: str) -> Instant | None:
        """The instant of that name, if it is known."""
        found = self._known[name] if name in self._known else self._read(name)
        assert found is None or isinstance(found, Instant)
        return found

    def marks(self, name: str) -> tuple[Fact, ...]:
        """The marks of that name, oldest first."""
        found = self._known[name] if name in self._known else self._read(name)
        assert not isinstance(found, Instant)
        return found or ()

    def offers_marks(self, name: str) -> bool:
        """Whether the fact of that name is a set of marks."""
        return self._offers[name].shape == "marks"

    @property
    def told(self) -> frozenset[str]:
        """Names of the facts and marks of the thing itself that there are."""
        alone = len(self.story.things) <= 1
        return self.story.told if alone else frozenset((*self.state.facts, *self.state.marks))

    @cached_property
    def last_session(self) -> list[Fact]:
        """What the person did last, found once: every mark of a session is cut by it."""
        return person.last_session(self.state)

    def _read(self, name: str) -> Instant | tuple[Fact, ...] | None:
        """The fact of that name, to be read once: many detectors ask for the same."""
        found = self._known[name] = self._offers[name].read(self)
        return found

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


OFFERED: Final[dict[str, Offers]] = {
    "order": purchase.ORDER,
    "parcel": shipping.PARCEL,
    "checkout": purchase.CHECKOUT,
    "invoice": billing.INVOICE,
    "dispute": billing.DISPUTE,
    "case": contact.CASE,
    CUSTOMER: person.CUSTOMER,
    SESSION: person.SESSION,
}
"""Facts by kind of entity. docs/detectors.md has the same list, made from this one."""

_OFFERS: Final = tuple(offer for offers in OFFERED.values() for offer in offers.values())

CUSTOMER_EVENTS: Final = frozenset(event for offer in _OFFERS for event in offer.told_by)
"""Events after which other things of the same customer must be judged again."""

_OF_PERSONS: Final = frozenset(name for offer in _OFFERS for name in offer.of_person)

PERSON_EVENTS: Final = frozenset(
    event
    for event, lines in RECORDING.items()
    for line in lines
    if PERSON in line.of and not _OF_PERSONS.isdisjoint(line.facts if isinstance(line, Told) else (line.mark,))
)
"""Events that are judged for the person, too: they tell of a strand what some detector may ask. No page view is one."""
