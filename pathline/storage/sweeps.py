"""How far a change of detectors has come: every story is judged again by the rules that count, by one scorer at a time.

The rules that count are those of the scorer that changed its own last. While another one runs others, what it judges
is by them; so it says that it disturbs, and once nobody has for QUIET, all is judged again. That ends when all run the
same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from pathline.storage.connection import Db

QUIET: Final = timedelta(seconds=30)
"""A scorer that was killed has said so at most this long before its last judgement."""

RECENT: Final = timedelta(seconds=30)
"""Who was seen in this time is there."""

LEASE: Final = timedelta(seconds=30)
"""A sweep whose scorer does not go on for so long is another's."""

NOBODY: Final = UUID(int=0)

_ALL: Final = 2**128

_CLAIM: Final = """
UPDATE detector_sweep SET owner = $1, leased_until = clock_timestamp() + $3::interval
WHERE id = 1 AND rules = $2 AND finished_at IS NULL
  AND (owner = $1 OR owner IS NULL OR leased_until < clock_timestamp())
RETURNING generation, done_to
"""

_AGAIN: Final = """
UPDATE detector_sweep SET started_at = clock_timestamp(), done_to = NULL, judged = 0, finished_at = NULL, owner = NULL,
    generation = generation + 1
WHERE id = 1 AND rules = $1 AND started_at < disturbed_at + $2::interval
  AND disturbed_at + $2::interval < clock_timestamp()
"""

_ADVANCE: Final = """
UPDATE detector_sweep SET done_to = coalesce($3, done_to), judged = judged + $4,
    finished_at = CASE WHEN $5 THEN clock_timestamp() END, leased_until = clock_timestamp() + $6::interval
WHERE id = 1 AND owner = $1 AND generation = $2
"""


class Sweep(msgspec.Struct, frozen=True):
    """Where it stands. `share` is the part of all stories that is done: ids are hashes, and so spread evenly."""

    rules: str
    started_at: datetime
    finished_at: datetime | None
    judged: int
    share: float
    quiet: bool
    """Whether nobody judged by other rules for QUIET."""


class Claimed(msgspec.Struct, frozen=True):
    """A sweep that this scorer goes on with, from the story after `done_to`."""

    generation: int
    done_to: UUID


class Scorer(msgspec.Struct, frozen=True):
    """A scorer that runs, by which rules, and what is wrong with its files."""

    instance: str
    rules: str
    faults: list[dict[str, Any]]
    seen_at: datetime


async def publish(db: Db, rules: str) -> bool:
    """Say that these rules count from now on; False where they do already. In a transaction, behind its lock."""
    held: str | None = await db.fetchval("SELECT rules FROM detector_sweep WHERE id = 1 FOR UPDATE")
    if held == rules:
        return False
    await db.execute(
        "INSERT INTO detector_sweep (id, rules) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET rules = excluded.rules,"
        " started_at = clock_timestamp(), done_to = NULL, judged = 0, finished_at = NULL, owner = NULL,"
        " generation = detector_sweep.generation + 1",
        rules,
    )
    return True


async def announce(db: Db, process: UUID, instance: str, rules: str, faults: str) -> None:
    """Say that this scorer runs, by which rules, and what is wrong with its files."""
    await db.execute(
        "INSERT INTO scorer_process (id, instance, rules, faults, seen_at)"
        " VALUES ($1, $2, $3, $4::json, clock_timestamp()) ON CONFLICT (id) DO UPDATE"
        " SET rules = excluded.rules, faults = excluded.faults, seen_at = excluded.seen_at",
        process,
        instance,
        rules,
        faults,
    )
    await db.execute("DELETE FROM scorer_process WHERE seen_at < clock_timestamp() - interval '1 hour'")


async def leave(db: Db, process: UUID) -> None:
    """Say that this scorer runs no more."""
    await db.execute("DELETE FROM scorer_process WHERE id = $1", process)


async def disturb(db: Db) -> None:
    """Say that a scorer judged by other rules until now."""
    await db.execute("UPDATE detector_sweep SET disturbed_at = clock_timestamp() WHERE id = 1")


async def scorers(db: Db) -> list[Scorer]:
    """Who runs."""
    rows = await db.fetch(
        "SELECT instance, rules, faults, seen_at FROM scorer_process WHERE seen_at > clock_timestamp() - $1::interval"
        " ORDER BY instance, id",
        RECENT,
    )
    return [Scorer(**{**dict(row), "faults": msgspec.json.decode(row["faults"])}) for row in rows]


async def standing(db: Db) -> Sweep | None:
    """Where the sweep stands; None before the first."""
    row = await db.fetchrow(
        "SELECT rules, started_at, finished_at, judged, done_to,"
        " disturbed_at IS NULL OR disturbed_at + $1::interval < clock_timestamp() AS quiet"
        " FROM detector_sweep WHERE id = 1",
        QUIET,
    )
    if row is None:
        return None
    values = dict(row)
    done_to = values.pop("done_to")
    share = 1.0 if values["finished_at"] is not None else 0.0 if done_to is None else done_to.int / _ALL
    return Sweep(**values, share=share)


async def again(db: Db, rules: str) -> bool:
    """Begin anew where a sweep of these rules began before the last disturbance was over, and it is over now."""
    status: str = await db.execute(_AGAIN, rules, QUIET)
    return not status.endswith(" 0")


async def claim(db: Db, process: UUID, rules: str) -> Claimed | None:
    """Go on with the sweep of these rules for LEASE; None where there is none to do, or another one does it."""
    row = await db.fetchrow(_CLAIM, process, rules, LEASE)
    return None if row is None else Claimed(row["generation"], row["done_to"] or NOBODY)


async def following(db: Db, after: UUID, limit: int) -> list[UUID]:
    """Stories after that one, in the order of their ids."""
    rows = await db.fetch("SELECT id FROM watch WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
    return [row["id"] for row in rows]


async def advance(db: Db, process: UUID, claimed: Claimed, done_to: UUID | None, judged: int, *, over: bool) -> bool:
    """Note that all stories up to one are judged; False where the sweep is another's, or began anew."""
    status: str = await db.execute(_ADVANCE, process, claimed.generation, done_to, judged, over, LEASE)
    return not status.endswith(" 0")
