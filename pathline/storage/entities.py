"""Reading things, and who owns them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pathline.domain.entities import Entity, claimant_of
from pathline.domain.identifiers import Identifier
from pathline.storage import codec, people

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

MAX_OWNED: Final = 1_000
"""Things of one customer, or parts of one order, that are read at a time: orders first, and by their ids, since
which are read of a till's thousands may not depend on what came first."""

_COLUMNS: Final = "e.id, e.namespace, e.kind, e.value, e.claim, e.order_bond, e.state"

_BONDS: Final = "e.id, e.namespace, e.kind, e.value, e.claim, e.order_bond, '{}'::json AS state"
"""The same for who asks whose it is: the facts, thousands of characters of some, are not read."""

# Each ends where its index does, or at the limit: a till claims thousands.
_CLAIMED: Final = f"""
SELECT f.* FROM unnest($1::uuid[]) AS c (id)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM entity e WHERE e.claimant_id = c.id ORDER BY (e.kind = 'order') DESC, e.id LIMIT $2
) AS f
ORDER BY (f.kind = 'order') DESC, f.id LIMIT $2
"""

_PARTS: Final = f"""
SELECT f.* FROM unnest($1::uuid[]) AS o (id)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS}, e.order_id FROM entity e WHERE e.order_id = o.id ORDER BY e.id LIMIT $2
) AS f
ORDER BY f.id LIMIT $2
"""


def _entity(row: Record) -> Entity:
    return Entity(
        Identifier(row["namespace"], row["kind"], row["value"]),
        codec.state(row["state"]),
        codec.bond(row["claim"]),
        codec.bond(row["order_bond"]),
    )


async def load(db: Db, ids: Iterable[UUID]) -> dict[UUID, Entity]:
    """These things, those that are known."""
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM entity e WHERE e.id = ANY($1::uuid[])", list(ids))
    return {row["id"]: _entity(row) for row in rows}


async def _bonds_of(db: Db, ids: Iterable[UUID]) -> dict[UUID, Entity]:
    rows = await db.fetch(f"SELECT {_BONDS} FROM entity e WHERE e.id = ANY($1::uuid[])", list(ids))
    return {row["id"]: _entity(row) for row in rows}


async def parts_of(db: Db, order_ids: Iterable[UUID]) -> dict[UUID, list[Entity]]:
    """The parcels, checkouts, ... of each of these orders, at most MAX_OWNED in all."""
    wanted = list(order_ids)
    rows = await db.fetch(_PARTS, wanted, MAX_OWNED)
    parts: dict[UUID, list[Entity]] = {order_id: [] for order_id in wanted}
    for row in rows:
        parts[row["order_id"]].append(_entity(row))
    return parts


async def owned_by(db: Db, claimants: Iterable[UUID], limit: int = MAX_OWNED) -> list[Entity]:
    """The things of a customer, given the ids of all the customer's identifiers; at most `limit`."""
    ids = list(claimants)
    rows = await db.fetch(_CLAIMED, ids, limit)
    claimed = {row["id"]: _entity(row) for row in rows}
    orders = [one for one, entity in claimed.items() if entity.identifier.kind == "order"]
    for parts in (await parts_of(db, orders)).values() if orders else ():
        claimed.update((part.id, part) for part in parts)
    elsewhere = {e.order.target for e in claimed.values() if e.order is not None} - claimed.keys()
    known = claimed | (await load(db, elsewhere) if elsewhere else {})
    mine = set(ids)
    owned = [e for e in claimed.values() if claimant_of(e, known.get(e.order.target) if e.order else None) in mine]
    return owned[:limit]


async def owners(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID | None]:
    """The customer id of the owner of each of these things; None for one that nobody owns, or nobody knows."""
    claimed = await claimants(db, ids)
    roots = await people.roots_of(db, [c for c in claimed.values() if c is not None])
    return {one: None if c is None else roots[c] for one, c in claimed.items()}


async def claimants(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID | None]:
    """The identifier that owns each of these things; None for one that nobody owns, or nobody knows."""
    wanted = list(ids)
    known = await _bonds_of(db, wanted)
    orders = {e.order.target for e in known.values() if e.order is not None} - known.keys()
    if orders:
        known |= await _bonds_of(db, orders)
    claimed: dict[UUID, UUID | None] = {}
    for one in wanted:
        entity = known.get(one)
        order = known.get(entity.order.target) if entity is not None and entity.order is not None else None
        claimed[one] = None if entity is None else claimant_of(entity, order)
    return claimed
