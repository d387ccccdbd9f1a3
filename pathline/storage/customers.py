"""Reading a customer whole: the people and things under one root, and what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain.detectors.view import CUSTOMER, SESSION
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import STRENGTH
from pathline.storage import codec, entities, people, strands, touchpoints
from pathline.storage.people import Family
from pathline.storage.touchpoints import Stored

if TYPE_CHECKING:
    from pathline.domain.alerts import Alert
    from pathline.storage.connection import Db

MAX_CAUSES: Final = 100
"""Touchpoints that are shown as the cause of one alert."""

_OF_MESSAGES: Final = f"""
SELECT {touchpoints.COLUMNS}
FROM touchpoint
WHERE subject = ANY($1::uuid[]) AND occurred_at = ANY($2::timestamptz[]) AND message_id = ANY($3::text[])
ORDER BY occurred_at, id LIMIT $4
"""

_CALLED: Final = """
SELECT i.id, i.kind, i.value, s.state FROM identifier i LEFT JOIN strand s ON s.id = i.id
WHERE i.id = ANY($1::uuid[])
"""


class Whole(msgspec.Struct, frozen=True):
    """A customer with everything that is read of them."""

    family: Family
    strands: dict[UUID, State]
    """What each of their identifiers was met with; one nobody acted under has none."""
    things: list[Entity]
    """What they own; at most entities.MAX_OWNED."""

    @property
    def id(self) -> UUID:
        """The customer's id."""
        return self.family.root

    @property
    def truncated(self) -> bool:
        """Whether there is more than was read."""
        return self.family.truncated or len(self.things) >= entities.MAX_OWNED

    @property
    def states(self) -> Iterable[State]:
        """Of all people and things."""
        return (*self.strands.values(), *(thing.state for thing in self.things))

    @property
    def subjects(self) -> list[UUID]:
        """The strands and things that have touchpoints."""
        people_ids = [one for one, state in self.strands.items() if state.count]
        return people_ids + [thing.id for thing in self.things if thing.state.count]

    @property
    def first_act_at(self) -> datetime | None:
        """When the person first did something; what was reported about their things does not count."""
        return min((s.first_seen_at for s in self.strands.values() if s.first_seen_at is not None), default=None)

    @property
    def alertable(self) -> list[UUID]:
        """Everything an alert about this customer may be of."""
        return [*self.family.people, *(thing.id for thing in self.things)]

    @property
    def orders(self) -> list[Entity]:
        """Their orders, newest first."""
        found = [thing for thing in self.things if thing.identifier.kind == "order"]
        return sorted(found, key=_began, reverse=True)

    def parts_of(self, order: Entity) -> list[Entity]:
        """The parcels, checkouts, ... of one of their orders."""
        one = order.id
        return [thing for thing in self.things if thing.order is not None and thing.order.target == one]

    @property
    def order_ids(self) -> dict[UUID, str]:
        """What their orders are called, by the ids that their parts refer to."""
        return {thing.id: thing.identifier.value for thing in self.things if thing.identifier.kind == "order"}


class Caller(msgspec.Struct, frozen=True):
    """How a customer is called in a list: by name where one is known, else by the root's own identifier."""

    id: UUID
    kind: str
    value: str
    name: str | None


async def resolve(db: Db, one: UUID) -> UUID | None:
    """The customer that an id belongs to now, or None for one that nobody was ever met under."""
    root = (await people.roots_of(db, [one]))[one]
    known = await db.fetchval("SELECT true FROM identifier WHERE id = $1", root)
    return root if known else None


async def lookup(db: Db, kind: str, value: str) -> UUID | None:
    """The customer met under this name, or who owns this thing; `default` before other namespaces."""
    ids = await people.lookup_ids(db, kind, value)
    if kind in STRENGTH:
        rows = await db.fetch("SELECT id FROM identifier WHERE id = ANY($1::uuid[])", ids)
        known = {row["id"] for row in rows}
        first = next((one for one in ids if one in known), None)
        return None if first is None else (await people.roots_of(db, [first]))[first]
    owners = await entities.owners(db, ids)
    return next((owner for one in ids if (owner := owners[one]) is not None), None)


async def whole(db: Db, root: UUID) -> Whole:
    """Everything of a customer, given the root that `resolve` or `lookup` answered."""
    family = await people.family(db, root)
    ids = list(family.people)
    return Whole(family, await strands.load(db, ids), await entities.owned_by(db, ids))


async def callers(db: Db, ids: Collection[UUID]) -> dict[UUID, Caller]:
    """How each of these customers is called. The name is the root's; a list does not read whole families."""
    rows = await db.fetch(_CALLED, list(ids))
    return {
        row["id"]: Caller(row["id"], row["kind"], row["value"], name_of([row["state"]] if row["state"] else []))
        for row in rows
    }


def name_of(states: Iterable[str | State]) -> str | None:
    """The name last told."""
    read = (codec.state(one) if isinstance(one, str) else one for one in states)
    told: list[Fact] = [fact for state in read if (fact := state.facts.get("name")) is not None]
    last = max(told, key=lambda fact: (fact.at, fact.message_id), default=None)
    return None if last is None else str(last.value)


async def of_alerts(db: Db, alerts: Iterable[Alert]) -> dict[UUID, UUID]:
    """The customer of each alert (by the alert's id), for those that have one."""
    listed = list(alerts)
    of_people = {alert.entity_id for alert in listed if alert.entity_kind in {CUSTOMER, SESSION}}
    of_things = {alert.entity_id for alert in listed} - of_people
    roots: dict[UUID, UUID | None] = {}
    if of_people:
        roots |= await people.roots_of(db, of_people)
    if of_things:
        roots |= await entities.owners(db, of_things)
    return {alert.id: root for alert in listed if (root := roots.get(alert.entity_id)) is not None}


async def causes(db: Db, alert: Alert, subjects: Iterable[UUID], states: Iterable[State]) -> list[Stored]:
    """The touchpoints that caused an alert, oldest first.

    When each happened is in the facts, so that only those moments of the index are read.

    Args:
        db: a connection.
        alert: whose causes.
        subjects: strands and things that they may belong to.
        states: of the story that was judged.
    """
    wanted = set(alert.why)
    when = told_at(states)
    times = {when[one] for one in wanted if one in when}
    ids = {*subjects, alert.entity_id, alert.story_id}
    if not times:
        return []
    rows = await db.fetch(_OF_MESSAGES, list(ids), list(times), list(wanted), MAX_CAUSES)
    return [touchpoints.stored(row) for row in rows]


def told_at(states: Iterable[State]) -> Mapping[str, datetime]:
    """When each message that a fact or a mark remembers happened."""
    told: dict[str, datetime] = {}
    for state in states:
        for fact in (*state.facts.values(), *(mark for marks in state.marks.values() for mark in marks)):
            told[fact.message_id] = fact.at
    return told


def _began(order: Entity) -> tuple[float, str]:
    at = order.state.at("placed") or order.state.first_seen_at or order.state.at("promised")
    return (0.0 if at is None else at.timestamp(), order.identifier.value)
