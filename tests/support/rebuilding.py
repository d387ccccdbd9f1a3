"""Rebuilds in tests: what they are held against, and a stitcher that goes on between their pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from pathline.backtest.world import World
from pathline.domain.facts import State
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import codec
from pathline.storage.fences import Advance
from pathline.storage.rebuilding import Job
from services.stitcher.batch import Batch
from services.stitcher.rebuild import Rebuild
from services.stitcher.settings import RebuildSettings
from services.stitcher.throttle import Throttle
from services.stitcher.transaction import stitch

TOPIC = "rebuilding.touchpoints"

OTHER_FILE: dict[str, Any] = {
    "stages": [
        {
            "name": "engagement",
            "enter": [{"type": ["page"]}, {"event": ["Order Completed", "Shipment Scanned", "Payment Failed"]}],
            "actions": [{"name": "paid", "done": [{"event": ["Payment Succeeded"]}]}],
        },
        {
            "name": "trouble",
            "enter": [{"event": ["Shipment Scanned", "Contact Opened"]}, {"event": ["Survey Answered"]}],
            "actions": [{"name": "ordered", "done": [{"event": ["Order Updated", "Product Viewed"]}]}],
        },
        {"name": "loyal", "enter": [{"type": ["track"], "channel": ["web"]}]},
    ],
    "moments_of_truth": [{"event": ["Order Cancelled"]}],
}
OTHER = Stages.from_builtins(OTHER_FILE)
"""A stage file that differs from the default in everything, and has names with it in common."""

TABLES = (
    *("touchpoint", "seen", "strand", "entity", "identifier", "user_join", "fence", "watch", "rebuild"),
    *("rebuild_note", "earlier_fact", "stitcher_process", "alert", "alert_cause", "outbox"),
)


def bodied(touchpoint: Touchpoint) -> Touchpoint:
    """With the body that is stored of it."""
    told = touchpoint.traits if touchpoint.type in {"identify", "group"} else touchpoint.properties
    return msgspec.structs.replace(touchpoint, body=msgspec.json.encode(told).decode())


class Stitching:
    """A stitcher of one partition, straight into PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool
        self.offset = 0

    async def empty(self) -> None:
        """Nothing was ever stitched."""
        for table in TABLES:
            await self._pool.execute(f"DELETE FROM {table}")
        await self._pool.execute(
            "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id)"
            " VALUES ($1, 0, 1, 0, now(), 'test')",
            TOPIC,
        )
        self.offset = 0

    async def add(self, touchpoints: Iterable[Touchpoint], stages: Stages) -> None:
        """Stitch these by the real transaction."""
        listed = list(touchpoints)
        at = {one.id: (0, self.offset + number) for number, one in enumerate(listed)}
        batch = Batch({}, {one.id: one for one in listed}, at, {}, [], len(listed))
        move = Advance(0, 1, self.offset, self.offset + len(listed))
        async with self._pool.acquire() as db, db.transaction():
            await stitch(db, TOPIC, batch, [move], stages, {})
        self.offset += len(listed)

    async def states(self) -> dict[UUID, State]:
        """All states that know something."""
        rows = await self._pool.fetch("SELECT id, state FROM strand UNION ALL SELECT id, state FROM entity")
        return {row["id"]: state for row in rows if (state := codec.state(row["state"])) != State()}

    async def placements(self) -> dict[UUID, tuple[str | None, bool]]:
        """Where each stored touchpoint is."""
        rows = await self._pool.fetch("SELECT id, stage, moment_of_truth FROM touchpoint")
        return {row["id"]: (row["stage"], row["moment_of_truth"]) for row in rows}

    async def rebuild(
        self,
        stages: Stages,
        *,
        batch: int = 1_000,
        between: Callable[[], Awaitable[None]] | None = None,
        on_progress: Callable[[Job, float], None] = lambda _job, _behind: None,
        anyway: bool = False,
    ) -> Job:
        """Rebuild in this process; `between` is awaited after every page, and may raise what kills it."""
        settings = RebuildSettings(rebuild_batch=batch)
        throttle = None if between is None else _Between(stages, settings, between)
        rebuild = Rebuild(self._pool, TOPIC, stages, settings, throttle=throttle, on_progress=on_progress)
        return await rebuild.run(anyway=anyway)


class _Between(Throttle):
    """Does something else between two pages."""

    def __init__(self, stages: Stages, settings: RebuildSettings, between: Callable[[], Awaitable[None]]) -> None:
        super().__init__(TOPIC, stages.identity, settings, asyncio.Event())
        self._between = between

    async def rest(self, *_: Any) -> None:
        await self._between()


def from_scratch(touchpoints: Sequence[Touchpoint], stages: Stages) -> dict[UUID, State]:
    """The states that a fold of these from the beginning gives."""
    world = World(stages)
    world.add(touchpoints)
    return {one: state for one, state in world.states.items() if state != State()}


def placed(touchpoints: Iterable[Touchpoint], stages: Stages) -> dict[UUID, tuple[str | None, bool]]:
    """Where each of these belongs."""
    return {one.id: stages.place(one) for one in touchpoints}
