"""The stitcher's loop: take partitions, poll, stitch in one transaction, send hints, next."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from pathline.contracts import hint
from pathline.kit.logging import get_logger
from pathline.storage import fences
from pathline.storage.fences import Advance, FenceLostError, OtherClusterError
from services.stitcher.batch import Batch, Records, collect, halves, last_received, refused
from services.stitcher.transaction import Stitch, stitch

if TYPE_CHECKING:
    from uuid import UUID

    from pathline.domain.bonds import Pointer
    from pathline.domain.stages import Stages
    from pathline.kit.health import Health
    from services.stitcher.hints import HintPublisher
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

POLL_MS: Final = 200
"""How long a poll waits for a first record. It returns as soon as there is one."""

RETRY_LEAST_SECONDS: Final = 0.05
RETRY_MOST_SECONDS: Final = 3.0

CONFLICTS: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
"""Another process was in the way: the same batch will do on the next try."""

REFUSALS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""The database will never take this batch: one of its records is a dead letter."""


class RevokedError(Exception):
    """The group gave a partition to a peer while its batch was in hand; that share of it is the peer's now."""


class Ownership:
    """A partition that we hold."""

    __slots__ = ("committed", "epoch", "position")

    def __init__(self, epoch: int, next_offset: int) -> None:
        """Stand at `next_offset`, under the fence's `epoch`."""
        self.epoch = epoch
        self.committed = next_offset
        """Next offset by the database."""
        self.position = next_offset
        """Next offset to be read; ahead of `committed` by the batch in hand."""


Polled = dict[int, tuple[Ownership, Sequence[Any]]]
"""Records by partition, with the ownership under which they were read: under another one they must not be written."""


class _Revoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """Forgets partitions at once when they go; the fence holds even if it came too late."""

    def __init__(self, owned: dict[int, Ownership]) -> None:
        self._owned = owned

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        for tp in revoked:
            self._owned.pop(tp.partition, None)

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Nothing: errors raised here are swallowed, so partitions are taken in the loop."""


class Worker:
    """One consumer of the touchpoints topic, from joining the group to leaving it."""

    def __init__(
        self,
        *,
        settings: StitcherSettings,
        pool: asyncpg.Pool[Any],
        consumer: AIOKafkaConsumer,
        publisher: HintPublisher,
        topic: str,
        cluster_id: str,
        stages: Stages,
        metrics: StitcherMetrics,
        health: Health,
    ) -> None:
        """Work with a `consumer` that is not subscribed yet."""
        self._settings = settings
        self._pool = pool
        self._consumer = consumer
        self._publisher = publisher
        self._topic = topic
        self._cluster_id = cluster_id
        self._stages = stages
        self._metrics = metrics
        self._health = health
        self._known: dict[UUID, Pointer | None] = {}
        self.owned: dict[int, Ownership] = {}
        self.progressed_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Stitch until `stop`.

        Raises:
            FenceLostError: a peer took a partition; leave the group and join it anew.
            NewerStateError, OtherClusterError: this process must not go on.
        """
        self._consumer.subscribe([self._topic], listener=_Revoked(self.owned))
        ahead: asyncio.Task[Polled] | None = None
        try:
            while not stop.is_set():
                await self._take_assigned()
                polled = await (ahead or asyncio.create_task(self._poll()))
                # The next poll runs while PostgreSQL works on this batch.
                ahead = asyncio.create_task(self._poll())
                await self._finish(polled)
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _take_assigned(self) -> None:
        """Take the partitions that the group gave us since the last look, and go where the table says."""
        missing = [tp for tp in self._consumer.assignment() if tp.partition not in self.owned]
        taken = [(tp, await self._persist(self._take, tp)) for tp in sorted(missing, key=lambda tp: tp.partition)]
        if taken:
            await self._check_offsets({tp: held.next_offset for tp, held in taken})
        for tp, held in taken:
            if held.hints is not None:
                await self._send(hint.decode(held.hints).hints)
            self._consumer.seek(tp, held.next_offset)
            self.owned[tp.partition] = Ownership(held.epoch, held.next_offset)
            log.info("partition taken", partition=tp.partition, epoch=held.epoch, next_offset=held.next_offset)
        self._metrics.partitions.set(len(self.owned))
        if self._consumer.assignment():
            self._health.set("partitions", None)

    async def _check_offsets(self, taken: Mapping[TopicPartition, int]) -> None:
        """Refuse a topic that is not the one we read before; say it when Kafka dropped what was not read yet.

        Asked for all at once: each question waits behind the fetch that is under way, half a second.
        """
        ends = await self._consumer.end_offsets(list(taken))
        beginnings = await self._consumer.beginning_offsets(list(taken))
        for tp, next_offset in taken.items():
            if next_offset > ends[tp]:
                message = f"{tp.topic}/{tp.partition} ends at {ends[tp]}, but was read up to {next_offset}: made anew"
                raise OtherClusterError(message)
            if 0 < next_offset < beginnings[tp]:
                lost = beginnings[tp] - next_offset
                log.error("retention dropped records that were not read", partition=tp.partition, lost=lost)

    async def _take(self, tp: TopicPartition) -> fences.Held:
        async with self._pool.acquire() as db:
            return await fences.take(db, self._topic, tp.partition, self._cluster_id)

    async def _poll(self) -> Polled:
        """Records of partitions that we hold, from where we stand on, each with the ownership it was read under."""
        polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._settings.stitcher_batch)
        fresh: Polled = {}
        for tp, records in polled.items():
            own = self.owned.get(tp.partition)
            wanted = [] if own is None else [r for r in records if r.offset >= own.position]
            if own is not None and wanted:
                own.position = wanted[-1].offset + 1
                fresh[tp.partition] = own, wanted
        return fresh

    async def _finish(self, polled: Polled) -> None:
        """Stitch these records, however often it takes, down to the one that can't be."""
        polled = {p: share for p, share in polled.items() if self.owned.get(p) is share[0]}
        if not polled:
            return
        batch = collect({p: records for p, (_, records) in polled.items()})
        owners = {p: own for p, (own, _) in polled.items()}
        try:
            done = await self._persist(self._stitch, batch, owners)
        except RevokedError:
            await self._finish(polled)
        except REFUSALS as refusal:
            if batch.size == 1:
                await self._persist(self._stitch, refused(batch, str(refusal)), owners)
                return
            for half in halves(batch.records):
                await self._finish({p: (owners[p], records) for p, records in half.items()})
        else:
            await self._send(done.hints)

    async def _stitch(self, batch: Batch, owners: Mapping[int, Ownership]) -> Stitch:
        started = time.perf_counter()
        if any(self.owned.get(partition) is not own for partition, own in owners.items()):
            raise RevokedError
        moves = self._moves(batch.records, owners)
        async with self._pool.acquire() as db:
            try:
                async with db.transaction():
                    done = await stitch(db, self._topic, batch, moves, self._stages, self._known)
            except FenceLostError:
                hints = await self._hints_if_committed(moves)
                if hints is None:
                    raise
                done = Stitch(hints, 0, 0, 0)
        for move in moves:
            owners[move.partition].committed = move.next_offset
        self._observe(batch, done, time.perf_counter() - started)
        return done

    def _moves(self, records: Records, owners: Mapping[int, Ownership]) -> list[Advance]:
        return [
            Advance(
                partition,
                owners[partition].epoch,
                owners[partition].committed,
                records[partition][-1].offset + 1,
                last_received(records[partition]),
            )
            for partition in sorted(records)
        ]

    async def _hints_if_committed(self, moves: Sequence[Advance]) -> list[hint.Hint] | None:
        """A connection lost during COMMIT leaves it open whether it happened; the table tells."""
        async with self._pool.acquire() as db:
            rows = await fences.positions(db, self._topic)
            if any(rows.get(move.partition) != (move.epoch, move.next_offset) for move in moves):
                return None
            kept = await fences.unsent(db, self._topic, [move.partition for move in moves])
        return [one for value in kept for one in hint.decode(value).hints]

    async def _persist(self, work: Any, *args: Any) -> Any:
        """Run database work until it is done, whatever the database goes through meanwhile.

        Raises:
            FenceLostError, NewerStateError, OtherClusterError: no use in trying again.
            asyncpg.PostgresError: one of REFUSALS.
        """
        pause = RETRY_LEAST_SECONDS
        while True:
            try:
                result = await work(*args)
            except REFUSALS:
                self._known.clear()
                raise
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                self._known.clear()
                conflict = isinstance(error, CONFLICTS)
                self._metrics.failures.labels("conflict" if conflict else "database").inc()
                if not conflict:
                    self._health.set("database", f"{type(error).__name__}: {error}"[:200])
                    log.warning("database failed, trying again", error=type(error).__name__, seconds=pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, RETRY_MOST_SECONDS)
            else:
                self._health.set("database", None)
                return result

    async def _send(self, hints: Sequence[hint.Hint]) -> None:
        """Send hints until the broker has them: the next commit overwrites the copy in the table."""
        pause = RETRY_LEAST_SECONDS
        while True:
            try:
                await self._publisher.send(hints)
            except (KafkaError, TimeoutError) as error:
                self._metrics.failures.labels("kafka").inc()
                self._health.set("kafka", f"hints can't be sent: {type(error).__name__}")
                log.warning("hints not sent, trying again", error=type(error).__name__, seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST_SECONDS)
            else:
                self._health.set("kafka", None)
                return

    def _observe(self, batch: Batch, done: Stitch, seconds: float) -> None:
        self.progressed_at = time.monotonic()
        self._metrics.batch_size.observe(batch.size)
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.touchpoints.labels("stitched").inc(len(done.hints))
        self._metrics.touchpoints.labels("duplicate").inc(done.duplicates)
        self._metrics.touchpoints.labels("dead_letter").inc(done.letters)
        self._metrics.moved.inc(done.moved)
        now = datetime.now(UTC)
        for one in done.hints:
            if not one.historical:
                self._metrics.stored_seconds.observe(max(0.0, (now - one.received_at).total_seconds()))
        while len(self._known) > self._settings.stitcher_known_people:
            self._known.pop(next(iter(self._known)))
        self._metrics.known.set(len(self._known))

    async def tick(self) -> Mapping[int, int]:
        """Note how far every partition is read, also where nothing comes; return how many records wait in each."""
        async with self._pool.acquire() as db:
            at = await fences.clock(db)
            held = {p: (own.epoch, own.committed) for p, own in self.owned.items()}
            asked = await self._consumer.end_offsets([TopicPartition(self._topic, p) for p in held])
            ends = {tp.partition: end for tp, end in asked.items()}
            await fences.read_through(db, self._topic, ends, {p: epoch for p, (epoch, _) in held.items()}, at)
        return {p: max(0, ends[p] - committed) for p, (_, committed) in held.items() if p in ends}
