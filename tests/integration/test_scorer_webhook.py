"""The signed webhook out of the outbox, against a real PostgreSQL and a receiver that misbehaves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook

from pathline.contracts import detector_files
from pathline.domain.alerts import Alert, Notice
from pathline.storage import alerts, outbox
from services.scorer import courier, delivering, webhook
from services.scorer.courier import Courier, Delivered, Outcome
from services.scorer.metrics import ScorerMetrics
from services.scorer.webhook import WebhookSender
from tests.support.receiver import Receiver, answer_of, started
from tests.support.records import until

pytestmark = pytest.mark.integration

SECRET = "whsec_c2VjcmV0IG9mIGF0IGxlYXN0IDI0IGJ5dGVz"
DETECTORS = detector_files.load()
_numbers = itertools.count(1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiving = Receiver()
    server = await started(receiving)
    yield receiving
    server.close()
    await server.wait_closed()


@pytest.fixture(autouse=True)
async def endpoints(pool: asyncpg.Pool[Any], receiver: Receiver) -> None:
    await pool.execute("DELETE FROM outbox")
    async with pool.acquire() as db:
        await outbox.configure(db, outbox.WEBHOOK, receiver.url)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "RETRY_SECONDS", (0.05, 0.05, 0.05))
    monkeypatch.setattr(courier, "DRAIN_SECONDS", 0.1)


def alert(**changes: Any) -> Alert:
    now = datetime.now(UTC)
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": uuid4(), "detector": "payment_failed", "entity_id": UUID(int=number), "story_id": UUID(int=number),
        "namespace": "default", "entity_kind": "order", "entity_value": f"o{number}", "severity": "warning",
        "state": "open", "title": "Payment failed", "ease": "buy", "episode": 1, "why": ("m1",), "amount": "12.50",
        "currency": "EUR", "opened_at": now, "updated_at": now,
    }  # fmt: skip
    return Alert(**(given | changes))


async def tell(
    pool: asyncpg.Pool[Any], *told: Alert, change: str = "opened", detail: dict[str, Any] | None = None
) -> None:
    async with pool.acquire() as db, db.transaction():
        await alerts.record(db, [Notice(change, "pathline", datetime.now(UTC), one, detail or {}) for one in told])


def sender(url: str, **changes: Any) -> WebhookSender:
    given: dict[str, Any] = {
        "advice": lambda one: delivering.advice_of(DETECTORS, one), "console_url": "https://console.example",
        "allow_private": True, "timeout_seconds": 2, "connections": 4,
    }  # fmt: skip
    return WebhookSender(url, SECRET, **(given | changes))


class Running:
    """A courier of the webhook, running."""

    def __init__(self, pool: asyncpg.Pool[Any], sending: WebhookSender, *, at_once: int = 4) -> None:
        self.metrics = ScorerMetrics(CollectorRegistry(), "t", DETECTORS.files)
        self.sending = sending
        self.courier = Courier(
            outbox.WEBHOOK, sending.deliver, pool, self.metrics, batch=1, at_once=at_once,
            lease=timedelta(seconds=30), poll_seconds=0.05,
        )  # fmt: skip
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.courier.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        await self.task
        await self.sending.close()

    def count(self, outcome: str) -> float:
        return float(self.metrics.deliveries.labels(outbox.WEBHOOK, outcome)._value.get())


@pytest.fixture
async def run(pool: asyncpg.Pool[Any]) -> AsyncIterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(sending: WebhookSender, **more: Any) -> Running:
        running.append(Running(pool, sending, **more))
        return running[-1]

    yield start
    for one in running:
        await one.end()


async def left(pool: asyncpg.Pool[Any]) -> list[tuple[bool, str | None]]:
    rows = await pool.fetch("SELECT failed_at, last_error FROM outbox WHERE endpoint = 'webhook' ORDER BY id")
    return [(row["failed_at"] is not None, row["last_error"]) for row in rows]


async def emptied(pool: asyncpg.Pool[Any]) -> bool:
    return await left(pool) == []


async def test_it_is_signed_and_says_what_hurts_and_what_to_do(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    one = alert(assignee="sam")
    await tell(pool, one, change="note", detail={"text": "Ann's number is 555 0101"})
    run(sender(receiver.url))
    await until(lambda: emptied(pool))
    ((headers, body),) = receiver.got
    told = Webhook(SECRET).verify(body, headers)
    assert headers["webhook-id"] == f"{one.id}:1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert told["type"] == "alert.note"
    data = told["data"]
    assert data["entity"] == {"kind": "order", "value": one.entity_value, "namespace": "default"}
    assert (data["title"], data["ease"], data["amount"], data["currency"]) == ("Payment failed", "buy", "12.50", "EUR")
    assert (data["why"], data["url"]) == (["m1"], f"https://console.example/alerts/{one.id}")
    assert data["advice"] == DETECTORS.files["payment_failed"].advice
    assert b"555" not in body


async def test_a_failure_is_tried_again_with_the_same_id_and_the_end_never_overtakes_the_beginning(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    receiver.answers = [answer_of(500), answer_of(302, ["location: http://127.0.0.1:1/"]), answer_of(200)]
    one = alert()
    await tell(pool, one)
    await tell(pool, msgspec.structs.replace(one, state="resolved", revision=2), change="resolved")
    running = run(sender(receiver.url))
    await until(lambda: emptied(pool))
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids == [f"{one.id}:1"] * 3 + [f"{one.id}:2"]
    for headers, body in receiver.got:
        Webhook(SECRET).verify(body, headers)
    assert (running.count("retried"), running.count("delivered")) == (2, 2)


async def test_after_the_last_try_it_is_kept_for_a_person_and_the_next_goes_on(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    receiver.answers = [answer_of(503)] * 4
    one = alert()
    await tell(pool, one)
    await tell(pool, msgspec.structs.replace(one, revision=2), change="updated")
    running = run(sender(receiver.url))
    await until(lambda: _is(left(pool), [(True, "HTTP 503")]))
    assert len(receiver.got) == 5
    assert running.count("failed") == 1
    async with pool.acquire() as db:
        assert (await outbox.depths(db))["webhook"] == (0, 1)


async def _is(value: Any, expected: Any) -> bool:
    return bool(await value == expected)


async def test_410_switches_it_off_and_another_address_on_again(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    receiver.answers = [answer_of(410)]
    await tell(pool, alert())
    running = run(sender(receiver.url))
    await until(lambda: _is(left(pool), [(True, "the receiver answered 410 Gone")]))
    assert running.count("failed") == 1
    await tell(pool, alert())
    assert len(await left(pool)) == 1
    await delivering.configure(pool, receiver.url)
    await tell(pool, alert())
    assert len(await left(pool)) == 1
    await delivering.configure(pool, receiver.url + "?again")
    await tell(pool, alert())
    await until(lambda: _is(left(pool), [(True, "the receiver answered 410 Gone")]))
    assert len(receiver.got) == 2


@pytest.mark.parametrize("answer", [None, answer_of(200)[:20]], ids=["never", "torn"])
async def test_a_receiver_that_hangs_or_tears_is_a_failure(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running], answer: bytes | None
) -> None:
    receiver.answers = [answer]
    await tell(pool, alert())
    running = run(sender(receiver.url, timeout_seconds=0.3))
    await until(lambda: emptied(pool))
    assert (running.count("retried"), len(receiver.got)) == (1, 2)


async def test_a_long_answer_is_cut_off(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    receiver.answers = [answer_of(200, body=b"x" * 10_000_000)]
    await tell(pool, alert())
    running = run(sender(receiver.url))
    await until(lambda: emptied(pool))
    assert running.count("delivered") == 1


async def test_private_addresses_are_refused_unless_allowed(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    await tell(pool, alert())
    running = run(sender(f"http://localhost:{receiver.port}/hook", allow_private=False))
    await until(lambda: _failed(pool))
    ((_, why),) = await left(pool)
    assert why is not None and "localhost leads to" in why
    assert (receiver.got, running.count("retried")) == ([], 3)
    await running.end()
    await pool.execute("UPDATE outbox SET failed_at = NULL, attempts = 0, next_attempt_at = now()")
    run(sender(f"http://localhost:{receiver.port}/hook", allow_private=True))
    await until(lambda: emptied(pool))
    assert receiver.got[0][0]["host"] == f"localhost:{receiver.port}"


async def _failed(pool: asyncpg.Pool[Any]) -> bool:
    return any(failed for failed, _ in await left(pool))


async def test_posts_under_way_are_few_and_a_dead_receiver_slows_no_other_endpoint(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    receiver.answers = [None] * 100
    await tell(pool, *(alert() for _ in range(20)))
    run(sender(receiver.url, timeout_seconds=30, connections=3), at_once=3)
    await until(lambda: _is(_count(receiver), 3))
    delivered: list[str] = []

    async def feed(deliveries: Any) -> list[Outcome]:
        delivered.extend(one.delivery_id for one in deliveries)
        return [Delivered() for _ in deliveries]

    metrics = ScorerMetrics(CollectorRegistry(), "t", DETECTORS.files)
    console = Courier(
        outbox.CONSOLE, feed, pool, metrics, batch=100, at_once=1, lease=timedelta(seconds=30), poll_seconds=0.05
    )
    stop = asyncio.Event()
    task = asyncio.create_task(console.run(stop))
    await until(lambda: _is(pool.fetchval("SELECT count(*) FROM outbox WHERE endpoint = 'console'"), 0), 5)
    stop.set()
    await task
    assert (len(delivered), receiver.most_open) == (20, 3)


async def _count(receiver: Receiver) -> int:
    return len(receiver.got)


async def test_a_sender_that_dies_between_post_and_note_leaves_it_to_the_next_with_the_same_id(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    one = alert()
    await tell(pool, one)
    async with pool.acquire() as db:
        now = datetime.now(UTC)
        taken = await outbox.take(db, outbox.WEBHOOK, now, 10, timedelta(seconds=30))
        assert await outbox.take(db, outbox.WEBHOOK, now, 10, timedelta(seconds=30)) == []
    dying = sender(receiver.url)
    await dying.deliver(taken)
    await dying.close()
    await pool.execute("UPDATE outbox SET next_attempt_at = now()")
    run(sender(receiver.url))
    await until(lambda: emptied(pool))
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [f"{one.id}:1"] * 2


async def test_one_that_was_taken_away_and_is_set_again_is_not_told_of_what_is_long_over(
    pool: asyncpg.Pool[Any], receiver: Receiver, run: Callable[..., Running]
) -> None:
    await tell(pool, alert())
    await delivering.configure(pool, None)
    assert await left(pool) == [(True, outbox.TAKEN_AWAY)]
    await delivering.configure(pool, receiver.url)
    fresh = alert()
    await tell(pool, fresh)
    run(sender(receiver.url))
    await until(lambda: _is(left(pool), [(True, outbox.TAKEN_AWAY)]))
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [f"{fresh.id}:1"]
