"""A rebuild of journeys: read what is retained, write what it tells, catch up with what came meanwhile.

Until all of a state's touchpoints are read nothing of it is written, so each journey changes at once. What stitchers
told in between may hide behind a fact that is then taken back; it is told once more at the end. Every page is a
transaction, with the place where to go on: whoever is killed loses the page in hand.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pathline.consuming.patience import pause
from pathline.consuming.persistence import CONFLICTS
from pathline.domain import rebuilding
from pathline.domain.facts import FOLD_VERSION, State
from pathline.domain.rebuilding import Place, Refolded, Retained
from pathline.storage import fences, presence, stories
from pathline.storage import rebuilding as storage
from pathline.storage.rebuilding import CANCELLED, CATCHING_UP, DONE, READING, REPLACED, WRITING, Job, Noted, Page
from services.stitcher.throttle import Throttle

if TYPE_CHECKING:
    import asyncpg

    from pathline.domain.stages import Stages
    from pathline.storage.connection import Db
    from services.stitcher.settings import RebuildSettings

CONFLICT_TRIES: Final = 20
CONFLICT_PAUSE_SECONDS: Final = 0.2

LOOKS_A_SECOND: Final = 200
"""Stories that the scorer is asked to look at, on average: a tenth of what it can, so that deadlines are kept."""

NOTES_A_TOUCHPOINT: Final = 4
"""A page of states is smaller than one of touchpoints: its rows are locked while it is written."""


class AlreadyRunningError(Exception):
    """Another process rebuilds journeys in this database."""


class OtherStagesError(Exception):
    """Stitchers run another stage file, or are of an older version: what they stitch would have to be rebuilt again."""

    def __init__(self, count: int) -> None:
        """Say how many."""
        super().__init__(f"{count} of the stitchers run another stage file or an older version")


class Stopped(Exception):  # noqa: N818 - an end that was asked for
    """Told to end; the next run goes on."""


class Rebuild:
    """One run: from the beginning, or from where the last one was."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        topic: str,
        stages: Stages,
        settings: RebuildSettings,
        *,
        on_progress: Callable[[Job, float], None] = lambda _job, _behind: None,
        stop: asyncio.Event | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """Rebuild by `stages`.

        Args:
            pool: two connections of it are used.
            topic: the touchpoints', whose stitchers must not fall behind.
            stages: the stage file that counts.
            settings: how fast.
            on_progress: told of the job after each page, and while it rests how far the stitchers are behind.
            stop: set to end after the page in hand.
            throttle: what is done between two pages, where it is not the usual.
        """
        self._pool = pool
        self._topic = topic
        self._stages = stages
        self._batch = settings.rebuild_batch
        self._on_progress = on_progress
        self._stop = stop or asyncio.Event()
        self._throttle = throttle or Throttle(topic, stages.identity, settings, self._stop)
        self._written = time.monotonic()

    async def run(self, *, anyway: bool = False) -> Job:
        """Rebuild to the end, or until it is cancelled; the job as it ended.

        Raises:
            AlreadyRunningError: somebody else does.
            OtherStagesError: stitchers run another stage file, and `anyway` is False.
            Stopped: the event was set.
            NewerStateError: a newer version wrote a state.
            asyncpg.PostgresError, OSError: the database; run it again.
        """
        async with self._pool.acquire() as db:
            if not await storage.alone(db):
                raise AlreadyRunningError
            _, others = await presence.stitchers(db, self._stages.identity)
            if others and not anyway:
                raise OtherStagesError(others)
            job = await self._begin(db)
            self._written = time.monotonic()
            phases = {READING: self._read, WRITING: self._write, CATCHING_UP: self._catch_up}
            while job.finished_at is None:
                if job.cancel:
                    return await self._end(db, job, CANCELLED)
                job = await phases[job.phase](db, job)
            return job

    async def _begin(self, db: Db) -> Job:
        job = await storage.unfinished(db)
        if job is not None and (job.stages, job.fold_version) != (self._stages.identity, FOLD_VERSION):
            # A state says itself what is to be taken back, so one that was left in the middle needs no end.
            await self._end(db, job, REPLACED)
            job = None
        elif job is not None and job.cancel:
            # Whoever was to end it was killed before.
            await self._end(db, job, CANCELLED)
            job = None
        if job is None:
            async with db.transaction():
                job = await storage.begin(db, self._stages.identity, self._topic)
        self._on_progress(job, 0.0)
        return job

    async def _end(self, db: Db, job: Job, phase: str) -> Job:
        async with db.transaction():
            await storage.end(db, job, phase)
        ended = await storage.latest(db)
        assert ended is not None
        self._on_progress(ended, 0.0)
        return ended

    async def _read(self, db: Db, job: Job) -> Job:
        """Note what every retained touchpoint tells."""
        async with aclosing(self._pages(db, job, None)) as pages:
            async for page in pages:
                found = await self._refold(db, page.touchpoints)
                job = await self._attempt(partial(self._note, db, job, page, found))
                if await self._rest(db, job, len(page.touchpoints)):
                    return job
        await storage.ready_to_write(db)
        return await storage.progress(db, job, phase=WRITING, worked_seconds=0.0)

    async def _pages(self, db: Db, job: Job, since: Sequence[int] | None) -> AsyncGenerator[Page, None]:
        """Pages of every week from where the job is; the next is read while this one is worked on."""
        for week in await storage.weeks(db):
            if job.week is not None and week < job.week:
                continue
            place = (job.subject, job.occurred_at, job.touchpoint) if week == job.week else None
            ahead = asyncio.create_task(self._page(week, place, since))  # type: ignore[arg-type]
            try:
                while page := await ahead:
                    ahead = asyncio.create_task(self._page(week, page.last, since))
                    yield page
            finally:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _page(self, week: str, after: Place | None, since: Sequence[int] | None) -> Page | None:
        async with self._pool.acquire() as db:
            return await storage.read(db, week, after, self._batch, since)

    async def _refold(self, db: Db, page: Sequence[Retained]) -> Refolded:
        if not page:
            return Refolded({}, {}, [])
        things = {thing for one in page for thing in one.entities}
        subjects = {one.subject for one in page} - things
        kinds, held = await storage.look(db, subjects, things)
        return rebuilding.refold(page, kinds, held, self._stages)

    async def _note(self, db: Db, job: Job, page: Page, found: Refolded) -> Job:
        async with db.transaction():
            noted = await storage.note(db, found)
            if found.placements:
                await storage.place(db, page.week, found.placements)
            return await storage.progress(db, job, noted=job.noted + noted, **self._after(job, page, found))

    def _after(self, job: Job, page: Page, found: Refolded) -> dict[str, Any]:
        subject, occurred_at, touchpoint = page.last
        return {
            "touchpoints": job.touchpoints + (len(page.touchpoints) if job.phase == READING else 0),
            "placed": job.placed + len(found.placements),
            "worked_seconds": self._worked(job),
            "others": job.others or self._throttle.others > 0,
            "week": page.week,
            "subject": subject,
            "occurred_at": occurred_at,
            "touchpoint": touchpoint,
        }

    def _worked(self, job: Job) -> float:
        return job.worked_seconds + time.monotonic() - self._written

    async def _write(self, db: Db, job: Job) -> Job:
        """Write what is noted, state after state."""
        before = await storage.previous_stages(db, job)
        limit = max(1, self._batch // NOTES_A_TOUCHPOINT)
        while (last := await storage.next_states(db, job.state or storage.FIRST, limit)) is not None:
            applied = job.applied
            job = await self._attempt(partial(self._write_page, db, job, last, before))
            if await self._rest(db, job, job.applied - applied):
                return job
        return await storage.progress(
            db, job, phase=CATCHING_UP, worked_seconds=0.0, week=None, subject=None, occurred_at=None, touchpoint=None
        )

    async def _write_page(self, db: Db, job: Job, last: UUID, before: str | None) -> Job:
        async with db.transaction():
            noted = await storage.notes(db, job.state or storage.FIRST, last)
            changed, states = await self._renew(db, job, noted)
            kept: dict[UUID, list[str]] = {}
            if job.retained_since is not None:
                for one, state in states.items():
                    if names := rebuilding.earlier(state, noted[one].told, job.retained_since):
                        kept[one] = names
            await storage.mark_earlier(db, states, kept, before)
            return await storage.progress(
                db, job, state=last, applied=job.applied + sum(one.count for one in noted.values()),
                changed=job.changed + changed, earlier=job.earlier + len(kept),
                others=job.others or self._throttle.others > 0,
                worked_seconds=self._worked(job),
            )  # fmt: skip

    async def _renew(self, db: Db, job: Job, noted: dict[UUID, Noted]) -> tuple[int, dict[UUID, State]]:
        """Lock these states and write those that change; returns how many did, and all as they are now."""
        states: dict[UUID, State] = {}
        look: set[UUID] = set()
        changed = 0
        for lock, write in (
            (storage.lock_strands, storage.write_strands),
            (storage.lock_things, storage.write_things),
        ):
            held = await lock(db, sorted(noted))
            now = {
                one: rebuilding.renewed(state, noted[one].told, noted[one].undone, job.started_at)
                for one, state in held.items()
            }
            others = {one: state for one, state in now.items() if state != held[one]}
            look.update(one for one, state in others.items() if rebuilding.more_than_the_file(held[one], state))
            if others:
                await write(db, others)
            changed += len(others)
            states |= now
        if look:
            await self._look_again(db, job, look)
        return changed, states

    async def _look_again(self, db: Db, job: Job, ids: set[UUID]) -> None:
        keys = set((await stories.keys_of(db, ids)).values())
        now = await fences.clock(db)
        window = timedelta(seconds=job.noted / LOOKS_A_SECOND)
        await storage.look_again(db, {key: now + window * random.random() for key in keys})  # noqa: S311 - no secret

    async def _catch_up(self, db: Db, job: Job) -> Job:
        """Tell once more what was stitched meanwhile."""
        async with aclosing(self._pages(db, job, job.positions)) as pages:
            async for page in pages:
                found = await self._refold(db, page.touchpoints)
                job = await self._attempt(partial(self._tell, db, job, page, found))
                if await self._rest(db, job, len(page.touchpoints)):
                    return job
        if await self._throttle.look(db):
            job = await storage.progress(db, job, others=True)
        return await self._end(db, job, DONE)

    async def _tell(self, db: Db, job: Job, page: Page, found: Refolded) -> Job:
        async with db.transaction():
            changed = 0
            if found.told:
                changed, _ = await self._renew(db, job, {one: Noted(told, [], 0) for one, told in found.told.items()})
            if found.placements:
                await storage.place(db, page.week, found.placements)
            return await storage.progress(db, job, changed=job.changed + changed, **self._after(job, page, found))

    async def _attempt(self, work: Callable[[], Awaitable[Job]]) -> Job:
        """Try a transaction again that met another process."""
        for _ in range(CONFLICT_TRIES):
            try:
                job = await work()
            except CONFLICTS:
                await pause(self._stop, CONFLICT_PAUSE_SECONDS * random.uniform(0.5, 1))  # noqa: S311 - jitter
            else:
                self._written = time.monotonic()
                return job
        return await work()

    async def _rest(self, db: Db, job: Job, rows: int) -> bool:
        """Say how far it is, and leave the stitchers room; whether it is cancelled."""
        self._on_progress(job, 0.0)
        await self._throttle.rest(db, rows, lambda behind: self._on_progress(job, behind))
        if self._stop.is_set():
            raise Stopped
        return job.cancel
