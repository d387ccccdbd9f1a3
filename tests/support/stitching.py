"""Stitching straight into PostgreSQL, for tests of what comes after the stitcher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pathline.contracts.hint import Hint
from pathline.domain.facts import State
from pathline.domain.fold import Changes
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import stitching
from pathline.storage.stitching import EntityDelta
from tests.support.world import STAGES


async def stitch(pool: asyncpg.Pool[Any], touchpoints: Sequence[Touchpoint]) -> list[Hint]:
    """Write what these touchpoints change, each given once; returns the hints of it."""
    changes = Changes(STAGES)
    for one in touchpoints:
        changes.add(one)
    things = {
        name.id: EntityDelta(
            name, changes.states.get(name) or State(), changes.claims.get(name), changes.orders.get(name)
        )
        for name in changes.things
    }
    strands = {name.id: state for name, state in changes.states.items() if name not in changes.things}
    reowned: dict[UUID, set[UUID]] = {}
    async with pool.acquire() as db, db.transaction():
        if changes.people:
            await stitching.write_people(db, changes.people, changes.parents, {})
        if strands:
            await stitching.write_strands(db, strands)
        if things:
            reowned = await stitching.write_entities(db, things)
    return [
        Hint(
            subject=one.subject,
            id=one.touchpoint.id,
            message_id=one.touchpoint.message_id,
            event=one.touchpoint.event,
            channel=one.touchpoint.channel,
            occurred_at=one.touchpoint.occurred_at,
            received_at=one.touchpoint.received_at,
            entities=list(one.entities),
            reowned=[name for thing in one.entities if thing in reowned for name in (thing, *reowned[thing])],
            historical=one.touchpoint.historical,
        )
        for one in changes.stitched
    ]


async def read_through(pool: asyncpg.Pool[Any], topic: str, through: datetime) -> None:
    """Say that the touchpoints are read up to then, as a stitcher does."""
    await pool.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id) VALUES ($1, 0, 1, 0, $2, 'test')"
        " ON CONFLICT (topic, partition) DO UPDATE SET through = excluded.through",
        topic,
        through,
    )
