"""The scorer against real Kafka and PostgreSQL: from a touchpoint, or none, to an alert and its delivery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from pathline.contracts.alert_message import AlertRecord
from pathline.domain.alerts import Alert
from pathline.domain.identifiers import name_id
from pathline.kit.kafka import Topics, make_consumer
from pathline.storage import alerts
from services.scorer import app as scorer_app
from services.stitcher import app as stitcher_app
from tests.conftest import Stack
from tests.support.records import produce, record, until

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
