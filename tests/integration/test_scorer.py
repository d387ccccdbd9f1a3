"""The scorer against real Kafka and PostgreSQL: from a touchpoint, or none, to an alert and its delivery."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from pathline.contracts import hint
from pathline.contracts.alert_message import AlertRecord
from pathline.domain.alerts import Alert
from pathline.domain.identifiers import name_id
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.health import Health
from pathline.kit.kafka import Topics, make_consumer
from pathline.storage import alerts, watch
from services.scorer import app as scorer_app
from services.stitcher import app as stitcher_app
from tests.conftest import Stack
from tests.support.records import produce, record, until
from tests.support.stitching import read_through, stitch
from tests.support.world import START, touchpoint

pytestmark = pytest.mark.integration


class Running:
    """A service running in this process."""

    def __init__(self, main: Any) -> None:
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(main(self.stop))

    async def end(self) -> None:
        self.stop.set()
        await self.task


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PATHLINE_KAFKA", stack.bootstrap)
    monkeypatch.setenv("PATHLINE_DATABASE_URL", database)
    monkeypatch.setenv("PATHLINE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("PATHLINE_STITCHER", "127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_SCORER", "127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_TICK_MS", "50")
    monkeypatch.setenv("PATHLINE_SCORER_POLL_MS", "50")
    return monkeypatch


@pytest.fixture
async def stitcher(environment: None, topics: Topics) -> AsyncIterator[Running]:
    running = Running(stitcher_app.main)
    yield running
    await running.end()


@pytest.fixture
async def scorer(environment: None, topics: Topics) -> AsyncIterator[Running]:
    running = Running(scorer_app.main)
    yield running
    await running.end()


@pytest.fixture
def send(stack: Stack, topics: Topics) -> Any:
    async def send(*values: bytes) -> None:
        await produce(stack.bootstrap, topics.touchpoints, values)

    return send


async def alerts_of(pool: asyncpg.Pool[Any], kind: str, value: str) -> list[Alert]:
    async with pool.acquire() as db:
        return await alerts.list_alerts(db, subjects=[name_id("default", kind, value)])


async def until_alerts(pool: asyncpg.Pool[Any], kind: str, value: str, *states: str) -> list[Alert]:
    async def holds() -> list[Alert] | None:
        found = await alerts_of(pool, kind, value)
        return found if [one.state for one in found] == list(states) else None

    found: list[Alert] = await until(holds)
    return found


def payment(outcome: str, order: str, number: int, **more: Any) -> bytes:
    return record(
        {"event": f"Payment {outcome}", "properties": {"order_id": order}}, message_id=f"{order}-{number}", **more
    )


async def test_a_hint_becomes_an_alert_and_a_record_of_the_alerts_topic_and_an_answer_ends_it(
    stitcher: Running, scorer: Running, stack: Stack, topics: Topics, pool: asyncpg.Pool[Any], send: Any
) -> None:
    await send(payment("Failed", "h1", 1))
    (alert,) = await until_alerts(pool, "order", "h1", "open")
    assert (alert.detector, alert.severity, alert.why) == ("payment_failed", "warning", ("h1-1",))
    await send(payment("Succeeded", "h1", 2))
    await until_alerts(pool, "order", "h1", "resolved")
    records = await read_alerts(stack, topics, 2)
    assert [(one.change, one.alert.id, one.alert.state) for one in records] == [
        ("opened", str(alert.id), "open"), ("resolved", str(alert.id), "resolved"),
    ]  # fmt: skip
    await until(lambda: _empty(pool))


async def _empty(pool: asyncpg.Pool[Any]) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM outbox") == 0)


async def read_alerts(stack: Stack, topics: Topics, least: int) -> list[AlertRecord]:
    consumer = make_consumer(stack.bootstrap, topics.alerts, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    found: list[AlertRecord] = []
    try:
        async with asyncio.timeout(20):
            while len(found) < least:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [msgspec.json.decode(one.value, type=AlertRecord) for one in records]
    finally:
        await consumer.stop()
    return found


async def test_a_deadline_fires_on_a_silent_system_at_its_instant(
    stitcher: Running, scorer: Running, pool: asyncpg.Pool[Any], send: Any
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    order = {"order_id": "d1", "promised_at": due.isoformat(), "total": "12.50", "currency": "EUR"}
    await send(record({"event": "Order Completed", "userId": "u", "properties": order}, message_id="d1"))

    async def late() -> Alert | None:
        found = [one for one in await alerts_of(pool, "order", "d1") if one.detector == "late_vs_promise"]
        return found[0] if found else None

    alert = await until(late)
    assert alert.opened_at == due
    assert due <= alert.updated_at < due + timedelta(seconds=10)
    assert (alert.amount, alert.currency, alert.blind) == ("12.50", "EUR", False)


async def test_a_hint_that_cannot_be_read_is_a_dead_letter_and_stops_nobody(
    scorer: Running, stack: Stack, topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    failed = touchpoint(1, event="Payment Failed", things={"order": "g1"}, seconds=60)
    hints = await stitch(pool, [failed])
    await produce(stack.bootstrap, topics.journeys, [b"no hint", hint.encode(hints, datetime.now(UTC)), b"{}"])
    await until_alerts(pool, "order", "g1", "open")
    await until(lambda: _letters(pool, topics.journeys, [b"no hint", b"{}"]))


async def _letters(pool: asyncpg.Pool[Any], topic: str, values: list[bytes]) -> bool:
    rows = await pool.fetch("SELECT code, value FROM dead_letter WHERE topic = $1", topic)
    assert {row["code"] for row in rows} <= {"unreadable_record"}
    return sorted(row["value"] for row in rows) == sorted(values)


async def test_hints_twice_and_out_of_order_alert_once(
    scorer: Running, stack: Stack, topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    events = [
        touchpoint(number, event="Payment Failed", things={"order": "t1"}, seconds=60 * number) for number in range(3)
    ]
    values = [hint.encode([one], datetime.now(UTC)) for one in await stitch(pool, events)]
    await produce(stack.bootstrap, topics.journeys, [*reversed(values), *values])
    (alert,) = await until_alerts(pool, "order", "t1", "open")
    assert (alert.severity, alert.why, alert.episode) == ("high", ("m0", "m1", "m2"), 1)
    assert [one.change for one in await read_alerts(stack, topics, 1)] == ["opened"]


async def test_a_killed_scorer_leaves_its_deadlines_to_the_next_and_each_fires_once(
    environment: pytest.MonkeyPatch, stack: Stack, topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    environment.setenv("PATHLINE_SCORER_DUE_BATCH", "3")
    now = datetime.now(UTC)
    due = now - timedelta(hours=1)
    orders = [late_order(f"k{number}", due) for number in range(150)]
    await stitch(pool, orders)
    async with pool.acquire() as db:
        for order in orders:
            await watch.hasten(db, order.things[0].id, due)
    await read_through(pool, topics.touchpoints, now)
    first = await start_scorer()
    await until(lambda: _opened(pool, orders, 20))
    first.kill()
    await first.wait()
    before = await _count_opened(pool, orders)
    assert before < len(orders)
    second = await start_scorer()
    try:
        await until(lambda: _opened(pool, orders, len(orders)))
        await until(lambda: _empty(pool))
    finally:
        second.terminate()
        assert await second.wait() == 0
    opened = await pool.fetch(
        "SELECT entity_id, count(*) AS alerts FROM alert WHERE detector = 'late_vs_promise' AND entity_id = ANY($1::uuid[])"
        " GROUP BY entity_id",
        [order.things[0].id for order in orders],
    )
    assert {row["alerts"] for row in opened} == {1}
    told = [one for one in await read_alerts(stack, topics, len(orders)) if one.alert.detector == "late_vs_promise"]
    assert {one.alert.entity.value for one in told} == {order.things[0].value for order in orders}


async def start_scorer() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pathline.cli", "scorer", stderr=asyncio.subprocess.DEVNULL
    )


def late_order(number: str, due: datetime) -> Touchpoint:
    one = touchpoint(
        1, event="Order Completed", people={"user_id": number}, things={"order": number}, source=number,
        properties={"promised_at": due.isoformat()}, seconds=(due - timedelta(days=2) - START).total_seconds(),
    )  # fmt: skip
    return msgspec.structs.replace(one, message_id=number)


async def _count_opened(pool: asyncpg.Pool[Any], orders: list[Touchpoint]) -> int:
    return int(
        await pool.fetchval(
            "SELECT count(*) FROM alert WHERE detector = 'late_vs_promise' AND entity_id = ANY($1::uuid[])",
            [order.things[0].id for order in orders],
        )
    )


async def _opened(pool: asyncpg.Pool[Any], orders: list[Touchpoint], least: int) -> bool:
    return await _count_opened(pool, orders) >= least


async def test_a_database_of_another_kafka_is_refused_and_nothing_is_alerted(
    environment: None, stack: Stack, topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    await pool.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id)"
        " VALUES ($1, 0, 1, 7, now(), 'another'), ($1, 1, 1, 7, now(), 'another')",
        topics.journeys,
    )
    health = Health()
    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer_app, "Health", lambda **_: health)
        task = asyncio.create_task(scorer_app.main(stop))
        await until(lambda: _refused(health))
        stop.set()
        await task
    assert "another Kafka cluster" in health.reasons["refused"]


async def _refused(health: Health) -> bool:
    return "refused" in health.reasons
