"""The stitcher's loop: take partitions, poll, stitch in one transaction, send hints, next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka.errors import KafkaError

from pathline.consuming.partitions import Partitions, Shares
from pathline.consuming.persistence import REFUSALS, RETRY_LEAST_SECONDS, RETRY_MOST_SECONDS, Persistence
from pathline.contracts import hint
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.kit.pace import Pace
from pathline.storage import fences
from pathline.storage.fences import Advance, FenceLostError
from services.stitcher import letters
from services.stitcher.aside import Aside
from services.stitcher.batch import Batch, Records, collect, empty, fill, halves, refused
from services.stitcher.transaction import Stitch, stitch

if TYPE_CHECKING:
    from uuid import UUID

    from asyncpg.pool import PoolConnectionProxy

    from pathline.domain.bonds import Pointer
    from pathline.domain.stages import Stages
    from pathline.kit.health import Health
    from services.stitcher.ear import Ear
    from services.stitcher.hints import HintPublisher
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

TELLING_SECONDS: Final = 1.0
"""How long a transaction that is ready waits for the hints of the one before; then its locks are let go."""

POLL_MS: Final = 200
"""How long a poll waits for a first record. It returns as soon as there is one."""


class RevokedError(Exception):
    """The group gave a partition to a peer while its batch was in hand; that share of it is the peer's now."""


class UntoldError(Exception):
    """Kafka takes no hints: no transaction is held open until it does."""


class Worker:
    """One consumer of the touchpoints topic, from joining the group to leaving it."""

    def __init__(
        self,
        *,
        settings: StitcherSettings,
        pool: asyncpg.Pool[Any],
        partitions: Partitions,
        persistence: Persistence,
        publisher: HintPublisher,
        stages: Stages,
        metrics: StitcherMetrics,
        health: Health,
        ear: Ear,
    ) -> None:
        """Work with `partitions` of a consumer that is not subscribed yet."""
        self._settings = settings
        self._pool = pool
        self._partitions = partitions
        self._persistence = persistence
        self._publisher = publisher
        self._stages = stages
        self._metrics = metrics
        self._health = health
        self._ear = ear
        self._pace = Pace(settings.stitcher_pace_ms / 1_000)
        self._aside = Aside(settings.stitcher_refused_per_minute)
        self._known: dict[UUID, Pointer | None] = {}
        self._db: PoolConnectionProxy[Any] | None = None
        self._telling: asyncio.Task[None] | None = None
        """Sends the hints of the last batch, until the next one is ready to be committed."""
        self.progressed_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Stitch until `stop`.

        Raises:
            FenceLostError: a peer took a partition; leave the group and join it anew.
            NewerRecordError, NewerStateError, OtherClusterError: this process must not go on.
        """
        self._partitions.subscribe()
        ahead: asyncio.Task[tuple[Shares, Batch]] | None = None
        try:
            while not stop.is_set():
                await self._take_assigned()
                shares, batch = await (ahead or asyncio.create_task(self._read()))
                # The next poll, and what it brings decoded and folded, go on while PostgreSQL works on this batch.
                ahead = asyncio.create_task(self._read())
                await self._finish(shares, batch)
                if shares:
                    self._pace.ended()
            await self._told()
        finally:
            under_way = [task for task in (ahead, self._telling) if task is not None]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            with suppress(*DATABASE_ERRORS):  # who ends has nothing left that a database could refuse
                await self._let_go()

    async def _take_assigned(self) -> None:
        if self._telling is not None and self._telling.done():
            # Where nothing comes nobody else would hear of an error of ours.
            await self._told()
        # Only where there is something to take: else a database that is away would be said to be there.
        if self._partitions.missing:
            await self._told()
            for left in await self._persistence.run(self._partitions.take_assigned):
                await self._send(hint.decode(left).hints)
            self._partitions.all_told()
        self._metrics.partitions.set(len(self._partitions.owned))
        if self._partitions.joined:
            self._health.set("partitions", None)

    async def _read(self) -> tuple[Shares, Batch]:
        await self._pace.kept()
        shares = await self._partitions.poll(POLL_MS, self._settings.stitcher_batch)
        if shares:
            read = sum(len(records) for _, records in shares.values())
            self._pace.began(full=read >= self._settings.stitcher_batch)
        batch = empty(_records(shares), self._stages)
        for _ in fill(batch, self._since(), self._aside.senders()):
            # PostgreSQL's answer comes first.
            await asyncio.sleep(0)
        return shares, batch

    async def _finish(self, shares: Shares, batch: Batch) -> None:
        """Stitch these, however often it takes, down to the record that can't be."""
        ours = self._partitions.still_ours(shares)
        if not ours:
            return
        if len(ours) < len(shares):
            batch = self._decode(ours)
        try:
            done = await self._persistence.run(self._stitch, ours, batch)
        except RevokedError:
            await self._finish(ours, batch)
        except UntoldError:
            await self._told()
            await self._finish(ours, batch)
        except REFUSALS as refusal:
            if batch.size == 1:
                self._count(batch)
                await self._told()
                with suppress(RevokedError):  # its peer finds out by itself
                    await self._persistence.run(self._stitch, ours, refused(batch, str(refusal)))
                    self._partitions.all_told()
                return
            for half in halves(batch.records):
                share = {p: (ours[p][0], records) for p, records in half.items()}
                await self._finish(share, self._decode(share))
        else:
            self._telling = asyncio.create_task(self._tell(done.hints))

    def _count(self, batch: Batch) -> None:
        """Count a record that was refused for its source, which is paused if there were too many."""
        for touchpoint in batch.touchpoints.values():
            if self._aside.refused(touchpoint.source):
                log.error("a source is paused: the database refuses what it sends", source=touchpoint.source)
        self._metrics.paused.set(len(self._aside.senders()))

    async def _stitch(self, shares: Shares, batch: Batch) -> Stitch:
        started = time.perf_counter()
        if len(self._partitions.still_ours(shares)) < len(shares):
            raise RevokedError
        moves = self._partitions.moves(shares)
        try:
            done = await self._transact(batch, moves)
        except BaseException:
            # What was read or meant to be written in there may not be so.
            self._known.clear()
            await self._let_go()
            raise
        self._partitions.done(shares)
        self._observe(batch, done, time.perf_counter() - started)
        return done

    async def _transact(self, batch: Batch, moves: Sequence[Advance]) -> Stitch:
        db = await self._connection()
        try:
            async with db.transaction():
                done = await stitch(db, self._partitions.topic, batch, moves, self._stages, self._known)
                await self._told(TELLING_SECONDS)
                return done
        except FenceLostError:
            if not await self._partitions.committed(db, moves):
                raise
            kept = await fences.unsent(db, self._partitions.topic, [move.partition for move in moves])
            return Stitch([one for value in kept for one in hint.decode(value).hints], 0, 0, [])

    async def _connection(self) -> PoolConnectionProxy[Any]:
        """The connection of our transactions, kept from one to the next: to give it back costs a statement."""
        if self._db is not None and self._db.is_closed():
            await self._let_go()
        if self._db is None:
            self._db = await self._pool.acquire()
        return self._db

    async def _let_go(self) -> None:
        """Give the connection back; after a failure the next transaction has another one, or this one made clean."""
        db, self._db = self._db, None
        if db is not None:
            await self._pool.release(db)

    async def _tell(self, hints: Sequence[hint.Hint]) -> None:
        await self._send(hints)
        self._partitions.all_told()

    async def _told(self, seconds: float | None = None) -> None:
        """Wait until the hints of the last batch are sent: the next commit overwrites their copy in the table.

        Raises:
            UntoldError: they were not in so many seconds.
        """
        if self._telling is None:
            return
        await asyncio.wait([self._telling], timeout=seconds)
        if not self._telling.done():
            raise UntoldError
        telling, self._telling = self._telling, None
        await telling

    async def _send(self, hints: Sequence[hint.Hint]) -> None:
        """Send hints until the broker has them."""
        pause = RETRY_LEAST_SECONDS
        while True:
            try:
                await self._publisher.send(hints)
            except (KafkaError, TimeoutError) as error:
                self._metrics.failures.labels("kafka").inc()
                self._health.set("hints", f"hints can't be sent: {type(error).__name__}")
                log.warning("hints not sent, trying again", error=type(error).__name__, seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST_SECONDS)
            else:
                self._health.set("hints", None)
                return

    def _observe(self, batch: Batch, done: Stitch, seconds: float) -> None:
        self.progressed_at = time.monotonic()
        self._metrics.batch_size.observe(batch.size)
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.touchpoints.labels("stitched").inc(len(done.hints))
        self._metrics.touchpoints.labels("duplicate").inc(done.duplicates)
        self._metrics.touchpoints.labels("dead_letter").inc(len(done.letters))
        letters.tell(done.letters)
        self._metrics.moved.inc(done.moved)
        self._ear.hear(done.heard)
        self._metrics.visits.labels("lost").inc(done.visits.lost)
        self._metrics.visits.labels("kept").inc(done.visits.visits - done.visits.lost)
        now = datetime.now(UTC)
        self._metrics.stored_seconds.observe_all(
            [max(0.0, (now - one.received_at).total_seconds()) for one in done.hints if not one.historical]
        )
        while len(self._known) > self._settings.stitcher_known_people:
            self._known.pop(next(iter(self._known)))
        self._metrics.known.set(len(self._known))
        self._metrics.paused.set(len(self._aside.senders()))

    def _decode(self, shares: Shares) -> Batch:
        return collect(_records(shares), self._stages, self._since(), self._aside.senders())

    def _since(self) -> datetime:
        """What was received before is no longer known to be counted or not."""
        return datetime.now(UTC) - timedelta(days=self._settings.seen_kept_days)


def _records(shares: Shares) -> Records:
    return {p: records for p, (_, records) in shares.items()}
