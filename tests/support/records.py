"""Accepted touchpoints as the collector writes them, for tests that begin at Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from pathline.contracts import accepted
from pathline.kit.kafka import make_producer


def record(call: dict[str, Any], *, message_id: str, at: datetime | None = None, **envelope: Any) -> bytes:
    """The value of a record; `envelope` overrides what a server key of the namespace `default` gives."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "source": "demo", "namespace": "default", "trusted": True, "library": "server",
        "received_at": now, "occurred_at": at or now,
    }  # fmt: skip
    return accepted.encode(orjson.dumps({"type": "track", **call}), message_id=message_id, **(given | envelope))


async def produce(bootstrap: str, topic: str, values: Iterable[bytes], *, keys: Iterable[bytes] | None = None) -> None:
    """Write records and wait for the acks; without keys they are dealt to the partitions in turn."""
    producer: AIOKafkaProducer = make_producer(bootstrap, client_id="test", linger_ms=5)
    await producer.start()
    try:
        partitions = sorted(await producer.partitions_for(topic))
        listed = list(values)
        acks = []
        for number, value in enumerate(listed):
            partition = None if keys else partitions[number % len(partitions)]
            acks.append(await producer.send(topic, value, partition=partition))
        await asyncio.gather(*acks)
    finally:
        await producer.stop()


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """What `holds` answers once it is true-like; AssertionError when it is not in time."""
    answer: Any = None
    try:
        async with asyncio.timeout(seconds):
            while not (answer := await holds()):
                await asyncio.sleep(0.05)
    except TimeoutError:
        message = f"not so within {seconds} s; last answer: {answer!r}"
        raise AssertionError(message) from None
    return answer
