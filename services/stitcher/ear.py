"""Hears who is silent: notes when each source was last heard, and tells of one that falls silent as one incident."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from pathline.consuming.patience import pause
from pathline.domain.rhythm import Limits
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import fences, rhythms

if TYPE_CHECKING:
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

EVERY_SECONDS: Final = 10.0


class Ear:
    """What one stitcher heard since it last wrote it down. What a kill loses is a few seconds of a rhythm."""

    def __init__(
        self, pool: asyncpg.Pool[Any], topic: str, settings: StitcherSettings, metrics: StitcherMetrics
    ) -> None:
        """Judge by how far `topic` is read."""
        self._pool = pool
        self._topic = topic
        self._limits = Limits(
            timedelta(seconds=settings.source_silence_least_seconds),
            timedelta(seconds=settings.source_silence_most_seconds),
        )
        self._metrics = metrics
        self._heard: dict[str, datetime] = {}
        """Sources are keys and webhooks that an operator made: a handful."""

    def hear(self, times: Mapping[str, datetime]) -> None:
        """Sources that were heard, and when."""
        for source, at in times.items():
            held = self._heard.get(source)
            if held is None or at > held:
                self._heard[source] = at

    async def run(self, stop: asyncio.Event) -> None:
        """Write down and judge every few seconds until `stop`."""
        while not stop.is_set():
            await pause(stop, EVERY_SECONDS)
            try:
                await self.once()
            except DATABASE_ERRORS as error:
                log.warning("who is silent was not looked at", error=type(error).__name__)

    async def once(self) -> None:
        """Write down who was heard, then look who is silent."""
        told, self._heard = self._heard, {}
        try:
            async with self._pool.acquire() as db:
                async with db.transaction():
                    if told:
                        await rhythms.hear(db, told, self._limits)
                await self._judge(db)
        except DATABASE_ERRORS:
            self.hear(told)
            raise

    async def _judge(self, db: Any) -> None:
        through = await fences.least_through(db, self._topic)
        if through is None:
            return
        for turn in await rhythms.judge(db, through, self._limits):
            if turn.silent_since is None:
                log.info("a source speaks again", source=turn.source)
            else:
                log.warning("a source is silent", source=turn.source, since=turn.silent_since.isoformat())
        silences = [one.silent_since for one in await rhythms.listed(db) if one.silent_since is not None]
        self._metrics.silent.set(len(silences))
        self._metrics.silent_seconds.set(max(((through - since).total_seconds() for since in silences), default=0))
