"""Visits that ended in a window, each with the page that it began with and whether a moment of truth fell into it.

They are read off the touchpoints, and nothing is counted ahead: one that comes late, or is erased, is right the next
time that somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import msgspec

from pathline.domain.interest import Ended, Visit, ended

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_VISITS: Final = 5_000
"""Visits that are counted of the touchpoints that a map counts."""

MAX_LANDING: Final = 200
"""Characters of a landing page."""

_SLACK: Final = timedelta(seconds=2)
"""A visit tells whole seconds, and its calls may be put right by different clocks."""

_ENDED: Final = """
SELECT subject, occurred_at, body FROM (
    SELECT subject, occurred_at, event, body FROM touchpoint
    WHERE received_at >= $1 AND received_at < $2 LIMIT $3
) AS counted
WHERE event = 'Visit Ended' LIMIT $4
"""

# Of a visit the first 20 touchpoints are looked at for its first page, and 100 for a moment of truth.
_BEGUN: Final = """
SELECT landing.event, landing.body, landing.stage, key.there IS NOT NULL AS key_event
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS v (subject, began, ended, place)
LEFT JOIN LATERAL (
    SELECT first.event, first.body, first.stage FROM (
        SELECT type, event, body, stage, occurred_at, id FROM touchpoint
        WHERE touchpoint.subject = v.subject AND occurred_at >= v.began AND occurred_at <= v.ended
            AND received_at >= $4 AND received_at < $5
        ORDER BY occurred_at, id LIMIT 20
    ) AS first
    WHERE first.type IN ('page', 'screen') ORDER BY first.occurred_at, first.id LIMIT 1
) AS landing ON true
LEFT JOIN LATERAL (
    SELECT true AS there FROM (
        SELECT moment_of_truth FROM touchpoint
        WHERE touchpoint.subject = v.subject AND occurred_at >= v.began AND occurred_at <= v.ended
            AND received_at >= $4 AND received_at < $5
        ORDER BY occurred_at, id LIMIT 100
    ) AS acts
    WHERE acts.moment_of_truth LIMIT 1
) AS key ON true
ORDER BY v.place
"""

_AROUND: Final = timedelta(days=1)
"""What is received so long before and after the window is looked at too."""


class Found(NamedTuple):
    """A visit, and the strand that it belongs to."""

    subject: UUID
    visit: Visit


async def visits(db: Db, begin: datetime, end: datetime, touchpoints: int) -> list[Found]:
    """The visits that ended among the first `touchpoints` received in [begin, end)."""
    told = list(_told(await db.fetch(_ENDED, begin, end, touchpoints, MAX_VISITS)))
    rows = await db.fetch(
        _BEGUN,
        [subject for subject, _, _ in told],
        [at - timedelta(seconds=one.seconds) - _SLACK for _, at, one in told],
        [at for _, at, _ in told],
        begin - _AROUND,
        end + _AROUND,
    )
    return [
        Found(subject, Visit(at, one, row["key_event"], _landing(row), row["stage"]))
        for (subject, at, one), row in zip(told, rows, strict=True)
    ]


def _told(rows: Iterable[Any]) -> Iterable[tuple[UUID, datetime, Ended]]:
    for row in rows:
        one = ended(msgspec.json.decode(row["body"]))
        if one is not None:
            yield row["subject"], row["occurred_at"], one


def _landing(row: Any) -> str | None:
    """The path of the first page, else its name."""
    if row["body"] is None:
        return None
    path = msgspec.json.decode(row["body"]).get("path")
    landing = path if isinstance(path, str) and path else row["event"]
    return str(landing)[:MAX_LANDING]
