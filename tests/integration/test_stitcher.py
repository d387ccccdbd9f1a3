"""The stitcher against real Kafka and PostgreSQL: from a record in the log to a journey in the tables."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition

from pathline.consuming.lookout import Lookout
from pathline.consuming.partitions import Partitions
from pathline.contracts import hint
from pathline.domain.identifiers import name_id
from pathline.kit.health import Health
from pathline.kit.kafka import Topics, make_consumer, make_producer
from pathline.kit.origin import Origin
from pathline.storage import entities, fences, people, strands, touchpoints
from services.stitcher import app, transaction, worker
from services.stitcher.batch import Batch
from services.stitcher.hints import HintPublisher
from services.stitcher.metrics import StitcherMetrics
from tests.conftest import Stack
from tests.support.letters import Stitcher
from tests.support.records import produce, record, until
from tests.support.rows import becomes, count, stored

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC).replace(microsecond=0)


def user(name: str) -> Any:
    return name_id("default", "user_id", name)


def order(number: str) -> Any:
    return name_id("default", "order", number)


async def test_a_visitor_who_signs_in_and_buys_is_one_customer(
    stitcher: Stitcher, pool: asyncpg.Pool, send: Any
) -> None:
    await send(
        record({"type": "page", "anonymousId": "v1", "name": "Home"}, message_id="1", source="s1", library="web"),
        record(
            {
                "type": "identify",
                "userId": "u1",
                "anonymousId": "v1",
                "traits": {"email": "U1@Example.com", "name": "Uma"},
            },
            message_id="2",
            source="s1",
        ),
        record(
            {
                "event": "Order Completed",
                "userId": "u1",
                "properties": {"order_id": "o1", "total": 20, "currency": "EUR", "promised_at": "2026-12-01"},
            },
            message_id="3",
            source="s1",
        ),
        record(
            {
                "event": "Shipment Scanned",
                "anonymousId": "courier",
                "properties": {"tracking_number": "p1", "status": "in_transit"},
            },
            message_id="4",
            source="s1",
        ),
        record(
            {"event": "Shipment Created", "properties": {"order_id": "o1", "tracking_number": "p1"}},
            message_id="5",
            source="s1",
        ),
    )
    await until(lambda: becomes(stored(pool, "s1"), 5))
    async with pool.acquire() as db:
        visitor, mailbox = name_id("default", "anonymous_id", "v1"), name_id("default", "email", "u1@example.com")
        courier = name_id("default", "anonymous_id", "courier")
        assert await people.roots_of(db, [visitor, mailbox, courier]) == {
            visitor: user("u1"), mailbox: user("u1"), courier: courier,
        }  # fmt: skip
        family = await people.family(db, user("u1"))
        assert [p.identifier.kind for p in family.people.values()] == ["user_id", "email", "anonymous_id"]
        parcel = name_id("default", "parcel", "p1")
        assert await entities.owners(db, [order("o1"), parcel]) == {order("o1"): user("u1"), parcel: user("u1")}
        owned = await entities.owned_by(db, family.people)
        assert {e.identifier.kind for e in owned} == {"order", "parcel"}
        assert (await strands.load(db, [user("u1")]))[user("u1")].value("name") == "Uma"
        page = await touchpoints.page(db, [*family.people, *(e.id for e in owned)], None, 10)
        assert [t.message_id for t in page] == ["1", "2", "3", "4", "5"]
        assert page[2].moment_of_truth and page[2].stage == "transaction"


async def test_a_doubled_record_counts_once(stitcher: Stitcher, pool: asyncpg.Pool, send: Any) -> None:
    one = record({"userId": "twice", "event": "Product Viewed"}, message_id="a", source="s2")
    await send(one, one, one)
    await send(one, record({"userId": "twice", "event": "Last"}, message_id="b", source="s2"))
    await until(
        lambda: becomes(count(pool, "SELECT count(*) FROM touchpoint WHERE source = 's2' AND event = 'Last'"), 1)
    )
    assert await stored(pool, "s2") == 2
    async with pool.acquire() as db:
        assert (await strands.load(db, [user("twice")]))[user("twice")].count == 2


async def test_two_stitchers_share_one_customer_without_loss(
    stitcher_settings: None, pool: asyncpg.Pool, stack: Stack, topics: Topics
) -> None:
    values = [
        record(
            {
                "userId": "shared",
                "anonymousId": f"v{n % 7}",
                "event": "Product Viewed",
                "properties": {"order_id": "so"},
            },
            message_id=str(n),
            source="s5",
        )
        for n in range(3_000)
    ]
    first, second = Stitcher(), Stitcher()
    try:
        await produce(stack.bootstrap, topics.touchpoints, values)
        await until(lambda: becomes(stored(pool, "s5"), len(values)))
        async with pool.acquire() as db:
            assert (await strands.load(db, [user("shared")]))[user("shared")].count == len(values)
    finally:
        await asyncio.gather(first.end(), second.end())


async def test_through_goes_on_while_nothing_comes(stitcher: Stitcher, pool: asyncpg.Pool, topics: Topics) -> None:
    async def passed(than: datetime) -> bool:
        async with pool.acquire() as db:
            through = await fences.least_through(db, topics.touchpoints)
            rows = await db.fetchval("SELECT count(*) FROM fence WHERE topic = $1", topics.touchpoints)
        return rows == 2 and through is not None and through > than

    await until(lambda: passed(NOW))
    later = datetime.now(UTC)
    await until(lambda: passed(later))


async def test_hints_tell_what_changed_and_who_moved(
    stitcher: Stitcher, stack: Stack, topics: Topics, send: Any
) -> None:
    consumer = make_consumer(stack.bootstrap, topics.journeys, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        await send(record({"anonymousId": "hv", "type": "page"}, message_id="h1", source="s6"))
        await _hint(consumer, "h1")
        await send(record({"anonymousId": "hv", "userId": "hu", "type": "identify"}, message_id="h2", source="s6"))
        moved = (await _hint(consumer, "h2")).moved
        assert set(moved) == {name_id("default", "anonymous_id", "hv"), user("hu")}
    finally:
        await consumer.stop()


async def _hint(consumer: Any, message_id: str) -> hint.Hint:
    async with asyncio.timeout(20):
        while True:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for value in records:
                    for one in hint.decode(value.value).hints:
                        if one.message_id == message_id:
                            return one


async def test_a_collector_whose_clock_is_ahead_moves_no_deadline(
    stitcher: Stitcher, pool: asyncpg.Pool, stack: Stack, topics: Topics
) -> None:
    producer = make_producer(stack.bootstrap, client_id="test")
    await producer.start()
    try:
        ahead = datetime.now(UTC) + timedelta(hours=1)
        value = record({"userId": "ahead", "event": "Product Viewed"}, message_id="a1", source="s8", received_at=ahead)
        await producer.send_and_wait(topics.touchpoints, value, timestamp_ms=int(ahead.timestamp() * 1_000))
    finally:
        await producer.stop()
    await until(lambda: becomes(stored(pool, "s8"), 1))
    assert await pool.fetchval(
        "SELECT max(through) <= clock_timestamp() FROM fence WHERE topic = $1", topics.touchpoints
    )


async def test_through_follows_the_databases_clock_back(
    stitcher: Stitcher, pool: asyncpg.Pool, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ahead(_db: Any) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)

    async def through() -> bool:
        async with pool.acquire() as db:
            least = await fences.least_through(db, topics.touchpoints)
        return least is not None and least > datetime.now(UTC) + timedelta(minutes=1)

    with monkeypatch.context() as patch:
        patch.setattr(fences, "clock", ahead)
        await until(through)

    async def back() -> bool:
        return not await through()

    await until(back)


async def test_a_partition_that_nobody_reads_holds_through_back(
    pool: asyncpg.Pool, stack: Stack, topics: Topics
) -> None:
    consumer = make_consumer(stack.bootstrap, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = Partitions(consumer, pool, topics.touchpoints, Origin("test", None))
        consumer.assign([TopicPartition(topics.touchpoints, 0)])
        await partitions.take_assigned()
        lookout = Lookout(partitions, pool, Health())
        await produce(stack.bootstrap, topics.touchpoints, [b"for 0", b"for 1", b"for 0"])
        seen = await lookout.look()
        await lookout.note()
        assert (seen.waiting, seen.ours) == (3, 2)
        async with pool.acquire() as db:
            assert await fences.least_through(db, topics.touchpoints) == datetime(1970, 1, 1, tzinfo=UTC)
    finally:
        await consumer.stop()


async def test_a_batch_waits_until_its_hints_are_sent(
    stitcher_settings: None, pool: asyncpg.Pool, send: Any, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[StitcherMetrics] = []
    kafka_is_back = asyncio.Event()
    sends = HintPublisher.send

    def metrics(*args: Any) -> StitcherMetrics:
        made.append(StitcherMetrics(*args))
        return made[0]

    async def when_it_is_back(self: HintPublisher, hints: Any) -> None:
        if hints:
            await kafka_is_back.wait()
        await sends(self, hints)

    async def lag() -> float:
        return float(made[0].lag._value.get()) if made else math.nan

    attempts: list[int] = []
    stitch = transaction.stitch

    async def counted(db: Any, topic: str, batch: Batch, *args: Any) -> Any:
        attempts.append(batch.size)
        return await stitch(db, topic, batch, *args)

    monkeypatch.setattr(worker, "stitch", counted)
    monkeypatch.setattr(worker, "TELLING_SECONDS", 0.1)
    monkeypatch.setattr(app, "StitcherMetrics", metrics)
    monkeypatch.setattr(HintPublisher, "send", when_it_is_back)
    running = Stitcher()
    try:
        await until(lambda: becomes(lag(), 0))
        await send(record({"userId": "unsent", "event": "Product Viewed"}, message_id="1", source="s9"))
        await until(lambda: becomes(stored(pool, "s9"), 1))
        now = datetime.now(UTC)
        await until(lambda: _later(pool, topics, now))
        assert await lag() == 1
        await send(record({"userId": "unsent", "event": "Product Viewed"}, message_id="2", source="s9"))
        # It is ready to be written, waits a moment, and lets go of its locks.
        await until(lambda: becomes(_stitched(attempts), 2))
        await until(lambda: _unlocked(pool, topics))
        assert await stored(pool, "s9") == 1
        kafka_is_back.set()
        await until(lambda: becomes(stored(pool, "s9"), 2))
        await until(lambda: becomes(lag(), 0))
    finally:
        kafka_is_back.set()
        await running.end()


async def _stitched(attempts: list[int]) -> int:
    return len(attempts)


async def _unlocked(pool: asyncpg.Pool, topics: Topics) -> bool:
    async with pool.acquire() as db, db.transaction():
        try:
            await db.fetch("SELECT FROM fence WHERE topic = $1 FOR UPDATE NOWAIT", topics.touchpoints)
        except asyncpg.LockNotAvailableError:
            return False
    return True


async def _later(pool: asyncpg.Pool, topics: Topics, than: datetime) -> bool:
    """Whether a look that began since has been written down."""
    async with pool.acquire() as db:
        least = await fences.least_through(db, topics.touchpoints)
    return least is not None and least > than
