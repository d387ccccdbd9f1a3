"""What keeps a rebuild from being in the stitchers' way: a rate, and a rest while they are behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pathline.consuming.patience import pause
from pathline.storage import fences, presence

if TYPE_CHECKING:
    from pathline.storage.connection import Db
    from services.stitcher.settings import RebuildSettings

LOOK_SECONDS: Final = 1.0
"""How often the stitchers are looked at."""

REST_SECONDS: Final = 0.5
"""How long a rest is, before they are looked at again."""

LONGEST_SECONDS: Final = 30.0
"""After so long a rest a page is done all the same: a rebuild that would wait for ever ends in some hours."""


class Throttle:
    """Looks at the stitchers between the pages of a rebuild."""

    def __init__(self, topic: str, stages: str, settings: RebuildSettings, stop: asyncio.Event) -> None:
        """Mind those that read `topic`; those who run other `stages` are counted."""
        self._topic = topic
        self._stages = stages
        self._rate = settings.rebuild_rate
        self._most_behind = settings.rebuild_lag_seconds
        self._stop = stop
        self._resumed = time.monotonic()
        self._due = self._resumed
        self._looked = float("-inf")
        self.others = 0
        """Stitchers by another stage file or of an older version, when last looked."""

    async def rest(self, db: Db, rows: int, on_rest: Callable[[float], None]) -> None:
        """Rest after so many rows, as long as it takes; `on_rest` is told by how many seconds stitchers are behind."""
        if self._rate:
            # From when it went on: time rested for the stitchers is not made up for by a burst.
            self._due = max(self._due, self._resumed) + rows / self._rate
            await pause(self._stop, max(0.0, self._due - time.monotonic()))
        await self._leave_room(db, on_rest)
        self._resumed = time.monotonic()

    async def _leave_room(self, db: Db, on_rest: Callable[[float], None]) -> None:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        until = time.monotonic() + LONGEST_SECONDS
        while not self._stop.is_set() and time.monotonic() < until:
            behind = await self.behind(db)
            if behind <= self._most_behind:
                return
            on_rest(behind)
            await pause(self._stop, REST_SECONDS)

    async def behind(self, db: Db) -> float:
        """By how many seconds the stitchers are behind; 0 where none runs that a rest would help."""
        there = await self.look(db)
        through = await fences.least_through(db, self._topic) if there is not None else None
        return 0.0 if through is None else (await fences.clock(db) - through).total_seconds()

    async def look(self, db: Db) -> int | None:
        """How many stitchers run other stages; None where none runs."""
        self._looked = time.monotonic()
        there, self.others = await presence.stitchers(db, self._stages)
        return self.others if there else None
