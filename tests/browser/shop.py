"""What customers do in the browser tests: a purchase that goes wrong, and others that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.records import record

SOURCE = "shop"


def visit(
    user: str, order: str, *, name: str | None = None, account: str | None = None, minutes_ago: float = 30
) -> list[bytes]:
    """From the first page to an order that was promised for a time that is over, and is still on its way."""
    begin = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    person: dict[str, Any] = {"userId": user, "anonymousId": f"browser-{user}"}
    if account is not None:
        person["context"] = {"groupId": account}
    money = {"order_id": order, "total": "149.90", "currency": "EUR"}
    promise = (begin + timedelta(minutes=minutes_ago - 1)).isoformat()
    traits = {"email": f"{user}@example.com", **({} if name is None else {"name": name})}
    calls: list[tuple[float, dict[str, Any], dict[str, Any]]] = [
        (0, {"event": "Ad Clicked", "properties": {"campaign": "spring"}}, {"anonymousId": f"browser-{user}"}),
        (1, {"type": "page", "name": "Home", "properties": {"path": "/"}}, {"anonymousId": f"browser-{user}"}),
        (2, {"event": "Product Viewed", "properties": {"name": "Walnut desk"}}, {"anonymousId": f"browser-{user}"}),
        (3, {"type": "identify", "traits": traits}, person),
        (4, {"event": "Product Added", "properties": {"name": "Walnut desk"}}, person),
        (5, {"event": "Checkout Started", "properties": {"checkout_id": f"c-{order}", "order_id": order}}, person),
        (6, {"event": "Order Completed", "properties": {**money, "promised_at": promise}}, person),
        (
            8,
            {
                "event": "Shipment Created",
                "properties": {"order_id": order, "tracking_number": f"p-{order}", "carrier": "Fast"},
            },
            {},
        ),
        (
            9,
            {
                "event": "Shipment Scanned",
                "properties": {"tracking_number": f"p-{order}", "status": "in_transit", "location": "Hub"},
            },
            {},
        ),
    ]
    return [
        record(
            {**who, **call}, message_id=f"{user}-{order}-{number}", at=begin + timedelta(minutes=minutes), source=SOURCE,
            library="web" if who else "server",
        )
        for number, (minutes, call, who) in enumerate(calls)
    ]  # fmt: skip
