"""A shop's order, a courier's parcel and a payment, each told by its provider: one order of one customer, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import asyncpg
import httpx
import pytest

from pathline.domain.entities import Entity
from pathline.domain.identifiers import Identifier, name_id
from pathline.kit.kafka import Topics
from pathline.storage import entities, people, sources, touchpoints
from services.stitcher import app as stitcher
from tests.conftest import Stack
from tests.support.collector import environment, is_ready, running
from tests.support.records import until
from tests.support.webhooks import SECRET, payload, signed

pytestmark = pytest.mark.integration

INTENT = "pi_3MtwBwLkdIwHu7ix28a3tqPa"
NUMBER = "9361289676091361892011"
USER = "115310627314723954"
MAILBOX = "jon@example.com"
TOLD = 6
"""Touchpoints of the three deliveries: the order, the payment, the parcel and its three scans."""


def paid() -> dict[str, Any]:
    whole = payload("stripe_payment_intent", type="payment_intent.succeeded", id="evt_paid")
    changed = {"amount_received": 40994, "last_payment_error": None, "status": "succeeded"}
    return {**whole, "data": {"object": {**whole["data"]["object"], **changed}}}


DELIVERIES: dict[str, tuple[dict[str, Any], dict[bytes, bytes]]] = {
    "shopify": (payload("shopify_order"), {b"x-shopify-topic": b"orders/create", b"x-shopify-event-id": b"e1"}),
    "aftership": (payload("aftership"), {}),
    "stripe": (paid(), {}),
}


@pytest.fixture
async def collector(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, topics: Topics
) -> AsyncIterator[httpx.AsyncClient]:
    """A collector and a stitcher, both in this process."""
    monkeypatch.setenv("PATHLINE_STITCHER", "127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_TICK_MS", "50")
    stop = asyncio.Event()
    async with running(monkeypatch, environment(stack.bootstrap, database, topic_prefix)) as client:
        stitching = asyncio.create_task(stitcher.main(stop))
        await until(lambda: is_ready(client))
        yield client
        stop.set()
        await stitching


async def deliver(client: httpx.AsyncClient, provider: str, namespace: str) -> None:
    told, headers = DELIVERIES[provider]
    delivery = signed(provider, told, now=datetime.now(UTC))
    sent = list({**delivery.headers, **headers}.items())
    answer = await client.post(f"/v1/webhooks/{provider}-{namespace}", content=delivery.raw, headers=sent)
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')


def shown(entity: Entity) -> tuple[Any, ...]:
    state = entity.state
    return entity.identifier.kind, entity.identifier.value, state.count, state.facts, state.marks, state.channels


async def test_three_providers_tell_of_one_order_in_any_order(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    orders = {f"n{number}": order for number, order in enumerate(permutations(DELIVERIES))}
    async with pool.acquire() as db:
        for namespace in orders:
            for provider in DELIVERIES:
                await sources.create(
                    db, name=f"{provider}-{namespace}", provider=provider, secret=SECRET[provider], namespace=namespace
                )

    async def known() -> bool:
        answers = [await collector.post(f"/v1/webhooks/stripe-{namespace}", content=b"{}") for namespace in orders]
        return {answer.json()["code"] for answer in answers} == {"missing_signature"}

    await until(known)
    for namespace, order in orders.items():
        for provider in (*order, *order[::-1]):
            await deliver(collector, provider, namespace)

    async def stored() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM touchpoint") == TOLD * len(orders))

    await until(stored)
    seen: list[tuple[list[str], list[tuple[Any, ...]]]] = []
    async with pool.acquire() as db:
        for namespace in orders:
            order_id, parcel, checkout = (
                name_id(namespace, kind, value)
                for kind, value in (("order", "1001"), ("parcel", NUMBER), ("checkout", INTENT))
            )
            user, mailbox = (name_id(namespace, *name) for name in (("user_id", USER), ("email", MAILBOX)))
            assert set((await entities.owners(db, [order_id, parcel, checkout])).values()) == {user}
            assert await people.roots_of(db, [mailbox]) == {mailbox: user}
            family = await people.family(db, user)
            owned = await entities.owned_by(db, family.people)
            assert {e.identifier for e in owned} == {
                Identifier(namespace, "order", "1001"),
                Identifier(namespace, "parcel", NUMBER),
                Identifier(namespace, "checkout", INTENT),
                Identifier(namespace, "checkout", "bd5a8aa1ecd019dd3520ff791ee3a24c"),
            }
            page = await touchpoints.page(db, [*family.people, *(e.id for e in owned)], None, 50)
            seen.append(([t.event for t in page], sorted(map(shown, owned), key=lambda told: told[:2])))
    events, states = seen[0]
    assert events == [
        "Order Completed", "Shipment Scanned", "Shipment Scanned", "Shipment Scanned", "Payment Succeeded", "Shipment Created",
    ]  # fmt: skip
    assert seen == [(events, states)] * len(orders)
    facts = {(kind, value): facts for kind, value, _, facts, _, _ in states}
    assert facts["order", "1001"]["total"].value == "409.94"
    assert facts["order", "1001"]["promised"].value == "2026-11-26"
    assert facts["parcel", NUMBER]["status"].value == "in_transit"
