"""Touchpoints of a crowd whose lives are entangled: shared browsers, orders before their customers, doubled records."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.records import record

DOUBLED = 0.1
"""Of the records, how many a client sent again."""


def crowd(count: int, *, customers: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(message id, record) of `count` touchpoints, a tenth of which come a second time somewhat later."""
    chance = random.Random(seed)
    start = datetime.now(UTC) - timedelta(days=1)
    again: list[tuple[str, bytes]] = []
    for number in range(count):
        who = chance.randrange(customers)
        message_id = f"c{seed}-{number}"
        at = start + timedelta(milliseconds=chance.randrange(80_000_000))
        value = record(call(chance, who), message_id=message_id, at=at)
        yield message_id, value
        if chance.random() < DOUBLED:
            again.append((message_id, value))
        if again and chance.random() < DOUBLED:
            yield again.pop(chance.randrange(len(again)))
    yield from again


def call(chance: random.Random, who: int) -> dict[str, Any]:
    """Something that this customer does, or that happens to what is theirs."""
    order = f"order-{who}-{chance.randrange(3)}"
    user, browser = f"user-{who}", f"browser-{who // 2}"  # two customers share a browser
    parcel, status = f"parcel-{order}", chance.choice(("in_transit", "delivered"))
    placed = {"order_id": order, "total": "20.00", "currency": "EUR", "promised_at": "2999-01-31"}
    calls: tuple[dict[str, Any], ...] = (
        {"type": "identify", "userId": user, "traits": {"email": f"u{who}@example.com"}},
        {"type": "page", "name": "Home", "anonymousId": browser},
        {"event": "Order Completed", "userId": user, "properties": placed},
        {
            "event": "Shipment Scanned",
            "anonymousId": "courier",
            "properties": {"tracking_number": parcel, "status": status},
        },
        {"event": "Shipment Created", "properties": {"order_id": order, "tracking_number": parcel}},
        {"event": "Payment Succeeded", "properties": {"order_id": order, "amount": "20.00"}},
        {"event": "Checkout Started", "anonymousId": browser, "properties": {"checkout_id": order}},
        {"event": "Product Viewed", "userId": user, "anonymousId": browser},
    )
    return chance.choice(calls)
