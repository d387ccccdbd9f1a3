"""Stories: gathering what is judged together, and what detectors ask of the customers who own it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.domain.detectors.owners import customer_of
from pathline.domain.detectors.view import Customer, Story, Strand
from pathline.domain.entities import Entity
from pathline.domain.identifiers import NAMED, Identifier
from pathline.domain.people import MAX_STEPS, MAX_STRANDS
from pathline.storage import codec, entities, people, strands
from pathline.storage.stitching import check_version

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

MAX_PARTS: Final = 200
"""Parts of one order that are judged with it."""

MAX_NEAR: Final = 1_000
"""Identifiers that are looked through below each name of a customer, for what is to be judged anew."""

_COLUMNS: Final = "e.id, e.namespace, e.kind, e.value, e.claim, e.order_id, e.order_bond, e.state, e.fold_version"

_PARTS: Final = f"""
SELECT p.* FROM unnest($1::uuid[]) AS o (id)
CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM entity e WHERE e.order_id = o.id ORDER BY e.id LIMIT {MAX_PARTS}) AS p
"""

_STRANDS: Final = """
SELECT s.id, i.namespace, i.kind, i.value, s.state, s.fold_version
FROM strand s JOIN identifier i ON i.id = s.id WHERE s.id = ANY($1::uuid[])
"""

# A superset on purpose, links to tills and links that an operator cut included: judging what is the same is harmless.
# Of what a till claims the index is read from both of its ends, orders first and all else first, as far as the limit.
# What was never alerted does not change its mind, but for a case, of which another may make a repetition, and a
# checkout, whose visitor may be known now; it may name an order that nobody placed. Lateral, and not EXISTS, for which
# PostgreSQL hashes all alerts.
# Each name's own are looked for apart, the nearest first, so that one who has thousands hides nobody else's.
_NEIGHBOURS: Final = """
WITH near AS MATERIALIZED (
    SELECT DISTINCT found.id FROM unnest($1::uuid[]) AS r (id) CROSS JOIN LATERAL (
        WITH RECURSIVE down (id, depth) AS (
            SELECT r.id, 0
          UNION
            SELECT c.id, down.depth + 1 FROM down CROSS JOIN LATERAL (
                (
                    SELECT i.id FROM identifier i WHERE i.parent_id = down.id
                    ORDER BY i.strength, i.parent_at DESC LIMIT $2
                )
              UNION ALL
                (SELECT l.child_id FROM operator_link l WHERE l.parent_id = down.id LIMIT $2)
            ) AS c
            WHERE down.depth < $4
        )
        SELECT down.id FROM down LIMIT $8
    ) AS found
), owned AS (
    SELECT f.* FROM near CROSS JOIN LATERAL (
        (
            SELECT e.id, e.kind, e.order_id FROM entity e
            WHERE e.claimant_id = near.id ORDER BY (e.kind = 'order') DESC, e.id LIMIT $5
        )
      UNION ALL
        (
            SELECT e.id, e.kind, e.order_id FROM entity e
            WHERE e.claimant_id = near.id ORDER BY (e.kind = 'order'), e.id DESC LIMIT $5
        )
    ) AS f
), asked AS (
    SELECT id, kind IN ('case', 'checkout') AS may_change FROM owned
  UNION
    SELECT p.id, p.may_change FROM owned o CROSS JOIN LATERAL (
        SELECT e.id, e.kind IN ('case', 'checkout') AS may_change
        FROM entity e WHERE e.order_id = o.id ORDER BY e.id LIMIT $6
    ) AS p
    WHERE o.kind = 'order' AND (p.may_change OR $7 IN ('parts', 'waiting'))
  UNION
    SELECT id, false FROM near
)
SELECT n.id FROM asked n CROSS JOIN LATERAL (SELECT FROM alert a WHERE a.entity_id = n.id LIMIT 1) AS alerted
UNION
SELECT id FROM asked WHERE may_change OR $7 = 'all'
UNION
SELECT n.id FROM asked n CROSS JOIN LATERAL (
    SELECT FROM watch w WHERE w.id = n.id AND w.due_at IS NOT NULL LIMIT 1
) AS waiting
WHERE $7 = 'waiting'
LIMIT $3
"""


Which = Literal["alerted", "parts", "waiting", "all"]


class Gathered(msgspec.Struct, frozen=True):
    """Stories by key, and those asked for that are part of another one's."""

    stories: dict[UUID, Story]
    elsewhere: dict[UUID, UUID]
    """Key of a thing that has met its order -> that order."""
    ids: list[UUID]
    """What is in the stories: as the tables say it, which saves working each out from its name."""


async def keys_of(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The story of each of these things or strands: that of its order, else its own."""
    wanted = set(ids)
    rows = await db.fetch(
        "SELECT id, order_id FROM entity WHERE id = ANY($1::uuid[]) AND order_id IS NOT NULL", list(wanted)
    )
    orders = {row["id"]: row["order_id"] for row in rows}
    return {one: orders.get(one, one) for one in wanted}


async def gather(db: Db, keys: Iterable[UUID], zone: ZoneInfo) -> Gathered:
    """The stories of these keys; one of which nothing is known is not in the answer.

    Raises:
        NewerStateError: a newer version wrote one of them.
    """
    wanted = list(keys)
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM entity e WHERE e.id = ANY($1::uuid[])", wanted)
    elsewhere = {row["id"]: row["order_id"] for row in rows if row["order_id"] is not None}
    things = {row["id"]: [_entity(row)] for row in rows if row["order_id"] is None}
    ids = list(things)
    unknown = [key for key in wanted if key not in things and key not in elsewhere]
    persons = await _strands(db, unknown) if unknown else {}
    ids += persons
    orders = [key for key, (entity, *_) in things.items() if entity.identifier.kind == "order"]
    orders += [key for key in unknown if key not in persons]
    if orders:
        for row in await db.fetch(_PARTS, orders):
            things.setdefault(row["order_id"], []).append(_entity(row))
            ids.append(row["id"])
    stories = {key: Story(key, parts, zone) for key, parts in things.items()}
    stories |= {key: Story(key, (), zone, strand=strand) for key, strand in persons.items()}
    return Gathered(stories, elsewhere, ids)


async def customers_of(db: Db, ids: Collection[UUID]) -> dict[UUID, Customer]:
    """The customer who owns each of these things, or is behind each of these strands, as far as detectors ask."""
    owned = await entities.owners(db, ids)
    things = {one: root for one, root in owned.items() if root is not None}
    unowned = [one for one in ids if one not in things]
    known = {row["id"] for row in await db.fetch("SELECT id FROM entity WHERE id = ANY($1::uuid[])", unowned)}
    visitors = [one for one in unowned if one not in known]
    roots = {**things, **(await people.roots_of(db, visitors))}
    kinds = await _kinds(db, set(roots.values()))
    customers = {root: await _customer(db, root, named=kinds.get(root) in NAMED) for root in set(roots.values())}
    nobody = Customer(named=False)
    return {one: customers[roots[one]] if one in roots else nobody for one in ids}


async def neighbours(
    db: Db, people_ids: Collection[UUID], things: Collection[UUID], limit: int, *, which: Which = "alerted"
) -> list[UUID]:
    """What hangs on what a customer does elsewhere: checkouts, cases, whatever was alerted; at most `limit`.

    Args:
        db: a connection.
        people_ids: identifiers of the customers.
        things: things whose owners are meant, too.
        limit: how many at most, of all the customers.
        which: also what was alerted of the parts of their orders, which a customer answers nowhere else; also what
            waits for a deadline, which may be another one for a customer of other segments; or all, parts by orders.
    """
    claimants = (await entities.claimants(db, things)).values() if things else ()
    asked = {*people_ids, *(one for one in claimants if one is not None)}
    if not asked:
        return []
    roots = set(people_ids) | await people.joined_roots(db, asked)
    bounds = MAX_STRANDS, limit, MAX_STEPS, entities.MAX_OWNED, MAX_PARTS
    rows = await db.fetch(_NEIGHBOURS, list(roots), *bounds, which, MAX_NEAR)
    return [row["id"] for row in rows]


async def _customer(db: Db, root: UUID, *, named: bool) -> Customer:
    family = await people.family(db, root)
    owned = await entities.owned_by(db, family.people)
    states = await strands.load(db, family.people)
    return customer_of(owned, states.values(), named=named)


async def _kinds(db: Db, ids: Iterable[UUID]) -> dict[UUID, str]:
    rows = await db.fetch("SELECT id, kind FROM identifier WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row["kind"] for row in rows}


async def _strands(db: Db, ids: list[UUID]) -> dict[UUID, Strand]:
    rows = await db.fetch(_STRANDS, ids)
    for row in rows:
        check_version(row["id"], row["fold_version"])
    return {
        row["id"]: Strand(Identifier(row["namespace"], row["kind"], row["value"]), codec.state(row["state"]))
        for row in rows
    }


def _entity(row: Record) -> Entity:
    check_version(row["id"], row["fold_version"])
    return Entity(
        Identifier(row["namespace"], row["kind"], row["value"]),
        codec.state(row["state"]),
        codec.bond(row["claim"]),
        codec.bond(row["order_bond"]),
    )
