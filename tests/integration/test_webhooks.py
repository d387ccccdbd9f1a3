"""Webhooks against a real collector, Kafka and PostgreSQL: who is believed, what is answered, what is stored."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.kit.kafka import Topics, make_consumer
from pathline.storage import keys, sources
from services.ingest.providers import PROVIDERS
from services.ingest.store import Store
from tests.conftest import Stack
from tests.support.collector import Log, environment, is_ready, metric, running
from tests.support.records import until
from tests.support.webhooks import OTHER, SECRET, body, payload, signed

pytestmark = pytest.mark.integration

BODIES: dict[str, tuple[Any, dict[str, str]]] = {
    "shopify": (payload("shopify_order"), {"x-shopify-topic": "orders/create", "x-shopify-event-id": "e1"}),
    "stripe": (payload("stripe_payment_intent"), {}),
    "aftership": (payload("aftership"), {}),
    "easypost": (payload("easypost"), {}),
    "shippo": (payload("shippo"), {}),
    "woocommerce": (payload("woocommerce_order"), {"x-wc-webhook-topic": "order.created"}),
    "standard": ({"type": "order.updated", "data": {"order_id": "1001"}}, {}),
}


@pytest.fixture
async def one_of_each(pool: asyncpg.Pool) -> None:
    """A source of each provider."""
    await pool.execute("TRUNCATE webhook_source")
    async with pool.acquire() as db:
        for name in PROVIDERS:
            await sources.create(db, name=name, provider=name, secret=SECRET[name], namespace="eu")


@pytest.fixture
async def collector(one_of_each: None, collector: httpx.AsyncClient) -> httpx.AsyncClient:
    """The collector, which knows these."""
    return collector


async def deliver(
    client: httpx.AsyncClient,
    provider: str,
    told: Any = None,
    *,
    source: str | None = None,
    secret: str | None = None,
    at: datetime | None = None,
    tampered: bool = False,
    **headers: str,
) -> httpx.Response:
    """Deliver as the provider does."""
    given, more = BODIES[provider]
    delivery = signed(provider, given if told is None else told, secret=secret, now=at or datetime.now(UTC))
    sent: dict[bytes, bytes] = {**delivery.headers, **{name.encode(): value.encode() for name, value in more.items()}}
    sent |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    raw = delivery.raw + b" " if tampered else delivery.raw
    return await client.post(f"/v1/webhooks/{source or provider}", content=raw, headers=list(sent.items()))


async def delivered(client: httpx.AsyncClient, provider: str, outcome: str) -> float:
    return await metric(client, f'pathline_webhooks_total{{outcome="{outcome}",provider="{provider}"}}')


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_what_a_provider_signs_is_stored_as_a_trusted_source_s(
    collector: httpx.AsyncClient, log: Log, provider: str
) -> None:
    answer = await deliver(collector, provider)
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    made = PROVIDERS[provider].translate(signed(provider, BODIES[provider][0])._replace(headers={
        name.encode(): value.encode() for name, value in BODIES[provider][1].items()
    }))  # fmt: skip
    expected = [json.loads(call) for call in made.calls]  # type: ignore[union-attr]
    records = [accepted.decode(record.value) for record in await log.read(len(expected))]
    assert {(r.source, r.namespace, r.trusted) for r in records} == {(f"webhook:{provider}", "eu", True)}
    assert {r.call.event for r in records} == {call["event"] for call in expected}
    assert all(to_touchpoint(r).things for r in records)
    assert await delivered(collector, provider, "known") == 1
    assert await metric(collector, 'pathline_ingest_requests_total{route="webhook",status="200"}') == 1


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_what_is_not_signed_rightly_is_refused_and_stored_nowhere(
    collector: httpx.AsyncClient, log: Log, provider: str
) -> None:
    tampered = await deliver(collector, provider, tampered=True)
    assert (tampered.status_code, tampered.json()["code"]) == (401, "bad_signature")
    other = await deliver(collector, provider, secret=OTHER[provider])
    assert (other.status_code, other.json()["code"]) == (401, "bad_signature")
    bare = await collector.post(f"/v1/webhooks/{provider}", content=body(BODIES[provider][0]))
    assert (bare.status_code, bare.json()["code"]) == (401, "missing_signature")
    if provider in {"stripe", "shippo", "standard"}:
        late = await deliver(collector, provider, at=datetime.now(UTC) - timedelta(minutes=6))
        assert (late.status_code, late.json()["code"]) == (400, "stale_signature")
        assert await delivered(collector, provider, "stale_signature") == 1
    assert await delivered(collector, provider, "bad_signature") == 2
    assert await delivered(collector, provider, "missing_signature") == 1
    await deliver(collector, "standard", {"type": "order.updated", "data": {"order_id": "last"}})
    (only,) = await log.read(1)
    assert b"last" in only.value


async def test_a_secret_is_rotated_and_a_source_revoked_without_a_restart(
    collector: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    async def status(secret: str) -> int:
        return (await deliver(collector, "shopify", secret=secret)).status_code

    async def becomes(secret: str, expected: int) -> bool:
        return await status(secret) == expected

    old, new = SECRET["shopify"], OTHER["shopify"]
    async with pool.acquire() as db:
        assert await sources.rotate(db, "shopify", secret=new, overlap=timedelta(hours=1))
        await until(lambda: becomes(new, 200))
        assert await status(old) == 200
        await db.execute("UPDATE webhook_source SET old_until = now() - interval '1 second' WHERE name = 'shopify'")
        await until(lambda: becomes(old, 401))
        assert await status(new) == 200
        assert await sources.revoke(db, "shopify")
        await until(lambda: becomes(new, 404))
        left = await db.fetchrow("SELECT secret, old_secret FROM webhook_source WHERE name = 'shopify'")
        assert tuple(left) == ("", None)
        assert await sources.create(db, name="later", provider="shopify", secret="late")

        async def known() -> bool:
            return (await deliver(collector, "shopify", source="later", secret="late")).status_code == 200

        await until(known)


async def test_the_same_secret_again_is_no_rotation(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as db:
        await db.execute("TRUNCATE webhook_source")
        await sources.create(db, name="twice", provider="stripe", secret="one")
        for secret in ("two", "two"):
            await sources.rotate(db, "twice", secret=secret, overlap=timedelta(hours=1))
        (row,) = await sources.active(db)
        assert row.secrets(datetime.now(UTC)) == ("two", "one")
        assert row.secrets(datetime.now(UTC) + timedelta(hours=2)) == ("two",)


async def test_an_address_that_is_nobody_s(collector: httpx.AsyncClient) -> None:
    for path in ("nobody", "shopify/more", "", "%00", "shopify%20", "Shopify"):
        answer = await collector.post(f"/v1/webhooks/{path}", content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_source")
    assert (await collector.get("/v1/webhooks/shopify")).status_code == 405
    trailing = await deliver(collector, "shopify", source="shopify/")
    assert trailing.status_code == 200


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"shippo"}))
async def test_nonsense_rightly_signed_is_answered_with_200_and_kept_as_a_dead_letter(
    collector: httpx.AsyncClient, stack: Stack, topics: Topics, provider: str
) -> None:
    nonsense = [b"no json", b"[1]", b'{"a":"\xff"}']
    for raw in nonsense:
        answer = await deliver(collector, provider, raw)
        assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert await delivered(collector, provider, "unreadable") == len(nonsense)
    letters = await letters_of(stack, topics, len(nonsense))
    assert sorted(letter.value for letter in letters) == sorted(nonsense)


async def letters_of(stack: Stack, topics: Topics, count: int) -> list[Any]:
    consumer = make_consumer(stack.bootstrap, topics.dead_letters, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        return await Log(consumer).read(count)
    finally:
        await consumer.stop()


async def test_a_fault_of_a_mapping_is_a_dead_letter_and_logged_by_its_type_alone(
    collector: httpx.AsyncClient,
    stack: Stack,
    topics: Topics,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(delivery: Any) -> Any:
        raise TypeError(delivery.raw)

    monkeypatch.setitem(PROVIDERS, "stripe", PROVIDERS["stripe"]._replace(translate=fails))
    answer = await deliver(collector, "stripe", {"private": "told to nobody"})
    assert answer.status_code == 200 and "not_translated" in answer.text
    (letter,) = await letters_of(stack, topics, 1)
    assert letter.value == body({"private": "told to nobody"})
    assert await delivered(collector, "stripe", "fault") == 1
    assert "a delivery was not translated" in caplog.text and "TypeError" in caplog.text
    assert "told to nobody" not in caplog.text


async def test_where_no_letter_can_be_written_the_provider_is_put_off(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, topics: Topics, pool: asyncpg.Pool
) -> None:
    await pool.execute("TRUNCATE webhook_source")
    async with pool.acquire() as db:
        await sources.create(db, name="standard", provider="standard", secret=SECRET["standard"])
    with monkeypatch.context() as without:
        without.setattr(Store, "_open_letters", lambda _store, _producer: None)
        async with running(monkeypatch, environment(stack.bootstrap, database, topic_prefix)) as client:
            await until(lambda: is_ready(client))
            for told in (b"no json", {"type": "user.created", "data": {}}):
                answer = await deliver(client, "standard", told)
                assert (answer.status_code, answer.json()["code"]) == (503, "not_acknowledged")
                assert int(answer.headers["retry-after"]) > 0
            assert await delivered(client, "standard", "not_stored") == 2
            assert (await deliver(client, "standard")).status_code == 200


async def test_what_names_nobody_is_counted_and_answered_with_200(collector: httpx.AsyncClient) -> None:
    answer = await deliver(collector, "shopify", {"id": 1, "title": "Shirt"}, x_shopify_topic="products/update")
    assert answer.status_code == 200 and "no_subject" in answer.text
    assert await delivered(collector, "shopify", "unknown") == 1
    redact = await deliver(collector, "shopify", payload("shopify_redact"), x_shopify_topic="customers/redact")
    assert (redact.status_code, redact.content) == (200, b'{"success":true}')
    assert await delivered(collector, "shopify", "privacy") == 1


async def test_a_refund_that_names_no_order_by_its_number_makes_none_and_no_letter(
    collector: httpx.AsyncClient, log: Log
) -> None:
    answer = await deliver(collector, "shopify", payload("shopify_refund"), x_shopify_topic="refunds/create")
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    assert await delivered(collector, "shopify", "nothing") == 1
    await deliver(collector, "standard", {"type": "order.updated", "data": {"order_id": "last"}})
    (only,) = await log.read(1)
    assert b"last" in only.value
    assert await metric(collector, 'pathline_dead_letters_total{outcome="stored"}') == 0


async def test_a_ping_of_woocommerce_and_a_token_of_shippo(collector: httpx.AsyncClient) -> None:
    ping = await collector.post("/v1/webhooks/woocommerce", content=b"webhook_id=7")
    assert (ping.status_code, ping.content) == (200, b'{"success":true}')
    told = body(BODIES["shippo"][0])
    by_token = await collector.post("/v1/webhooks/shippo", params={"token": SECRET["shippo"]}, content=told)
    assert by_token.status_code == 200
    wrong = await collector.post("/v1/webhooks/shippo", params={"token": "guess"}, content=told)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_signature")


async def test_deliveries_at_once_are_each_stored(collector: httpx.AsyncClient, log: Log) -> None:
    told = [{"type": "order.updated", "data": {"order_id": f"o{number}"}} for number in range(50)]
    answers = await asyncio.gather(*(deliver(collector, "standard", one) for one in told))
    assert {answer.status_code for answer in answers} == {200}
    assert len({record.key for record in await log.read(50)}) == 50


async def test_a_source_and_a_key_of_one_name_are_two_senders(
    collector: httpx.AsyncClient, log: Log, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as db:
        await keys.create(db, name="standard", key="same-name", kind="server", namespace="eu")
    call = {"type": "track", "event": "Order Updated", "properties": {"order_id": "1"}, "messageId": "msg_1"}

    async def taken() -> bool:
        return (await collector.post("/v1/track", json=call, auth=("same-name", ""))).status_code == 200

    await until(taken)
    await deliver(collector, "standard", call)
    assert {accepted.decode(record.value).source for record in await log.read(2)} == {"standard", "webhook:standard"}


async def test_a_history_longer_than_a_batch_is_stored_whole(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, log: Log, pool: asyncpg.Pool
) -> None:
    await pool.execute("TRUNCATE webhook_source")
    async with pool.acquire() as db:
        await sources.create(db, name="aftership", provider="aftership", secret=SECRET["aftership"])
    small = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_BATCH_CALLS_MAX": "2"}
    async with running(monkeypatch, small) as client:
        await until(lambda: is_ready(client))
        answer = await deliver(client, "aftership")
        assert (answer.status_code, answer.content) == (200, b'{"success":true}')
        assert len(await log.read(4)) == 4


async def test_the_tolerance_is_a_setting_and_a_provider_of_a_newer_pathline_is_put_off(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, topics: Topics, pool: asyncpg.Pool
) -> None:
    await pool.execute("TRUNCATE webhook_source")
    async with pool.acquire() as db:
        await sources.create(db, name="stripe", provider="stripe", secret=SECRET["stripe"])
        await sources.create(db, name="newer", provider="fax", secret="x")
    env = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_WEBHOOK_TOLERANCE_SECONDS": "3600"}
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        answer = await deliver(client, "stripe", at=datetime.now(UTC) - timedelta(minutes=50))
        assert answer.status_code == 200
        answer = await deliver(client, "stripe", at=datetime.now(UTC) - timedelta(minutes=70))
        assert answer.json()["code"] == "stale_signature"
        newer = await client.post("/v1/webhooks/newer", content=b"{}")
        assert (newer.status_code, newer.json()["code"]) == (503, "keys_unavailable")
        assert int(newer.headers["retry-after"]) > 0
