"""Watched stories: one row each, which is its lock and says when it must be judged unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from pathline.storage.connection import Db

_LOCK: Final = "SELECT id, due_at FROM watch WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"

_NEW: Final = """
INSERT INTO watch (id) SELECT id FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, place) ORDER BY place
ON CONFLICT DO NOTHING RETURNING id
"""

_SET: Final = """
UPDATE watch w SET due_at = m.due_at, revision = w.revision + 1
FROM unnest($1::uuid[], $2::timestamptz[]) AS m (id, due_at)
WHERE w.id = m.id AND w.due_at IS DISTINCT FROM m.due_at
"""

MAX_COUNTED: Final = 50_000
"""Where counting ends: some milliseconds' worth of an index."""

_COUNTED: Final = """
SELECT (SELECT count(*) FROM (SELECT FROM watch WHERE due_at IS NOT NULL LIMIT $2) AS w) AS pending,
    (SELECT count(*) FROM (SELECT FROM watch WHERE due_at <= $1 LIMIT $2) AS w) AS late,
    (SELECT min(due_at) FROM watch) AS first
"""

_DUE: Final = "SELECT id FROM watch WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED"


async def lock(db: Db, ids: Iterable[UUID]) -> dict[UUID, datetime | None]:
    """Lock these stories for the rest of the transaction, in the order of their ids; unknown ones get a row.

    Returns:
        When each is due.
    """
    ordered = sorted(set(ids))
    held = {row["id"]: row["due_at"] for row in await db.fetch(_LOCK, ordered)}
    unknown = [one for one in ordered if one not in held]
    if not unknown:
        return held
    # Whose row we make is locked by that. A row that a peer made meanwhile is locked out of order: should that be a
    # deadlock, PostgreSQL ends one of the two, which is tried again.
    held.update(dict.fromkeys(row["id"] for row in await db.fetch(_NEW, unknown)))
    beaten = [one for one in unknown if one not in held]
    if beaten:
        held.update({row["id"]: row["due_at"] for row in await db.fetch(_LOCK, beaten)})
    return held


async def schedule(db: Db, due: Mapping[UUID, datetime | None]) -> None:
    """Say when each of these locked stories is to be judged again; None: only when something changes."""
    await db.execute(_SET, list(due), list(due.values()))


async def hasten(db: Db, story_id: UUID, due: datetime) -> None:
    """Lock a story and have it judged at `due` at the latest."""
    await db.execute(
        "INSERT INTO watch (id, due_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE"
        " SET due_at = least(watch.due_at, excluded.due_at), revision = watch.revision + 1",
        story_id,
        due,
    )


async def take_due(db: Db, until: datetime, limit: int) -> list[UUID]:
    """Lock up to `limit` stories that were due by `until` and that nobody else is judging, longest due first."""
    return [row["id"] for row in await db.fetch(_DUE, until, limit)]


async def due(db: Db, at: datetime) -> tuple[int, int, datetime | None]:
    """How many stories wait for a deadline, how many of these were due by `at`, and since when the first.

    Counting ends at MAX_COUNTED.
    """
    row = await db.fetchrow(_COUNTED, at, MAX_COUNTED)
    if row is None:
        return 0, 0, None
    return row["pending"], row["late"], row["first"]


async def watched(db: Db, ids: Iterable[UUID]) -> list[UUID]:
    """Those of these stories that wait for a deadline."""
    rows = await db.fetch("SELECT id FROM watch WHERE id = ANY($1::uuid[]) AND due_at IS NOT NULL", list(ids))
    return [row["id"] for row in rows]
