"""Forgetting which touchpoints were counted, once nothing can bring them again.

It is partitioned by a hash of the id, and not by time: the key of a table partitioned by time holds the time, and a
client's retry has another one. So old rows are deleted, found by a block range index: rows lie about in the order in
which they came, so it costs next to nothing to keep, and leads to the pages of a day.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathline.storage.connection import Db

_PARTITIONS: Final = """
SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'seen'::regclass ORDER BY inhrelid
"""


async def partitions(db: Db) -> list[str]:
    """The names of its partitions."""
    return [row["name"] for row in await db.fetch(_PARTITIONS)]


async def prune(db: Db, partition: str, before: datetime, most: int) -> int:
    """Forget up to so many of one partition that were received before then; returns how many.

    Args:
        db: a connection.
        partition: one of `partitions`.
        before: with what lies before it no touchpoint may be counted any more.
        most: how many in this statement.
    """
    done: str = await db.execute(
        f"DELETE FROM {partition} WHERE ctid = ANY(ARRAY("
        f"SELECT ctid FROM {partition} WHERE received_at < $1 LIMIT $2))",
        before,
        most,
    )
    return int(done.rsplit(" ", 1)[-1])
