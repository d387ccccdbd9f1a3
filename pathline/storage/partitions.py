"""Partitions of the touchpoint table by the week they were received: made ahead of time, dropped when they are old.

None of it waits long for a lock on the table: what it would wait for, everybody else would wait for behind it. Who does
not get the lock in LOCK_TIMEOUT comes again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from pathline.kit.logging import get_logger

if TYPE_CHECKING:
    from pathline.storage.connection import Db

log = get_logger(__name__)

WEEKS_AHEAD: Final = 4
"""Weeks for which a partition stands ready: a stitcher that makes none for that long still finds a place."""

WEEK: Final = timedelta(weeks=1)
NAME: Final = "touchpoint_%Y_%m_%d"
"""Of a partition, by the Monday on which its week begins."""

LOCK_TIMEOUT: Final = "300ms"
"""How long a statement here waits for a lock, and everybody who comes after it with it."""

ADVISORY_LOCK: Final = 0x9A7B1107
"""Key of the lock under which partitions change, so that two stitchers do not make the same one."""

_LISTED: Final = r"""
SELECT child.relname, part.inhrelid IS NOT NULL AS attached
FROM pg_class AS parent
JOIN pg_class AS child ON child.relnamespace = parent.relnamespace AND child.relkind = 'r'
    AND child.relname ~ '^touchpoint_\d{4}_\d{2}_\d{2}$'
LEFT JOIN pg_inherits AS part ON part.inhrelid = child.oid AND part.inhparent = parent.oid
WHERE parent.oid = 'touchpoint'::regclass
ORDER BY child.relname
"""

_IN_REST: Final = "SELECT EXISTS (SELECT FROM touchpoint_rest WHERE received_at >= $1 AND received_at < $2)"

# Bounded, so that no transaction gets long: vacuum cannot take away what a running one may still see.
_PRUNE_REST: Final = """
DELETE FROM touchpoint_rest WHERE ctid = ANY(ARRAY(SELECT ctid FROM touchpoint_rest WHERE received_at < $1 LIMIT $2))
"""


class Week(msgspec.Struct, frozen=True):
    """The table of a week."""

    name: str
    begin: datetime
    attached: bool
    """False of one that is about to become a partition, or to be dropped: whoever was at it did not come to the end."""

    @property
    def end(self) -> datetime:
        """When the next one begins."""
        return self.begin + WEEK


async def weeks(db: Db) -> list[Week]:
    """The tables of all weeks, oldest first."""
    return [
        Week(row["relname"], datetime.strptime(row["relname"], NAME).replace(tzinfo=UTC), row["attached"])
        for row in await db.fetch(_LISTED)
    ]


async def ensure(db: Db, now: datetime) -> int:
    """Make the partitions of this week and the next ones that are missing; return how many weeks are ready.

    Weeks start on Monday, UTC. A row that finds no partition goes to `touchpoint_rest`; a week of which it has rows
    ends there, too.

    Raises:
        asyncpg.LockNotAvailableError: the table is in use; try again later.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    there = {week.name for week in await weeks(db) if week.attached}
    ready = 0
    for number in range(WEEKS_AHEAD + 1):
        begin = monday + number * WEEK
        if f"{begin:{NAME}}" in there or await _make(db, begin):
            ready += 1
    return ready


async def _make(db: Db, begin: datetime) -> bool:
    """Make a week's table apart, then attach it: nobody has to wait for that who writes touchpoints of other weeks.

    `touchpoint_rest` is locked against all, and read through, for as long as that takes: it has few rows, or none.
    """
    name = f"{begin:{NAME}}"
    try:
        if await db.fetchval(_IN_REST, begin, begin + WEEK):
            # Found by the index here, and not under that lock.
            return _stays(name)
        async with db.transaction():
            await _alone(db)
            # Rows are only added: frozen at the first vacuum, they need no other.
            await db.execute(
                f"CREATE TABLE IF NOT EXISTS {name} (LIKE touchpoint INCLUDING DEFAULTS)"
                " WITH (autovacuum_freeze_min_age = 0)"
            )
            attached = await db.fetchval("SELECT relispartition FROM pg_class WHERE oid = $1::text::regclass", name)
            if not attached:
                await db.execute(
                    f"ALTER TABLE touchpoint ATTACH PARTITION {name}"
                    f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{(begin + WEEK).isoformat()}')"
                )
    except asyncpg.CheckViolationError:
        return _stays(name)
    return True


def _stays(name: str) -> bool:
    log.warning("a week has rows in touchpoint_rest already, and stays there", week=name)
    return False


async def drop(db: Db, week: Week) -> None:
    """Drop a week. Who reads or writes touchpoints waits at most LOCK_TIMEOUT, and for a few rows of the catalogue.

    Not CONCURRENTLY, which PostgreSQL refuses of a table with a default partition. The files go in a statement of their
    own, when nobody can be at them any more.

    Raises:
        asyncpg.LockNotAvailableError: the table is in use; try again later.
    """
    async with db.transaction():
        await _alone(db)
        if await db.fetchval("SELECT relispartition FROM pg_class WHERE oid = to_regclass($1)", week.name):
            await db.execute(f"ALTER TABLE touchpoint DETACH PARTITION {week.name}")
    async with db.transaction():
        await _alone(db)
        await db.execute(f"DROP TABLE IF EXISTS {week.name}")


async def prune_rest(db: Db, before: datetime, most: int) -> int:
    """Delete up to so many of the rows without a week that were received before then; returns how many."""
    return int((await db.execute(_PRUNE_REST, before, most)).rsplit(" ", 1)[-1])


async def _alone(db: Db) -> None:
    await db.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    await db.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
