"""Group commit with a producer that acks when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from prometheus_client import CollectorRegistry

from services.ingest.lanes import Lanes, NotStoredError, fill, is_fatal
from services.ingest.metrics import IngestMetrics

GROUP_RECORDS = 5
SOON = 0.05


@dataclass
class Record:
    """What a lane is given."""

    key: bytes
    hash: int
    value: bytes


class Group:
    """Room for a few records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._builder = self
        self._relative_offset = 0

    def append(self, _offset: int, _timestamp: int, _key: bytes, value: bytes, _headers: object) -> object:
        if len(self.values) == GROUP_RECORDS:
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        pass


class Producer:
    """Keeps what it is given, by partition, until `ack` or `fail`."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[bytes]]] = []
        self.acks: dict[int, asyncio.Future[None]] = {}

    def create_batch(self) -> Group:
        return Group()

    async def send_batch(self, batch: Group, topic: str, *, partition: int) -> Awaitable[None]:
        assert topic == "topic"
        self.sent.append((partition, batch.values))
        self.acks[partition] = asyncio.get_running_loop().create_future()
        return self.acks[partition]

    async def given(self, count: int) -> list[tuple[int, list[bytes]]]:
        """What was sent, once it is so many groups."""
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                await asyncio.sleep(0)
        assert len(self.sent) == count
        return self.sent


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def make(producer: Producer, errors: list[BaseException]) -> Callable[..., Lanes]:
    def make(partitions: int = 2, ack_seconds: float = 30) -> Lanes:
        metrics = IngestMetrics(CollectorRegistry(), "t")
        return Lanes(producer, "topic", partitions, ack_seconds=ack_seconds, metrics=metrics, on_error=errors.append)

    return make


def add(lanes: Lanes, partition: int, value: bytes) -> asyncio.Future[None]:
    (stored,) = lanes.lane_of(partition).add([Record(b"key", partition, value)], 1, [])
    return stored


async def test_all_of_one_turn_share_a_group_that_is_sent_at_once(
    producer: Producer, make: Callable[..., Lanes]
) -> None:
    lanes = make()
    stored = {add(lanes, 0, value) for value in (b"a", b"b", b"c")}
    assert len(stored) == 1
    assert await producer.given(1) == [(0, [b"a", b"b", b"c"])]
    assert lanes.unacked == 3
    producer.acks[0].set_result(None)
    await stored.pop()
    assert lanes.unacked == 0


async def test_what_comes_meanwhile_waits_for_the_ack_and_goes_together(
    producer: Producer, make: Callable[..., Lanes]
) -> None:
    lanes = make()
    first = add(lanes, 0, b"a")
    await producer.given(1)
    second, third = add(lanes, 0, b"b"), add(lanes, 0, b"c")
    await asyncio.sleep(SOON)
    assert len(producer.sent) == 1
    producer.acks[0].set_result(None)
    await first
    assert (await producer.given(2))[1] == (0, [b"b", b"c"])
    assert not second.done()
    producer.acks[0].set_result(None)
    await asyncio.gather(second, third)


async def test_a_full_group_is_followed_by_another_in_order(producer: Producer, make: Callable[..., Lanes]) -> None:
    lanes = make()
    values = [b"%d" % number for number in range(2 * GROUP_RECORDS + 1)]
    stored = [add(lanes, 0, value) for value in values]
    assert len(set(stored)) == 3
    for number in range(1, 4):
        await producer.given(number)
        producer.acks[0].set_result(None)
    await asyncio.gather(*stored)
    assert [value for _, group in producer.sent for value in group] == values


async def test_records_that_come_together_go_by_their_hash_and_wait_for_all_their_groups(
    producer: Producer, make: Callable[..., Lanes]
) -> None:
    lanes = make(partitions=3)
    early = add(lanes, 1, b"early")
    records = [Record(b"key", 7 if number % 2 else 3, b"%d" % number) for number in range(2 * GROUP_RECORDS)]
    stored = {lane: lane.add(own, 1, []) for lane, own in lanes.spread(records)}
    assert [len(acks) for acks in stored.values()] == [1, 2]
    assert early in stored[lanes.lane_of(1)]
    assert await producer.given(2) == [(1, [b"early", b"1", b"3", b"5", b"7"]), (0, [b"0", b"2", b"4", b"6", b"8"])]
    producer.acks[1].set_result(None)
    await early
    assert (await producer.given(3))[2] == (1, [b"9"])
    for partition in (0, 1):
        producer.acks[partition].set_result(None)
    await asyncio.gather(*(ack for acks in stored.values() for ack in acks))
    assert lanes.unacked == 0


async def test_a_partition_without_an_ack_holds_up_nobody_else(producer: Producer, make: Callable[..., Lanes]) -> None:
    lanes = make(ack_seconds=SOON)
    stuck, fine = add(lanes, 0, b"a"), add(lanes, 1, b"b")
    await producer.given(2)
    producer.acks[1].set_result(None)
    await fine
    with pytest.raises(NotStoredError):
        await stuck
    assert next(iter(lanes)).stuck_since is not None
    with pytest.raises(NotStoredError):
        add(lanes, 0, b"at once")
    again = add(lanes, 1, b"c")
    await producer.given(3)
    producer.acks[1].set_result(None)
    await again


async def test_the_late_ack_opens_the_partition_again(producer: Producer, make: Callable[..., Lanes]) -> None:
    lanes = make(ack_seconds=SOON)
    with pytest.raises(NotStoredError):
        await add(lanes, 0, b"a")
    producer.acks[0].set_result(None)
    lane = next(iter(lanes))
    async with asyncio.timeout(5):
        while lane.stuck_since is not None:
            await asyncio.sleep(0)
    later = add(lanes, 0, b"b")
    await producer.given(2)
    producer.acks[0].set_result(None)
    await later


async def test_a_group_that_was_not_sent_in_time_never_is(producer: Producer, make: Callable[..., Lanes]) -> None:
    lanes = make(ack_seconds=SOON)
    first = add(lanes, 0, b"a")
    await producer.given(1)
    second = add(lanes, 0, b"told to send again")
    for stored in (first, second):
        with pytest.raises(NotStoredError):
            await stored
    producer.acks[0].set_result(None)
    await asyncio.sleep(SOON)
    assert [group for _, group in producer.sent] == [[b"a"]]
    assert lanes.unacked == 0


async def test_a_failed_group_is_told_of_and_the_next_one_goes(
    producer: Producer, make: Callable[..., Lanes], errors: list[BaseException]
) -> None:
    lanes = make()
    first = add(lanes, 0, b"a")
    await producer.given(1)
    second = add(lanes, 0, b"b")
    producer.acks[0].set_exception(MessageSizeTooLargeError())
    with pytest.raises(NotStoredError):
        await first
    assert [type(error) for error in errors] == [MessageSizeTooLargeError]
    await producer.given(2)
    producer.acks[0].set_result(None)
    await second


async def test_closing_tells_everybody(producer: Producer, make: Callable[..., Lanes]) -> None:
    lanes = make()
    first = add(lanes, 0, b"a")
    await producer.given(1)
    second = add(lanes, 0, b"b")
    await lanes.close()
    for stored in (first, second):
        with pytest.raises(NotStoredError):
            await stored
    assert lanes.unacked == 0


async def test_a_topic_may_grow(make: Callable[..., Lanes]) -> None:
    lanes = make(partitions=2)
    lanes.grow(5)
    lanes.grow(3)
    assert len(lanes) == 5
    assert lanes.lane_of(4) is list(lanes)[4]


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (OutOfOrderSequenceNumber(), True), (ProducerFenced(), True), (ProducerClosed(), True), (AssertionError(), True),
        (NotLeaderForPartitionError(), False), (KafkaTimeoutError(), False), (MessageSizeTooLargeError(), False), (OSError(), False),
    ],
)  # fmt: skip
def test_which_errors_end_a_producer(error: Any, *, fatal: bool) -> None:
    assert is_fatal(error) is fatal


def test_a_batch_is_filled_as_aiokafka_fills_it() -> None:
    headers = [("traceparent", b"t")]
    records = [Record(b"key %d" % number, number, b"v" * 100 * number) for number in range(10)]
    ours, theirs = BatchBuilder(2_000, 0), BatchBuilder(2_000, 0)
    took = fill(ours, records[:2], 1_000, headers)
    took += fill(ours, records[2:], 1_001, headers)
    for number, record in enumerate(records):
        given = {"key": record.key, "value": record.value, "headers": headers}
        if theirs.append(timestamp=1_000 if number < 2 else 1_001, **given) is None:
            break
    assert took == ours.record_count() == theirs.record_count() < len(records)
    assert ours._build() == theirs._build()
    # One that is alone fits, whatever its size.
    assert fill(BatchBuilder(100, 0), [Record(b"k", 1, b"v" * 500)], 1_002, []) == 1
