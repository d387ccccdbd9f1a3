"""The touchpoints that benches use: a shop's mix, deterministic by seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from pathline.contracts import accepted

PRODUCTS = [{"product_id": f"sku-{n}", "name": f"Product {n}", "price": 9.5 + n, "quantity": 1} for n in range(50)]
CONTEXT = {
    "library": {"name": "analytics-node", "version": "3.1.0"},
    "page": {"path": "/products/42", "referrer": "https://shop.example/", "title": "Product 42"},
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "ip": "192.0.2.1",
    "locale": "en-GB",
}


PAINFUL: Final = 100
"""One call in so many is of a payment that failed, where pains are asked for."""


def calls(count: int, *, customers: int, seed: int = 1, painful: int = 0) -> Iterator[dict[str, Any]]:
    """Calls of so many customers: seven in ten browse, the others buy, are delivered to, and pay.

    With `painful` the payment of one call in so many fails.
    """
    chance = random.Random(seed)
    for number in range(count):
        who = chance.randrange(customers)
        kind = chance.random()
        base: dict[str, Any] = {"type": "track", "messageId": f"b{seed}-{number}", "context": CONTEXT}
        person = {"userId": f"user-{who}", "anonymousId": f"visitor-{who}"}
        if painful and number % painful == 0:
            failed = {"checkout_id": f"checkout-{seed}-{number}", "amount": "59.90", "currency": "EUR"}
            yield {**base, **person, "event": "Payment Failed", "properties": failed}
        elif kind < 0.2:
            yield {**base, "type": "page", "name": "Product", "anonymousId": f"visitor-{who}"}
        elif kind < 0.7:
            yield {**base, **person, "event": "Product Viewed", "properties": chance.choice(PRODUCTS)}
        elif kind < 0.8:
            properties = {
                "order_id": f"order-{who}-{number % 5}", "total": "59.90", "currency": "EUR",
                "promised_at": "2027-01-15", "products": PRODUCTS[:3],
            }  # fmt: skip
            yield {**base, **person, "event": "Order Completed", "properties": properties}
        elif kind < 0.9:
            properties = {"tracking_number": f"parcel-{who}", "order_id": f"order-{who}-0", "status": "in_transit"}
            yield {**base, "anonymousId": "courier", "event": "Shipment Scanned", "properties": properties}
        else:
            properties = {"order_id": f"order-{who}-0", "amount": "59.90", "currency": "EUR"}
            yield {**base, "event": "Payment Succeeded", "properties": properties}


def records(count: int, *, customers: int, seed: int = 1, source: str = "bench") -> list[bytes]:
    """The same as values of records on the touchpoints topic."""
    return records_of(calls(count, customers=customers, seed=seed), source=source)


def records_of(given: Iterable[dict[str, Any]], *, source: str = "bench") -> list[bytes]:
    """Calls as values of records on the touchpoints topic."""
    start = datetime.now(UTC)
    return [
        accepted.encode(
            orjson.dumps(call), source=source, namespace="default", trusted=True, library="server",
            received_at=start + timedelta(microseconds=number), occurred_at=start + timedelta(microseconds=number),
            message_id=call["messageId"],
        )
        for number, call in enumerate(given)
    ]  # fmt: skip
