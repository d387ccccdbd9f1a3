"""The journey map of a window: customers by stage, read from the touchpoints received in it.

It is bounded twice: by the window, which prunes the weekly partitions, and by MAX_TOUCHPOINTS. Of a window with more,
those are counted that come first in the table, and it says so (`complete`): about the earliest received, as rows lie in
the order in which they came. To have exactly the earliest, all of the window would have to be read and sorted, which is
what the bound is for. Whose a touchpoint is, is looked up for all of them at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pathline.domain.funnel import Asked, Did, Moment, PainSeen, Step, Visited
from pathline.domain.stages import Stages
from pathline.storage import entities, interest, people, strands, surveys

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_TOUCHPOINTS: Final = 50_000
MAX_PAINS: Final = 10_000
"""Alerts of the window that are counted."""
MAX_MOMENTS: Final = 10_000
"""Pairs of a customer and a moment of truth that are counted."""
MAX_DONE: Final = 20_000
"""Touchpoints, told apart, that are held against the conditions of desired actions."""

_STEPS: Final = """
SELECT subject, stage, channel, min(occurred_at) AS entered_at, count(*) AS touchpoints
FROM (
    SELECT subject, stage, channel, occurred_at FROM touchpoint
    WHERE received_at >= $1 AND received_at < $2 LIMIT $3
) AS counted
GROUP BY subject, stage, channel
"""

_MOMENTS: Final = """
SELECT subject, stage, event, count(*) AS touchpoints
FROM (
    SELECT subject, stage, event, moment_of_truth FROM touchpoint
    WHERE received_at >= $1 AND received_at < $2 LIMIT $3
) AS counted
WHERE moment_of_truth GROUP BY subject, stage, event LIMIT $4
"""

# Of most actions the event says it all: only what a condition looks into is read and told apart by its properties.
_DONE: Final = """
SELECT DISTINCT subject, type, event, channel,
    CASE WHEN $5::text[] IS NULL OR event = ANY($5::text[]) THEN body::text END AS body
FROM (
    SELECT subject, type, event, channel, body FROM touchpoint
    WHERE received_at >= $1 AND received_at < $2 LIMIT $3
) AS counted
WHERE $4::text[] IS NULL OR event = ANY($4::text[]) LIMIT $6
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
    moments: list[Moment]
    did: list[Did]
    touchpoints: int
    complete: bool


class _Told(msgspec.Struct, frozen=True):
    """As much of a touchpoint as a condition of an action looks at."""

    type: str
    event: str
    channel: str
    properties: dict[str, Any]


async def window(db: Db, begin: datetime, end: datetime, stages: Stages) -> Window:
    """The steps and answers of the touchpoints received, and the alerts opened, in [begin, end)."""
    rows = await db.fetch(_STEPS, begin, end, MAX_TOUCHPOINTS)
    pains = await db.fetch(_PAINS, begin, end, MAX_PAINS)
    said = await surveys.answered(db, begin, end)
    visits = await interest.visits(db, begin, end, MAX_TOUCHPOINTS)
    met = await db.fetch(_MOMENTS, begin, end, MAX_TOUCHPOINTS, MAX_MOMENTS)
    done = await _done(db, begin, end, stages)
    subjects = (
        {row["subject"] for row in rows}
        | {row["subject"] for row in met}
        | {one for one, _ in done}
        | {one.subject for one in said}
        | {one.subject for one in visits}
    )
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
    moments = [
        Moment(whose[row["subject"]], row["stage"], row["event"], row["touchpoints"])
        for row in met
        if row["subject"] in whose
    ]
    did = [Did(whose[one], action) for one, actions in done if one in whose for action in actions]
    whole = counted < MAX_TOUCHPOINTS and len(pains) < MAX_PAINS
    whole = whole and len(met) < MAX_MOMENTS and len(done) < MAX_DONE
    complete = whole and len(said) < surveys.MAX_ANSWERS and len(visits) < interest.MAX_VISITS
    return Window(steps, seen, answers, visited, moments, did, counted, complete)


async def _done(db: Db, begin: datetime, end: datetime, stages: Stages) -> list[tuple[UUID, list[str]]]:
    """The desired actions that touchpoints of each strand or thing completed."""
    concern = stages.acted_on
    if concern.events == ():
        return []
    rows = await db.fetch(_DONE, begin, end, MAX_TOUCHPOINTS, concern.events, concern.read, MAX_DONE)
    return [(row["subject"], list(stages.completed(_told(row)))) for row in rows]


def _told(row: Any) -> _Told:
    # As in a rebuild: what an identify or a group says are traits, and no properties.
    body = None if row["body"] is None or row["type"] in {"identify", "group"} else msgspec.json.decode(row["body"])
    return _Told(row["type"], row["event"], row["channel"], body if isinstance(body, dict) else {})


async def _customers(db: Db, ids: set[UUID]) -> dict[UUID, UUID]:
    """The customer of each strand or thing that has one."""
    owned = {one: owner for one, owner in (await entities.owners(db, ids)).items() if owner is not None}
    rest = [row["id"] for row in await db.fetch("SELECT id FROM identifier WHERE id = ANY($1::uuid[])", list(ids))]
    return owned | await people.roots_of(db, rest)


async def segments(db: Db, customers: set[UUID]) -> dict[UUID, set[str]]:
    """The segments of these customers, as their own strand was last told."""
    states = await strands.load(db, customers)
    return {one: set(state.value("segments") or ()) for one, state in states.items()}
