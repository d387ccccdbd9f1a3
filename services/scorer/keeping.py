"""Keeping to the files of detectors: read again as they change, made known, and then judged by."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import asyncpg
import msgspec

from pathline.consuming.patience import pause
from pathline.contracts import detector_told
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import detectors, sweeps
from pathline.storage.detectors import Mode

if TYPE_CHECKING:
    from pathline.contracts.detector_folder import Folder, Loaded
    from services.scorer.judgement import Judge
    from services.scorer.metrics import ScorerMetrics
    from services.scorer.settings import ScorerSettings

log = get_logger(__name__)

BEAT_SECONDS: Final = 5.0
"""How often a scorer says by which rules it judges; sweeps.QUIET goes by it."""

LEAVE_SECONDS: Final = 1.0


class Keeper:
    """One scorer's rules: those of its files, as soon as they can be used."""

    def __init__(
        self,
        settings: ScorerSettings,
        folder: Folder,
        judge: Judge,
        pool: asyncpg.Pool[Any],
        metrics: ScorerMetrics,
        loaded: Loaded,
    ) -> None:
        """Begin with what was `loaded`; nothing is judged by it before `adopt`."""
        self.id = uuid4()
        self.wanted = asyncio.Event()
        """Set to have the files looked at now."""
        self._settings = settings
        self._folder = folder
        self._judge = judge
        self._pool = pool
        self._metrics = metrics
        self._loaded = loaded
        self._signature: tuple[object, ...] | None = None
        self._adopted: str | None = None
        self._beaten_at = 0.0
        self._say()

    async def adopt(self) -> bool:
        """Judge by what is loaded: first make known who is on trial, then say that these rules count."""
        loaded = self._loaded
        async with self._pool.acquire() as db, db.transaction():
            await detectors.meet(db, detector_told.told(loaded), loaded.files, self._begin(loaded))
        before, self._judge.detectors = self._adopted, loaded.detectors
        self._metrics.know(loaded.detectors.files)
        async with self._pool.acquire() as db, db.transaction():
            if await sweeps.publish(db, loaded.identity):
                gone = await detectors.remove(db, loaded.files, loaded.faulty) if loaded.folder_known else []
                log.info("detectors changed: every story is judged again", rules=loaded.identity, removed=gone)
            elif before not in {None, loaded.identity}:
                await sweeps.disturb(db)
        self._adopted = loaded.identity
        await self._beat()
        return True

    async def run(self, halt: asyncio.Event) -> None:
        """Look at the files, and say what runs, until `halt`."""
        while not halt.is_set():
            try:
                await self.look()
                if self._adopted != self._loaded.identity:
                    await self.adopt()
                elif time.monotonic() - self._beaten_at >= BEAT_SECONDS:
                    await self._beat()
            except DATABASE_ERRORS as error:
                log.warning("detectors not noted", error=type(error).__name__)
            await self._wait(halt)
        with suppress(*DATABASE_ERRORS):
            async with asyncio.timeout(LEAVE_SECONDS), self._pool.acquire() as db:
                await sweeps.leave(db, self.id)

    async def look(self) -> None:
        """Read the files again if they are others than before, or somebody wants it."""
        signature = await asyncio.to_thread(self._folder.signature)
        if signature == self._signature and not self.wanted.is_set():
            return
        self.wanted.clear()
        first, self._signature = self._signature is None, signature
        before, self._loaded = self._loaded, await asyncio.to_thread(self._folder.load)
        if self._loaded.faults != before.faults:
            self._beaten_at = 0.0
            self._say()
        changed = self._loaded.identity != before.identity
        if not first or changed:
            outcome = "faulty" if self._loaded.faults else "changed" if changed else "unchanged"
            self._metrics.loads.labels(outcome).inc()

    def _say(self) -> None:
        self._metrics.files_bad.set(len(self._loaded.faulty))
        for one in self._loaded.faults:
            log.error(
                "a file of detectors cannot be used", file=one.file, line=one.line, code=one.code, why=one.message,
                runs="the version before" if one.last_good else "what there is without it",
            )  # fmt: skip

    def _begin(self, loaded: Loaded) -> dict[str, Mode]:
        """On trial where somebody made it, unless it or the setting says otherwise."""
        new = self._settings.new_detectors
        files = loaded.detectors.files
        return {
            name: "live" if file is None or detector_told.begins_live(files[name]) else new
            for name, file in loaded.files.items()
        }

    async def _beat(self) -> None:
        async with self._pool.acquire() as db:
            faults = msgspec.json.encode(self._loaded.faults).decode()
            await sweeps.announce(db, self.id, self._settings.instance, self._adopted or "", faults)
            standing = await sweeps.standing(db)
            if standing is not None and standing.rules != self._adopted:
                await sweeps.disturb(db)
        self._beaten_at = time.monotonic()
        if standing is not None:
            self._metrics.out_of_step.set(standing.rules != self._adopted)
            self._metrics.rejudged_share.set(standing.share)

    async def _wait(self, halt: asyncio.Event) -> None:
        """Until the next look, or beat, or somebody wants it sooner."""
        until = asyncio.create_task(pause(halt, min(BEAT_SECONDS, self._settings.detectors_poll_seconds)))
        wanted = asyncio.create_task(self.wanted.wait())
        await asyncio.wait({until, wanted}, return_when=asyncio.FIRST_COMPLETED)
        for task in (until, wanted):
            task.cancel()
        await asyncio.gather(until, wanted, return_exceptions=True)

    @property
    def rules(self) -> str:
        """The identity of what is judged by."""
        return self._adopted or ""


@asynccontextmanager
async def on_hangup(wanted: asyncio.Event) -> AsyncIterator[None]:
    """Set `wanted` at each SIGHUP meanwhile."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
