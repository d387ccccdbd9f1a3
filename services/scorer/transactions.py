"""The scorer's transactions run to their end: tried again, counted, and cut down to the one story that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from pathline.consuming.partitions import Partitions
from pathline.consuming.persistence import REFUSALS, Persistence
from pathline.contracts.letters import SCORER
from pathline.kit.logging import get_logger
from pathline.storage import detectors as states
from pathline.storage import fences, letters, stories, watch
from pathline.storage.fences import FenceLostError
from services.scorer.guard_errors import GuardErrors
from services.scorer.judgement import AGAIN_AFTER, Judge, Judged, TooManyNeighboursError, points_at_nothing, things_of

if TYPE_CHECKING:
    from pathline.contracts.hint import Hint
    from services.scorer.batch import Batch
    from services.scorer.metrics import ScorerMetrics

log = get_logger(__name__)


class RevokedError(Exception):
    """The group gave a partition to a peer while its batch was in hand; that share of it is the peer's now."""


class Transactions:
    """Judges batches, passed deadlines and single stories."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        judge: Judge,
        persistence: Persistence,
        metrics: ScorerMetrics,
        news: asyncio.Event,
    ) -> None:
        """Judge with `judge`; `news` is set when there is something to deliver."""
        self._pool = pool
        self._judge = judge
        self._persistence = persistence
        self._metrics = metrics
        self._guard_errors = GuardErrors(metrics.guard_errors)
        self._news = news

    async def batch(self, batch: Batch, partitions: Partitions) -> None:
        """Judge what hints point at, and move their partitions on.

        Raises:
            FenceLostError: a peer took a partition.
            RevokedError: the group gave one away.
        """
        try:
            judged = await self._hints_or_fewer(batch, partitions)
        except REFUSALS:
            await self._apart(batch)
            judged = await self._persistence.run(self._hints, batch, [], partitions)
        partitions.done(batch.shares)
        self._metrics.hints.labels("unreadable").inc(len(batch.letters))
        for letter in batch.letters:
            log.error("a hint could not be read", partition=letter.partition, offset=letter.offset)
        unjudged = sum(map(points_at_nothing, batch.hints))
        self._metrics.hints.labels("nothing_to_judge").inc(unjudged)
        self._metrics.hints.labels("judged").inc(len(batch.hints) - unjudged)
        self._tell(judged, batch.hints)
        await self.stories(judged.elsewhere, relook=True)

    async def due(self, limit: int) -> int:
        """Judge up to `limit` stories whose deadline has passed; returns how many were taken."""
        try:
            judged = await self._persistence.run(self._due, limit)
        except REFUSALS:
            keys = await self._persistence.run(self._due_keys, limit)
            await self._one_by_one(keys, relook=False)
            return len(keys)
        self._tell(judged)
        await self.stories(judged.elsewhere)
        return judged.taken

    async def stories(self, keys: Collection[UUID], *, relook: bool = False) -> None:
        """Judge these stories in a transaction of their own; `relook` where it is because of a hint."""
        if not keys:
            return
        try:
            self._tell(await self._persistence.run(partial(self._some, relook=relook), sorted(keys)))
        except REFUSALS:
            await self._one_by_one(sorted(keys), relook=relook)

    async def withdraw(self, limit: int) -> int:
        """End up to `limit` alerts of detectors that nobody runs any more; returns how many were found."""
        judged = await self._persistence.run(self._withdraw, limit)
        self._tell(judged)
        return judged.taken

    async def _withdraw(self, limit: int) -> Judged:
        async with self._pool.acquire() as db, db.transaction():
            found = await states.orphans(db, limit)
            judged = await self._judge.withdraw(db, found) if found else Judged()
        judged.taken = len(found)
        return judged

    async def _hints_or_fewer(self, batch: Batch, partitions: Partitions) -> Judged:
        """Judge a batch; where its customers have too much elsewhere, that first, hint by hint."""
        try:
            return await self._persistence.run(self._hints, batch, batch.hints, partitions)
        except TooManyNeighboursError:
            for one in batch.hints:
                self._tell(await self._persistence.run(self._elsewhere, one))
            return await self._persistence.run(partial(self._hints, alone=True), batch, batch.hints, partitions)

    async def _elsewhere(self, hint: Hint) -> Judged:
        started = time.perf_counter()
        async with self._pool.acquire() as db, db.transaction():
            judged = await self._judge.elsewhere(db, hint)
        self._observe(judged, "hint", time.perf_counter() - started)
        return judged

    async def _hints(
        self, batch: Batch, hints: Sequence[Hint], partitions: Partitions, *, alone: bool = False
    ) -> Judged:
        if len(partitions.still_ours(batch.shares)) < len(batch.shares):
            raise RevokedError
        moves = partitions.moves(batch.shares)
        started = time.perf_counter()
        async with self._pool.acquire() as db:
            try:
                async with db.transaction():
                    judged = await self._judge.hints(db, partitions.topic, hints, moves, alone=alone)
                    if batch.letters:
                        await letters.write(db, partitions.topic, SCORER, batch.letters)
            except FenceLostError:
                if not await partitions.committed(db, moves):
                    raise
                # It had committed after all. Whatever was to be judged elsewhere has hints of its own.
                judged = Judged()
        self._observe(judged, "hint", time.perf_counter() - started)
        return judged

    async def _due(self, limit: int) -> Judged:
        started = time.perf_counter()
        async with self._pool.acquire() as db, db.transaction():
            judged = await self._judge.due(db, limit)
        if judged.taken:
            self._observe(judged, "deadline", time.perf_counter() - started)
        return judged

    async def _due_keys(self, limit: int) -> list[UUID]:
        async with self._pool.acquire() as db, db.transaction():
            return await self._judge.due_keys(db, limit)

    async def _some(self, keys: Sequence[UUID], *, relook: bool) -> Judged:
        started = time.perf_counter()
        async with self._pool.acquire() as db, db.transaction():
            judged = await self._judge.stories(db, keys, relook=relook)
        self._observe(judged, "hint", time.perf_counter() - started)
        return judged

    async def _apart(self, batch: Batch) -> None:
        """Judge each story of a batch, and of its customers', by itself: the database refuses something of one."""
        wanted = things_of(batch.hints)
        await self._one_by_one(sorted(set((await self._persistence.run(self._keys, wanted)).values())), relook=True)
        for one in batch.hints:
            try:
                self._tell(await self._persistence.run(self._elsewhere, one))
            except REFUSALS:
                await self._one_by_one(sorted(await self._persistence.run(self._elsewhere_keys, one)), relook=True)

    async def _keys(self, ids: Collection[UUID]) -> dict[UUID, UUID]:
        async with self._pool.acquire() as db:
            return await stories.keys_of(db, ids)

    async def _elsewhere_keys(self, hint: Hint) -> set[UUID]:
        async with self._pool.acquire() as db:
            return await self._judge.elsewhere_keys(db, hint)

    async def _one_by_one(self, keys: Sequence[UUID], *, relook: bool) -> None:
        for key in keys:
            try:
                self._tell(await self._persistence.run(partial(self._some, relook=relook), [key]))
            except REFUSALS as refusal:
                # Its message may quote what a customer sent.
                log.error("the database refuses a story's alerts", story=str(key), error=type(refusal).__name__)  # noqa: TRY400
                self._metrics.failures.labels("story").inc()
                await self._persistence.run(self._later, key)

    async def _later(self, key: UUID) -> None:
        async with self._pool.acquire() as db, db.transaction():
            await watch.lock(db, [key])
            await watch.schedule(db, {key: await fences.clock(db) + AGAIN_AFTER})

    def tell(self, judged: Judged, reason: str, seconds: float) -> None:
        """Count, log and deliver what another kind of judging did."""
        if judged.taken:
            self._observe(judged, reason, seconds)
        self._tell(judged)

    def _observe(self, judged: Judged, reason: str, seconds: float) -> None:
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.stories.labels(reason).inc(len(judged.keys))
        self._metrics.failures.labels("story").inc(judged.failed)
        self._guard_errors.count(judged.guard_errors)
        if judged.cut:
            self._metrics.cut.inc()

    def _tell(self, judged: Judged, hints: Sequence[Hint] = ()) -> None:
        """Count and log what became of alerts, and ring for those who deliver it."""
        if not judged.changes:
            return
        traces = _traces(hints)
        now = datetime.now(UTC)
        for change in judged.changes:
            alert = change.alert
            kind = "expired" if change.new and not alert.alive else change.kind
            if kind == "kept":
                continue
            if alert.shadow:
                self._metrics.shadow_changes.labels(kind, alert.detector).inc()
                continue
            self._metrics.changes.labels(kind, alert.detector, alert.severity).inc()
            if kind == "opened":
                self._metrics.blind.inc(alert.blind)
                received = judged.received.get(alert.story_id)
                if received is not None:
                    self._metrics.alerted_seconds.observe(max(0.0, (now - received).total_seconds()))
            log.info(
                "alert", change=kind, alert=str(alert.id), detector=alert.detector, severity=alert.severity,
                entity=str(alert.entity_id), why=alert.why, blind=alert.blind,
                traceparent=next((traces[one] for one in alert.why if one in traces), None),
            )  # fmt: skip
        self._news.set()


def _traces(hints: Sequence[Hint]) -> Mapping[str, str]:
    """The trace context that came with each message, where one did."""
    return {one.message_id: one.traceparent for one in hints if one.traceparent is not None}
