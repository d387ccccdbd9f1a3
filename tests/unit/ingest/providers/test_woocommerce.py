"""WooCommerce's orders by their status, and its customers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.providers.woocommerce import STATUSES
from tests.support.webhooks import calls, one, payload, taken, told, translated

UPDATED = {"x_wc_webhook_topic": "order.updated", "x_wc_webhook_delivery_id": "1", "x_wc_webhook_id": "7"}


def order(**changed: Any) -> dict[str, Any]:
    return payload("woocommerce_order", **changed)


def test_a_placed_order_is_completed_once() -> None:
    listed = calls("woocommerce", order(), x_wc_webhook_topic="order.created")
    assert [call["event"] for call in listed] == [
        "Order Updated", "Order Completed", "Payment Succeeded", "Shipment Created",
    ]  # fmt: skip
    completed = listed[1]
    products = completed["properties"].pop("products")
    assert completed == {
        "type": "track",
        "messageId": "order/727/placed",
        "event": "Order Completed",
        "timestamp": "2026-11-20T15:28:02+00:00",
        "userId": "26",
        "properties": {
            "order_id": "1001",
            "total": "29.35",
            "currency": "EUR",
            "delivery_method": "Flat Rate",
            "payment_method": "Direct Bank Transfer",
            "order_status": "processing",
        },
        "context": {
            "traits": {
                "email": "john.doe@example.com",
                "phone": "(555) 555-5555",
                "first_name": "John",
                "last_name": "Doe",
                "address": {"country": "US"},
            }
        },
    }
    assert [(line["price"], line["quantity"]) for line in products] == [("3", 2), ("12.5", 1)]
    assert listed[2]["messageId"] == "order/727/paid"
    assert listed[2]["properties"]["amount"] == "29.35"
    assert listed[3]["properties"] == {
        "tracking_number": "9361289676091361892011",
        "order_id": "1001",
        "carrier": "USPS",
    }
    assert listed[3]["timestamp"] == "2026-11-26T00:00:00+00:00"
    later = calls("woocommerce", order(status="completed", date_modified_gmt="2026-11-22T10:00:00"), **UPDATED)
    assert [a["messageId"] == b["messageId"] for a, b in zip(listed, later, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_every_status(status: str) -> None:
    made = translated("woocommerce", order(status=status, date_paid_gmt=None, meta_data=[]), **UPDATED)
    assert made.known
    events = [json.loads(call)["event"] for call in made.calls]
    assert events == ["Order Updated", *STATUSES[status]]


def test_an_order_before_its_payment_is_not_completed() -> None:
    waiting = order(status="pending", date_paid_gmt=None, meta_data=[])
    assert [call["event"] for call in calls("woocommerce", waiting, x_wc_webhook_topic="order.created")] == [
        "Order Updated"
    ]


def test_a_failed_payment() -> None:
    (failed,) = told(calls("woocommerce", order(status="failed", date_paid_gmt=None), **UPDATED), "Payment Failed")
    assert failed["messageId"] == "order/727/failed/2026-11-20T15:28:08+00:00"
    assert failed["properties"]["amount"] == "29.35"


def test_refunds_in_part_and_of_all() -> None:
    refunds = [{"id": 9, "reason": "late", "total": "-10.00"}, {"id": 10, "reason": "", "total": "-5.50"}]
    listed = told(calls("woocommerce", order(refunds=refunds), **UPDATED), "Order Refunded")
    assert [(call["messageId"], call["properties"]["total"]) for call in listed] == [
        ("order/727/refund/9", "10.00"), ("order/727/refund/10", "5.50"),
    ]  # fmt: skip
    (whole,) = told(calls("woocommerce", order(status="refunded"), **UPDATED), "Order Refunded")
    assert "total" not in whole["properties"]


def test_a_guest_is_no_user() -> None:
    assert all("userId" not in call for call in calls("woocommerce", order(customer_id=0), **UPDATED))


def test_a_status_of_an_extension_is_told_and_counted() -> None:
    made = translated("woocommerce", order(status="awaiting-shipment", date_paid_gmt=None, meta_data=[]), **UPDATED)
    assert not made.known
    assert [json.loads(call)["event"] for call in made.calls] == ["Order Updated"]


def test_a_customer_is_identified() -> None:
    call = one("woocommerce", payload("woocommerce_customer"), x_wc_webhook_topic="customer.updated")
    assert (call["type"], call["userId"], call["messageId"]) == (
        "identify",
        "26",
        "customer/26/2026-11-20T15:09:30+00:00",
    )
    assert call["traits"]["email"] == "john.doe@example.com"


def test_another_topic_is_kept() -> None:
    made = translated("woocommerce", {"id": 727}, x_wc_webhook_topic="order.deleted")
    (call,) = (json.loads(call) for call in made.calls)
    assert (made.known, call["event"]) == (False, "woocommerce order.deleted")


@pytest.mark.parametrize("topic", ["order.created", "order.updated", "order.restored", "customer.created"])
def test_the_collector_takes_every_topic(topic: str) -> None:
    for status in STATUSES:
        name = "woocommerce_customer" if topic.startswith("customer") else "woocommerce_order"
        assert taken("woocommerce", payload(name, status=status), x_wc_webhook_topic=topic)
