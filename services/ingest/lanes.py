"""Group commit: one group of records in flight for each partition, and all who wait for it share its ack.

A group is written as soon as nothing is in flight, else when the running one is acked: no timer, nothing to tune, and
the groups grow with the load. A partition without a leader holds up nobody but its own: every group has its own
future and its own deadline, and one that was not yet sent by then never will be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

from aiokafka.errors import (
    CorruptRecordException,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from services.ingest.metrics import IngestMetrics

GROUP_BYTES: Final = 900_000
"""Most bytes of a group: below the megabyte that a broker takes unless told otherwise."""

OWN_FAULTS: Final = (
    CorruptRecordException,
    InvalidTopicError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
"""Errors of one group or topic; the producer can go on. Others that are not retriable it does not outlive."""

Headers = Sequence[tuple[str, bytes | None]]


class Keyed(Protocol):
    """What is used of a record."""

    key: bytes
    hash: int
    value: bytes


class NotStoredError(Exception):
    """Kafka did not acknowledge: it may or may not have the records."""


class Producer(Protocol):
    """What is used of aiokafka's producer."""

    def create_batch(self) -> Any:
        """An empty group."""

    def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Awaitable[Any]]:
        """Hand a group over; then wait for its ack."""


class _Group:
    """Records that are written together."""

    __slots__ = ("count", "deadline", "records", "stored")

    def __init__(self, records: Any, stored: asyncio.Future[None]) -> None:
        self.records = records
        self.stored = stored
        self.count = 0
        self.deadline: asyncio.TimerHandle | None = None


class Lane:
    """One partition: a group in flight, and the groups that wait for its ack."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        partition: int,
        *,
        ack_seconds: float,
        metrics: IngestMetrics,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """Write to `partition`; `on_error` is told of every group that failed."""
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._ack_seconds = ack_seconds
        self._metrics = metrics
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Group] = deque()
        self._flying: _Group | None = None
        self._task: asyncio.Task[None] | None = None
        self.stuck_since: float | None = None
        """Since when, by the loop's clock, the group in flight is overdue."""

    @property
    def unacked(self) -> int:
        """Records that wait for an ack."""
        flying = self._flying.count if self._flying is not None else 0
        return flying + sum(group.count for group in self._waiting)

    def add(self, records: Sequence[Keyed], timestamp_ms: int, headers: Headers) -> set[asyncio.Future[None]]:
        """Put records in the last group that waits, and in new ones; the futures are done when the broker has them.

        A future ends with NotStoredError when it does not in time. Several wait for it: never cancel it.

        Raises:
            NotStoredError: the partition has given no ack for so long that waiting for one is of no use.
        """
        if self.stuck_since is not None:
            message = "the partition gives no ack"
            raise NotStoredError(message)
        group = self._waiting[-1] if self._waiting else self._begun()
        stored: set[asyncio.Future[None]] = set()
        rest = records
        while rest:
            count = fill(group.records, rest, timestamp_ms, headers)
            if count:
                group.count += count
                stored.add(group.stored)
            rest = rest[count:]
            if rest:
                group = self._begun()
        return stored

    def _begun(self) -> _Group:
        """A new group, last of those that wait."""
        group = _Group(self._producer.create_batch(), self._loop.create_future())
        group.stored.add_done_callback(_retrieved)
        group.deadline = self._loop.call_later(self._ack_seconds, self._overdue, group)
        self._waiting.append(group)
        if self._task is None:
            # A task begins when this turn of the loop is over: whoever else is served in it shares the group.
            self._task = self._loop.create_task(self._flush())
        return group

    async def _flush(self) -> None:
        while self._waiting:
            group = self._flying = self._waiting.popleft()
            group.records.close()
            self._metrics.group_size.observe(group.count)
            try:
                await (await self._producer.send_batch(group.records, self._topic, partition=self._partition))
            except asyncio.CancelledError:
                self._end(group, NotStoredError("the producer was replaced"))
                raise
            except Exception as failed:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                self._end(group, NotStoredError(f"{type(failed).__name__}"))
                self._on_error(failed)
            else:
                self._end(group, None)
        self._task = None

    def _end(self, group: _Group, error: NotStoredError | None) -> None:
        self._flying = None
        self.stuck_since = None
        if group.deadline is not None:
            group.deadline.cancel()
        if error is not None:
            self._metrics.group_failures.inc()
        if not group.stored.done():
            if error is None:
                group.stored.set_result(None)
            else:
                group.stored.set_exception(error)

    def _overdue(self, group: _Group) -> None:
        """Nobody waits longer. A group that was not sent yet is forgotten; one in flight may still land."""
        if group is self._flying:
            self.stuck_since = self._loop.time()
        elif group in self._waiting:
            self._waiting.remove(group)
        if not group.stored.done():
            group.stored.set_exception(NotStoredError("no ack in time"))
            self._metrics.group_failures.inc()

    async def close(self) -> None:
        """Give up what waits: its producer is gone."""
        while self._waiting:
            self._end(self._waiting.popleft(), NotStoredError("the producer was replaced"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Lanes:
    """The partitions of a topic as one producer writes them."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        partitions: int,
        *,
        ack_seconds: float,
        metrics: IngestMetrics,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """One lane for each of so many partitions."""
        self._make = partial(Lane, producer, topic, ack_seconds=ack_seconds, metrics=metrics, on_error=on_error)
        self._lanes = [self._make(number) for number in range(partitions)]

    def grow(self, partitions: int) -> None:
        """Write to the partitions that were added to the topic, too."""
        self._lanes += [self._make(number) for number in range(len(self._lanes), partitions)]

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def lane_of(self, key_hash: int) -> Lane:
        """Where records of this hash go: where Java clients send them too."""
        return self._lanes[key_hash % len(self._lanes)]

    def spread(self, records: Iterable[Keyed]) -> Iterator[tuple[Lane, list[Keyed]]]:
        """The lanes that get one of these, each with its own."""
        count = len(self._lanes)
        spread: list[list[Keyed]] = [[] for _ in range(count)]
        for record in records:
            spread[record.hash % count].append(record)
        return ((lane, own) for lane, own in zip(self._lanes, spread, strict=True) if own)

    @property
    def unacked(self) -> int:
        """Records that wait for an ack."""
        return sum(lane.unacked for lane in self._lanes)

    @property
    def stuck(self) -> int:
        """Lanes whose group in flight is overdue."""
        return sum(lane.stuck_since is not None for lane in self._lanes)

    async def close(self) -> None:
        """Give up what waits."""
        await asyncio.gather(*(lane.close() for lane in self._lanes))


def fill(batch: Any, records: Iterable[Keyed], timestamp_ms: int, headers: Headers) -> int:
    """Append as many of these to aiokafka's batch as it has room for; how many they were.

    Its own `append` wraps the one of its builder in two calls of Python. To go past it saves a twentieth of what a call
    of a batch costs here; a test holds that the bytes are the same.
    """
    append, first = batch._builder.append, batch._relative_offset  # noqa: SLF001 - said above
    offset = first
    for record in records:
        if append(offset, timestamp_ms, record.key, record.value, headers) is None:
            break
        offset += 1
    batch._relative_offset = offset  # noqa: SLF001
    return int(offset - first)


def is_fatal(error: BaseException) -> bool:
    """Whether a producer that met this error is of no more use."""
    retriable = isinstance(error, KafkaError) and bool(error.retriable)
    return not retriable and not isinstance(error, (*OWN_FAULTS, OSError, TimeoutError))


def _retrieved(stored: asyncio.Future[None]) -> None:
    """Take note of a failure that everybody stopped waiting for, so that the loop does not complain of it."""
    if not stored.cancelled():
        stored.exception()
