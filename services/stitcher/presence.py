"""Says which stage file this stitcher runs, and measures how far a rebuild of journeys is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import asyncpg

from pathline.consuming.patience import pause
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import presence, rebuilding

if TYPE_CHECKING:
    from services.stitcher.metrics import StitcherMetrics

log = get_logger(__name__)

EVERY_SECONDS: Final = 5.0
"""A rebuild takes who was seen in the last thirty for one that runs."""

LEAVE_SECONDS: Final = 1.0


class Presence:
    """One stitcher's row, for as long as it runs."""

    def __init__(self, pool: asyncpg.Pool[Any], stages: str, metrics: StitcherMetrics) -> None:
        """Run by the stage file of this identity."""
        self._id = uuid4()
        self._pool = pool
        self._stages = stages
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Say so every few seconds until `stop`, and then that it is gone."""
        while not stop.is_set():
            try:
                async with self._pool.acquire() as db:
                    await presence.announce(db, self._id, self._stages)
                    await self._measure(db)
            except DATABASE_ERRORS as error:
                log.warning("presence not noted", error=type(error).__name__)
            await pause(stop, EVERY_SECONDS)
        with suppress(*DATABASE_ERRORS):
            async with asyncio.timeout(LEAVE_SECONDS), self._pool.acquire() as db:
                await presence.leave(db, self._id)

    async def _measure(self, db: Any) -> None:
        job = await rebuilding.unfinished(db)
        self._metrics.rebuilding.set(job is not None)
        self._metrics.rebuild_touchpoints.set(0 if job is None else job.touchpoints)
        self._metrics.rebuild_expected.set(0 if job is None else job.expected)
        self._metrics.rebuild_written.set(0 if job is None else job.applied)
        idle = 0.0 if job is None else await rebuilding.idle_seconds(db, job)
        self._metrics.rebuild_idle.set(idle)
