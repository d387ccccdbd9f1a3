"""The stitcher's upkeep of the tables: weeks of touchpoints made ahead of time and dropped when old, `seen` pruned.

Every stitcher does it, so that none has to be the one who does: where a peer was, nothing is left to do. Each step is
bounded, is tried by itself, and is tried again: what is put off costs disk and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from pathline.consuming.patience import pause
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import fences, partitions, seen

if TYPE_CHECKING:
    from pathline.storage.connection import Db
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

EVERY_SECONDS: Final = 3_600
AGAIN_SECONDS: Final = 60
"""When a step that did not get its lock, or failed, is tried again."""

AT_ONCE: Final = 5_000
"""Rows that one statement deletes: some tens of milliseconds."""

BREATH_SECONDS: Final = 0.05
"""Between two of them, so that stitching has the disk in between."""

SEEN_MARGIN: Final = timedelta(days=1)
"""What a stitcher's clock may differ by from the database's: a row is there for longer than a touchpoint is taken."""


class Upkeep:
    """Keeps the tables in order until it is told to end."""

    def __init__(self, pool: asyncpg.Pool[Any], settings: StitcherSettings, metrics: StitcherMetrics) -> None:
        """Use a connection of `pool` for one statement at a time."""
        self._pool = pool
        self._metrics = metrics
        self._touchpoints_kept = timedelta(days=settings.touchpoints_kept_days)
        self._seen_kept = timedelta(days=settings.seen_kept_days) + SEEN_MARGIN

    async def run(self, ended: asyncio.Event) -> None:
        """Every hour, and sooner where something was in the way, until `ended`."""
        while not ended.is_set():
            well = await self.once()
            await pause(ended, EVERY_SECONDS if well else AGAIN_SECONDS)

    async def once(self) -> bool:
        """All steps; whether all of them came to their end."""
        steps = {"weeks": self._weeks, "touchpoints": self._touchpoints, "seen": self._seen}
        return all([await self._attempt(name, step) for name, step in steps.items()])

    async def _attempt(self, name: str, step: Callable[[datetime], Awaitable[None]]) -> bool:
        try:
            async with self._pool.acquire() as db:
                now = await fences.clock(db)
            await step(now)
        except DATABASE_ERRORS as error:
            self._metrics.upkeep_failures.labels(name).inc()
            log.warning("upkeep of the tables put off", step=name, error=type(error).__name__)
            return False
        return True

    async def _weeks(self, now: datetime) -> None:
        async with self._pool.acquire() as db:
            self._metrics.weeks_ready.set(await partitions.ensure(db, now))

    async def _touchpoints(self, now: datetime) -> None:
        before = now - self._touchpoints_kept
        async with self._pool.acquire() as db:
            for week in await partitions.weeks(db):
                if week.end <= before:
                    await partitions.drop(db, week)
                    self._metrics.weeks_dropped.inc()
                    log.info("a week of touchpoints is dropped", week=week.name)
        await self._prune("touchpoint_rest", lambda db: partitions.prune_rest(db, before, AT_ONCE))

    async def _seen(self, now: datetime) -> None:
        before = now - self._seen_kept
        async with self._pool.acquire() as db:
            names = await seen.partitions(db)
        for name in names:
            await self._prune("seen", partial(_of_seen, name=name, before=before))

    async def _prune(self, table: str, some: Callable[[Db], Awaitable[int]]) -> None:
        """Delete portion after portion, each in a transaction and on a connection of its own."""
        pruned = AT_ONCE
        while pruned == AT_ONCE:
            async with self._pool.acquire() as db:
                pruned = await some(db)
            self._metrics.rows_pruned.labels(table).inc(pruned)
            if pruned == AT_ONCE:
                await asyncio.sleep(BREATH_SECONDS)


async def _of_seen(db: Db, *, name: str, before: datetime) -> int:
    return await seen.prune(db, name, before, AT_ONCE)
