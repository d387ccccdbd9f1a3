"""Up to when a topic is read, and what health says while somebody does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from pathline.consuming import lookout
from pathline.consuming.lookout import MAX_LOOKS, Lookout, Sight
from pathline.consuming.partitions import Partitions
from pathline.kit.health import Health
from pathline.kit.origin import Origin
from pathline.storage import fences
from pathline.storage.fences import Standing

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_under_a_constant_load_it_is_read_up_to_the_look_whose_end_was_reached() -> None:
    sight = Sight()
    for second in range(10):
        sight.note(AT + second * SECOND, {0: 100 * second})
        # Two seconds behind, always: never at the end of this moment.
        assert sight.through({0: 100 * (second - 2)}) == {0: None if second < 2 else AT + (second - 2) * SECOND}


def test_a_look_says_nothing_of_a_partition_that_came_after_it() -> None:
    sight = Sight()
    sight.note(AT, {0: 5})
    assert sight.through({0: 4, 1: 5}) == {0: None, 1: None}
    assert sight.through({0: 5, 1: 5}) == {0: AT, 1: None}


def test_it_follows_the_clock_back() -> None:
    sight = Sight()
    sight.note(AT + timedelta(hours=1), {0: 5})
    sight.note(AT, {0: 5})
    assert sight.through({0: 5}) == {0: AT}


def test_looks_are_bounded_and_however_long_the_lag_it_goes_on() -> None:
    sight = Sight()
    lag = 20 * MAX_LOOKS
    for second in range(3 * lag):
        sight.note(AT + second * SECOND, {0: second})
        through = sight.through({0: second - lag})[0]
        assert len(sight._looks) <= MAX_LOOKS
        if second >= lag:
            assert through is not None
            assert second - 2 * lag < (through - AT).total_seconds() <= second - lag


class Consumer:
    """Knows two partitions; `ends` answers for Kafka."""

    def __init__(self) -> None:
        self.ends: Callable[[], Any] = lambda: {TopicPartition("t", 0): 5, TopicPartition("t", 1): 7}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1}

    async def end_offsets(self, _partitions: Any) -> Any:
        answer = self.ends()
        return await answer if asyncio.iscoroutine(answer) else answer


class Pool:
    """`away` makes it hang, as an address that takes connections and says nothing."""

    def __init__(self) -> None:
        self.away = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        if self.away:
            await asyncio.Event().wait()
        yield


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[Consumer, Pool, Health, Lookout]:
    async def clock(_db: Any) -> datetime:
        return AT

    async def cover(*_args: Any) -> None:
        return

    async def standing(_db: Any, _topic: str) -> dict[int, Standing]:
        return {0: Standing(5, unsent=False), 1: Standing(4, unsent=True)}

    monkeypatch.setattr(fences, "clock", clock)
    monkeypatch.setattr(fences, "cover", cover)
    monkeypatch.setattr(fences, "standing", standing)
    monkeypatch.setattr(lookout, "ANSWER_SECONDS", 0.05)
    consumer, pool, health = Consumer(), Pool(), Health()
    partitions = Partitions(consumer, pool, "t", Origin("test", None))
    return consumer, pool, health, Lookout(partitions, pool, health)


async def test_what_waits_in_partitions_that_nobody_holds_is_counted(
    parts: tuple[Consumer, Pool, Health, Lookout],
) -> None:
    *_, looking = parts
    seen = await looking.look()
    # Three records, and a batch whose hints may not have been sent.
    assert (seen.waiting, seen.ours) == (4, 0)


async def test_a_database_that_says_nothing_is_a_reason_until_it_answers(
    parts: tuple[Consumer, Pool, Health, Lookout],
) -> None:
    _, pool, health, looking = parts
    pool.away = True
    with pytest.raises(TimeoutError):
        await looking.look()
    assert health.reasons.keys() == {"database"}
    pool.away = False
    await looking.look()
    assert health.ready


async def test_a_kafka_that_says_nothing_or_no_is_a_reason_until_it_answers(
    parts: tuple[Consumer, Pool, Health, Lookout],
) -> None:
    consumer, _, health, looking = parts
    answers = consumer.ends
    consumer.ends = lambda: asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        await looking.look()
    assert health.reasons.keys() == {"kafka"}
    consumer.ends = answers
    await looking.look()
    assert health.ready

    async def refuse() -> None:
        raise KafkaConnectionError

    consumer.ends = refuse
    with pytest.raises(KafkaConnectionError):
        await looking.look()
    assert health.reasons.keys() == {"kafka"}


async def test_a_reason_that_somebody_else_gave_is_not_taken_back(
    parts: tuple[Consumer, Pool, Health, Lookout],
) -> None:
    *_, health, looking = parts
    await looking.look()
    health.set("database", "writes fail")
    await looking.look()
    assert health.reasons == {"database": "writes fail"}
