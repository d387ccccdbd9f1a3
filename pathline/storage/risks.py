"""Customers whose alerts may add up: who is to be looked at, the lock of each, and all that was ever alerted of them.

Whoever changes an alert adds a look in the same transaction, and locks nothing for it. Lock order of whoever takes one:
the customer's row here, then their composite alerts. Stores never commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pathline.domain.alerts import Alert
from pathline.domain.composing import Troubled
from pathline.storage import alerts, customers, entities, people, stories

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_THINGS: Final = 10_000
"""Things with alerts that are read in one transaction, of all its customers."""

MAX_ALERTS: Final = 5_000
"""Alerts that are read in one transaction, of all its customers: those that opened last."""

# An array, as a subquery could be asked once for every row.
_TAKE: Final = """
DELETE FROM risk_look
WHERE id = ANY(ARRAY(SELECT id FROM risk_look ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING entity_id
"""

_OF_STORIES: Final = f"""
INSERT INTO risk_look (entity_id)
SELECT DISTINCT entity_id FROM alert WHERE story_id = ANY($1::uuid[]) AND {alerts.IS_ALIVE}
"""

# Locks in the order of the ids, and those that are not there yet by making them.
_LOCK: Final = """
INSERT INTO customer_risk (id) SELECT id FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, place) ORDER BY place
ON CONFLICT (id) DO UPDATE SET due_at = customer_risk.due_at
"""

_DUE: Final = "SELECT id FROM customer_risk WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED"

_SCHEDULE: Final = """
UPDATE customer_risk r SET due_at = m.due_at FROM unnest($1::uuid[], $2::timestamptz[]) AS m (id, due_at)
WHERE r.id = m.id AND r.due_at IS DISTINCT FROM m.due_at
"""

_ALERTS: Final = f"""
WITH theirs AS MATERIALIZED (SELECT {alerts.COLUMNS} FROM alert WHERE entity_id = ANY($1::uuid[]))
SELECT {alerts.COLUMNS} FROM theirs WHERE NOT shadow OR detector = ANY($2::text[])
ORDER BY opened_at DESC, id DESC LIMIT $3
"""

_OWN: Final = f"""
SELECT {alerts.COLUMNS} FROM alert
WHERE entity_id = ANY($1::uuid[]) AND detector = ANY($2::text[]) AND {alerts.IS_ALIVE} ORDER BY id FOR UPDATE
"""


async def ask_of_stories(db: Db, keys: Collection[UUID]) -> None:
    """Have the customers looked at of whatever is alerted in these stories."""
    if keys:
        await db.execute(_OF_STORIES, list(keys))


async def take(db: Db, limit: int) -> list[UUID]:
    """Up to `limit` things and strands whose customers are to be looked at, that no peer took; they are taken out."""
    return [row["entity_id"] for row in await db.fetch(_TAKE, limit)]


async def lock(db: Db, roots: Iterable[UUID]) -> None:
    """Lock these customers for the rest of the transaction, in the order of their ids."""
    await db.execute(_LOCK, sorted(set(roots)))


async def take_due(db: Db, until: datetime, limit: int) -> list[UUID]:
    """Lock up to `limit` customers who were due by `until` and whom nobody else looks at."""
    return [row["id"] for row in await db.fetch(_DUE, until, limit)]


async def schedule(db: Db, due: Mapping[UUID, datetime | None]) -> None:
    """Say when each of these locked customers is to be looked at again; of who is not, nothing is kept."""
    over = [root for root, at in due.items() if at is None]
    later = {root: at for root, at in due.items() if at is not None}
    if over:
        await db.execute("DELETE FROM customer_risk WHERE id = ANY($1::uuid[])", over)
    if later:
        await db.execute(_SCHEDULE, list(later), list(later.values()))


async def roots(db: Db, ids: Collection[UUID]) -> set[UUID]:
    """The customers who own these things, or are behind these strands."""
    wanted = set(ids)
    owned = {root for root in (await entities.owners(db, wanted)).values() if root is not None}
    strands = (await people.load(db, wanted)).keys()
    return owned | set((await people.roots_of(db, strands)).values() if strands else ())


async def load(db: Db, ids: Collection[UUID], composites: Collection[str]) -> list[Troubled]:
    """These locked customers with all that was alerted of them; their composite alerts that last are locked."""
    known = await people.load(db, ids)
    near = await stories.neighbours(db, list(known), (), MAX_THINGS, which="parts")
    if not near:
        return [Troubled(root, person.identifier, ()) for root, person in known.items()]
    names = list(composites)
    locked = {row["id"]: alerts.alert_of(row) for row in await db.fetch(_OWN, near, names)}
    found = [alerts.alert_of(row) for row in await db.fetch(_ALERTS, near, names, MAX_ALERTS)]
    # Whoever asked for a lock a moment earlier has been waited for by now: what was read after it is the newest.
    newest = {**{one.id: one for one in found}, **locked}
    owner = await customers.of_alerts(db, newest.values())
    of: dict[UUID, list[Alert]] = {root: [] for root in known}
    for one in newest.values():
        if (root := owner.get(one.id)) in of and root is not None:
            of[root].append(one)
    return [Troubled(root, person.identifier, of[root]) for root, person in known.items()]


async def inherit(db: Db, detector: str, causes: Collection[str], ended: UUID, stays: UUID) -> None:
    """What an alert spent that was merged into another is that one's from now on."""
    await db.execute(
        "UPDATE alert_cause SET alert_id = $4 WHERE detector = $1 AND cause = ANY($2::text[]) AND alert_id = $3",
        detector,
        list(causes),
        ended,
        stays,
    )
