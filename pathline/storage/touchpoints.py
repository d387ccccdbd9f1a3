"""Reading touchpoints, oldest first, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

COLUMNS: Final = (
    "subject, occurred_at, id, received_at, message_id, source, type, event, channel, stage, moment_of_truth,"
    ' historical, partition, "offset", entities, body, privacy_signal,'
    " told_at, clamped"
)

# The lateral makes each subject an index range of its own, already in order, cut at the limit.
_PAGE: Final = f"""
SELECT t.* FROM unnest($1::uuid[]) AS s (subject)
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM touchpoint
    WHERE touchpoint.subject = s.subject AND (occurred_at, id) > ($2, $3)
    ORDER BY occurred_at, id LIMIT $4
) AS t
ORDER BY t.occurred_at, t.id LIMIT $4
"""

_NEWEST: Final = f"""
SELECT t.* FROM unnest($1::uuid[]) AS s (subject)
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM touchpoint
    WHERE touchpoint.subject = s.subject AND (occurred_at, id) < ($2, $3)
    ORDER BY occurred_at DESC, id DESC LIMIT $4
) AS t
ORDER BY t.occurred_at DESC, t.id DESC LIMIT $4
"""

LEAST_ID: Final = UUID(int=0)
GREATEST_ID: Final = UUID(int=2**128 - 1)
BEGINNING: Final = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
END: Final = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


class Stored(msgspec.Struct, frozen=True):
    """A touchpoint as it was stitched. Times are UTC; `body` is JSON text."""

    subject: UUID
    occurred_at: datetime
    id: UUID
    received_at: datetime
    message_id: str
    source: str
    type: str
    event: str
    channel: str
    stage: str | None
    moment_of_truth: bool
    historical: bool
    partition: int
    offset: int
    entities: list[UUID]
    body: str
    privacy_signal: bool = False
    """Whether the browser sent Global Privacy Control."""
    told_at: datetime | None = None
    """By the sender's own clock, where `occurred_at` is another time."""
    clamped: bool = False
    """Whether that was out of bounds, and the time of receipt counts."""

    @property
    def cursor(self) -> tuple[datetime, UUID]:
        """Its place in the order of time, to go on from."""
        return self.occurred_at, self.id


def stored(row: Record) -> Stored:
    """A touchpoint from a row with all its columns."""
    return Stored(**dict(row))


async def page(db: Db, subjects: Iterable[UUID], after: tuple[datetime, UUID] | None, limit: int) -> list[Stored]:
    """The first `limit` touchpoints of these strands and entities after a cursor, oldest first."""
    at, one = after or (BEGINNING, LEAST_ID)
    return [stored(row) for row in await db.fetch(_PAGE, list(subjects), at, one, limit)]


async def newest(db: Db, subjects: Iterable[UUID], before: tuple[datetime, UUID] | None, limit: int) -> list[Stored]:
    """The last `limit` touchpoints of these strands and entities before a cursor, newest first."""
    at, one = before or (END, GREATEST_ID)
    return [stored(row) for row in await db.fetch(_NEWEST, list(subjects), at, one, limit)]
