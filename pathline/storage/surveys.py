"""Answers to surveys received in a window, each with the stage that its customer was in when it was given.

That stage is read off what was stored, and so does not depend on the order of arrival: of the person's own strand, the
things that the answer names and the parts of these, the newest touchpoint before it that entered a stage and is no
answer itself. An answer enters a stage of its own, which says nothing of where it was asked; it counts where nothing
else is known.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pathline.domain.surveys import Answer, answer

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_ANSWERS: Final = 2_000
"""Answers of a window that are counted, the newest."""

# Up to 20 parts of what is named, and the newest 20 touchpoints of each, received from 28 days before the answer to 7
# days after it, which keeps the look into five or six weeks of the table.
_ANSWERS: Final = """
SELECT a.subject, a.body, coalesce(before.stage, a.stage) AS stage
FROM (
    SELECT subject, occurred_at, received_at, stage, entities, body FROM touchpoint
    WHERE event = 'Survey Answered' AND received_at >= $1 AND received_at < $2
    ORDER BY received_at DESC LIMIT $3
) AS a
LEFT JOIN LATERAL (
    SELECT newest.stage FROM (
        SELECT a.subject AS id UNION SELECT unnest(a.entities)
        UNION (SELECT id FROM entity WHERE order_id = ANY(a.entities) ORDER BY order_id, id LIMIT 20)
    ) AS about
    CROSS JOIN LATERAL (
        SELECT stage, event, occurred_at FROM touchpoint
        WHERE touchpoint.subject = about.id AND occurred_at < a.occurred_at
            AND received_at > a.received_at - interval '28 days' AND received_at < a.received_at + interval '7 days'
        ORDER BY occurred_at DESC, id DESC LIMIT 20
    ) AS newest
    WHERE newest.stage IS NOT NULL AND newest.event <> 'Survey Answered'
    ORDER BY newest.occurred_at DESC LIMIT 1
) AS before ON true
"""


class Asked(msgspec.Struct, frozen=True):
    """An answer; None for what cannot be read as one. `subject` is the strand or thing that it belongs to."""

    subject: UUID
    stage: str | None
    answer: Answer | None


class _Body(msgspec.Struct):
    survey: Any = None
    score: Any = None
    scale: Any = None


async def answered(db: Db, begin: datetime, end: datetime) -> list[Asked]:
    """The newest MAX_ANSWERS answers received in [begin, end)."""
    return [_asked(row) for row in await db.fetch(_ANSWERS, begin, end, MAX_ANSWERS)]


def _asked(row: Any) -> Asked:
    body = msgspec.json.decode(row["body"], type=_Body)
    return Asked(row["subject"], row["stage"], answer(body.survey, body.score, body.scale))
