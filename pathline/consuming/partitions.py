"""The partitions that a consumer holds, each at the place and under the epoch that the fence's table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from pathline.kit.logging import get_logger
from pathline.storage import fences
from pathline.storage.fences import Advance, Held, OtherClusterError

if TYPE_CHECKING:
    from pathline.kit.origin import Origin
    from pathline.storage.connection import Db

log = get_logger(__name__)

NO_PARTITION: Final = "no partition taken yet"
"""Why a consumer is not ready, from joining its group until that has given it its part."""

UNTOLD: Final = -1
"""Stands before every offset."""


class Ownership:
    """A partition that we hold."""

    __slots__ = ("committed", "epoch", "position", "told")

    def __init__(self, epoch: int, next_offset: int, *, told: bool = True) -> None:
        """Stand at `next_offset`, under the fence's `epoch`; `told` says whether all hints of before were sent."""
        self.epoch = epoch
        self.committed = next_offset
        """Next offset by the database."""
        self.position = next_offset
        """Next offset to be read; ahead of `committed` by what is in hand."""
        self.told = next_offset if told else UNTOLD
        """All hints of what lies before this offset were sent."""


Shares = Mapping[int, tuple[Ownership, Sequence[Any]]]
"""Records by partition, with the ownership under which they were read: under another one they must not be written."""


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Forgets partitions at once when they go; the fence holds even if it came too late."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        for tp in revoked:
            self._partitions.owned.pop(tp.partition, None)
        self._partitions.joined = False

    def on_partitions_assigned(self, _assigned: Sequence[TopicPartition]) -> None:
        """Errors raised here are swallowed, so partitions are taken in the loop."""
        self._partitions.joined = True


class Partitions:
    """One consumer's part of one topic."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        pool: asyncpg.Pool[Any],
        topic: str,
        origin: Origin,
        ended: Callable[[int], object] = lambda _number: None,
    ) -> None:
        """Hold nothing yet.

        Args:
            consumer: started, not subscribed.
            pool: where the fence's table is.
            topic: what is read.
            origin: which topic of which Kafka that is.
            ended: told how many sessions were ended that kept a partition locked.
        """
        self._consumer = consumer
        self._ended = ended
        self._pool = pool
        self.topic = topic
        self._origin = origin
        self.owned: dict[int, Ownership] = {}
        self._covered: frozenset[int] = frozenset()
        self.joined = False
        """Whether the group has given us our part, which may be none where peers have it all."""

    def subscribe(self) -> None:
        """Join the group."""
        self._consumer.subscribe([self.topic], listener=_Listener(self))

    @property
    def missing(self) -> list[TopicPartition]:
        """What the group gave us and we have not taken yet."""
        return sorted(tp for tp in self._consumer.assignment() if tp.partition not in self.owned)

    @property
    def settled(self) -> bool:
        """Whether the group has given us our part, and we have taken it."""
        return self.joined and not self.missing

    async def take_assigned(self) -> list[bytes]:
        """Take the partitions that the group gave us since the last look, and go where the table says.

        Returns:
            The hints that their last owners left in the table and may not have sent.

        Raises:
            OtherClusterError: what the table says was not read from this topic.
        """
        missing = self.missing
        if not missing:
            return []
        async with self._pool.acquire() as db:
            await self.cover(db)
            taken = {tp: await self._take(db, tp.partition) for tp in missing}
        await self._check_offsets({tp: held.next_offset for tp, held in taken.items()})
        async with self._pool.acquire() as db:
            await fences.adopt(db, self.topic, [tp.partition for tp in taken], self._origin)
        for tp, held in taken.items():
            self._consumer.seek(tp, held.next_offset)
            self.owned[tp.partition] = Ownership(held.epoch, held.next_offset, told=held.hints is None)
            log.info(
                "partition taken",
                topic=tp.topic,
                partition=tp.partition,
                epoch=held.epoch,
                next_offset=held.next_offset,
            )
        return [held.hints for held in taken.values() if held.hints is not None]

    async def _take(self, db: Db, partition: int) -> Held:
        """Take a partition, whatever its former owner has in hand: that is rolled back, and read again by us."""
        try:
            return await fences.take(db, self.topic, partition, self._origin)
        except asyncpg.LockNotAvailableError:
            ended = await fences.end_holder(db, self.topic, partition)
            self._ended(len(ended))
            log.warning("ended a session that kept a partition locked", partition=partition, processes=ended)
            return await fences.take(db, self.topic, partition, self._origin)

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

    async def poll(self, timeout_ms: int, most: int) -> Shares:
        """Up to `most` records of partitions that we hold, from where we stand on; waits for the first one."""
        fresh: dict[int, tuple[Ownership, Sequence[Any]]] = {}
        for tp, records in (await self._consumer.getmany(timeout_ms=timeout_ms, max_records=most)).items():
            own = self.owned.get(tp.partition)
            wanted = [] if own is None else [r for r in records if r.offset >= own.position]
            if own is not None and wanted:
                own.position = wanted[-1].offset + 1
                fresh[tp.partition] = own, wanted
        return fresh

    def still_ours(self, shares: Shares) -> Shares:
        """Of these, what nobody has taken from us since."""
        return {p: share for p, share in shares.items() if self.owned.get(p) is share[0]}

    @staticmethod
    def moves(shares: Shares) -> list[Advance]:
        """How the partitions move on once these are handled."""
        return [
            Advance(partition, own.epoch, own.committed, records[-1].offset + 1)
            for partition, (own, records) in sorted(shares.items(), key=lambda item: item[0])
        ]

    @staticmethod
    def done(shares: Shares) -> None:
        """The transaction that handled these has committed."""
        for own, records in shares.values():
            own.committed = records[-1].offset + 1

    def all_told(self) -> None:
        """Whatever hints the handled records gave were sent."""
        for own in self.owned.values():
            own.told = own.committed

    async def committed(self, db: Db, moves: Sequence[Advance]) -> bool:
        """A connection lost during COMMIT leaves it open whether it happened; the table tells."""
        rows = await fences.positions(db, self.topic)
        return all(rows.get(move.partition) == (move.epoch, move.next_offset) for move in moves)

    async def cover(self, db: Db) -> None:
        """See to it that the fence's table has a row for each partition of the topic that Kafka told us of."""
        known = self._known()
        if not known <= self._covered:
            await fences.cover(db, self.topic, known, self._origin)
            self._covered = known

    async def ends(self) -> dict[int, int]:
        """Where each partition of the topic ends now, whoever holds it.

        Raises:
            KafkaError: it does not say, or we were not told yet which partitions there are.
        """
        known = self._known()
        if not known:
            raise UnknownTopicOrPartitionError(self.topic)
        asked = await self._consumer.end_offsets([TopicPartition(self.topic, p) for p in sorted(known)])
        return {tp.partition: end for tp, end in asked.items()}

    def check_origin(self, found: Origin) -> None:
        """Refuse what was made anew under our hands: `found` is what Kafka says now of the topic of our name.

        Raises:
            OtherClusterError: it is not the one that we read.
        """
        if found != self._origin and None not in {found.topic_id, self._origin.topic_id}:
            message = (
                f"{self.topic} is {found.topic_id} of {found.cluster_id}, and was {self._origin.topic_id}: made anew"
            )
            raise OtherClusterError(message)

    def _known(self) -> frozenset[int]:
        return frozenset(self._consumer.partitions_for_topic(self.topic) or ())
