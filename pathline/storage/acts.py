"""What people did, in short: enough to tell sessions and touches, without what was in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain.visits import Act

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_ACTS: Final = 500
"""Acts of a customer that are looked at, the newest: some twenty sessions of one who is busy."""

# As in touchpoints.page: each strand is an index range of its own, already in order, cut at the limit.
_ACTS: Final = """
SELECT t.* FROM unnest($1::uuid[]) AS s (subject)
CROSS JOIN LATERAL (
    SELECT occurred_at, id, message_id, event, channel, stage, moment_of_truth, entities FROM touchpoint
    WHERE touchpoint.subject = s.subject
    ORDER BY occurred_at {way}, id {way} LIMIT $2
) AS t
ORDER BY t.occurred_at {way}, t.id {way} LIMIT $2
"""
_NEWEST: Final = _ACTS.format(way="DESC")
_OLDEST: Final = _ACTS.format(way="ASC")


class Lived(msgspec.Struct, frozen=True):
    """What is still known of what a customer did."""

    acts: tuple[Act, ...] = ()
    """The newest, newest first."""
    oldest: Act | None = None
    complete: bool = True
    """Whether these are all there ever were."""


async def lived(db: Db, strands: Iterable[UUID], first_seen_at: datetime | None, limit: int = MAX_ACTS) -> Lived:
    """What these strands did.

    Args:
        db: a connection.
        strands: of one customer.
        first_seen_at: when they first did something; acts of before those that are found are no longer retained.
        limit: acts that are read.
    """
    ids = list(strands)
    acts = [_act(row) for row in await db.fetch(_NEWEST, ids, limit)]
    if not acts:
        return Lived(complete=first_seen_at is None)
    oldest = acts[-1]
    if len(acts) == limit:
        oldest = _act((await db.fetch(_OLDEST, ids, 1))[0])
    whole = oldest == acts[-1] and (first_seen_at is None or oldest.at <= first_seen_at)
    return Lived(tuple(acts), oldest, whole)


def _act(row: Iterable[object]) -> Act:
    at, _, message_id, event, channel, stage, moment, things = row
    return Act(at, message_id, event, channel, stage, moment, tuple(things))  # type: ignore[arg-type]
