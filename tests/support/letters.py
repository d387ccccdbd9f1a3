"""Dead letters as an outside consumer of their topic sees them, and as the table has them."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from pathline.contracts import letters
from pathline.contracts.letters import Headers, Letter
from pathline.kit.kafka import make_consumer, make_producer
from services.stitcher import app
from tests.support.records import until


class Stitcher:
    """A stitcher running in this process."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(app.main(self.stop))

    async def end(self) -> None:
        self.stop.set()
        await self.task


async def read(bootstrap: str, topic: str) -> list[Letter]:
    """All letters of the topic, read by a consumer that knows nothing of us."""
    consumer = make_consumer(bootstrap, topic, client_id="outsider", auto_offset_reset="earliest")
    await consumer.start()
    try:
        while not consumer.assignment():
            await asyncio.sleep(0.02)
        ends = await consumer.end_offsets(list(consumer.assignment()))
        records: list[Any] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for some in (await consumer.getmany(timeout_ms=200)).values():
                records += some
    finally:
        await consumer.stop()
    return [letters.decode(topic, one.key, one.value, one.headers) for one in records]


async def put(bootstrap: str, topic: str, value: bytes, headers: Headers, key: bytes | None = None) -> None:
    """Write a record to the topic."""
    producer = make_producer(bootstrap, client_id="outsider")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=key, headers=list(headers))
    finally:
        await producer.stop()


async def take_larger(bootstrap: str, topic: str, count: int) -> None:
    """Have the topic take records of so many bytes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(count)})
        await admin.alter_configs([resource])
    finally:
        await admin.close()


async def rows(pool: asyncpg.Pool[Any], count: int, where: str = "true", *args: object) -> list[Any]:
    """The letters of the table, oldest first, once there are so many."""

    async def enough() -> bool:
        return bool(await pool.fetchval(f"SELECT count(*) FROM dead_letter WHERE {where}", *args) >= count)

    await until(enough)
    found = await pool.fetch(f"SELECT * FROM dead_letter WHERE {where} ORDER BY id", *args)
    assert len(found) == count
    return list(found)


async def none_untold(pool: asyncpg.Pool[Any], topic: str) -> bool:
    """Whether the topic was told of every letter from this one."""
    return not await pool.fetchval("SELECT count(*) FROM dead_letter WHERE told_at IS NULL AND topic = $1", topic)


async def all_kept(pool: asyncpg.Pool[Any], bootstrap: str, topic: str) -> bool:
    """Whether the stitchers have read the topic of dead letters to its end."""
    consumer = make_consumer(bootstrap, topic, client_id="outsider", auto_offset_reset="earliest")
    await consumer.start()
    try:
        while not consumer.assignment():
            await asyncio.sleep(0.02)
        ends = await consumer.end_offsets(list(consumer.assignment()))
    finally:
        await consumer.stop()
    read_to = dict(await pool.fetch("SELECT partition, next_offset FROM fence WHERE topic = $1", topic))
    return all(read_to.get(tp.partition, 0) >= end for tp, end in ends.items())
