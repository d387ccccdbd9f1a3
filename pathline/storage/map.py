"""The journey map of a window: customers by stage, read from the touchpoints received in it.

It is bounded twice: by the window, which prunes the weekly partitions, and by MAX_TOUCHPOINTS. Of a window with more,
those are counted that come first in the table, and it says so (`complete`): about the earliest received, as rows lie in
the order in which they came. To have exactly the earliest, all of the window would have to be read and sorted, which is
what the bound is for. Whose a touchpoint is, is looked up for all of them at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain.funnel import Asked, PainSeen, Step, Visited
from pathline.storage import entities, interest, people, strands, surveys

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_TOUCHPOINTS: Final = 50_000
MAX_PAINS: Final = 10_000
"""Alerts of the window that are counted."""

_STEPS: Final = """
SELECT subject, stage, channel, min(occurred_at) AS entered_at, count(*) AS touchpoints
FROM (
    SELECT subject, stage, channel, occurred_at FROM touchpoint
    WHERE received_at >= $1 AND received_at < $2 LIMIT $3
) AS counted
GROUP BY subject, stage, channel
"""

_PAINS: Final = """
SELECT entity_id, detector, severity, opened_at FROM alert
WHERE opened_at >= $1 AND opened_at < $2 AND state <> 'expired' AND NOT shadow
ORDER BY opened_at DESC, id DESC LIMIT $3
"""


class Window(msgspec.Struct, frozen=True):
    """What was read of a window."""

    steps: list[Step]
    pains: list[PainSeen]
    answers: list[Asked]
    visits: list[Visited]
    touchpoints: int
    complete: bool


async def window(db: Db, begin: datetime, end: datetime) -> Window:
    """The steps and answers of the touchpoints received, and the alerts opened, in [begin, end)."""
    rows = await db.fetch(_STEPS, begin, end, MAX_TOUCHPOINTS)
    pains = await db.fetch(_PAINS, begin, end, MAX_PAINS)
    said = await surveys.answered(db, begin, end)
    visits = await interest.visits(db, begin, end, MAX_TOUCHPOINTS)
    subjects = {row["subject"] for row in rows} | {one.subject for one in said} | {one.subject for one in visits}
    whose = await _customers(db, subjects | {row["entity_id"] for row in pains})
    counted = sum(row["touchpoints"] for row in rows)
    steps = [
        Step(whose[row["subject"]], row["stage"], row["channel"], row["entered_at"], row["touchpoints"])
        for row in rows
        if row["subject"] in whose
    ]
    seen = [PainSeen(whose.get(row["entity_id"]), row["detector"], row["severity"], row["opened_at"]) for row in pains]
    answers = [Asked(whose.get(one.subject), one.stage, one.answer) for one in said]
    visited = [Visited(whose.get(one.subject), one.visit) for one in visits]
    whole = counted < MAX_TOUCHPOINTS and len(pains) < MAX_PAINS
    complete = whole and len(said) < surveys.MAX_ANSWERS and len(visits) < interest.MAX_VISITS
    return Window(steps, seen, answers, visited, counted, complete)


async def _customers(db: Db, ids: set[UUID]) -> dict[UUID, UUID]:
    """The customer of each strand or thing that has one."""
    owned = {one: owner for one, owner in (await entities.owners(db, ids)).items() if owner is not None}
    rest = [row["id"] for row in await db.fetch("SELECT id FROM identifier WHERE id = ANY($1::uuid[])", list(ids))]
    return owned | await people.roots_of(db, rest)


async def segments(db: Db, customers: set[UUID]) -> dict[UUID, set[str]]:
    """The segments of these customers, as their own strand was last told."""
    states = await strands.load(db, customers)
    return {one: set(state.value("segments") or ()) for one, state in states.items()}
