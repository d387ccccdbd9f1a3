"""Shopify's topics, as its documents show them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.providers.shopify import STATUSES
from tests.support.webhooks import calls, one, payload, told, translated

EVENT = "5c6e1a0e-8a2b-4a51-9d6f-0f3a4c1d2e3f"


def heard(topic: str) -> dict[str, str]:
    return {
        "x_shopify_topic": topic,
        "x_shopify_event_id": EVENT,
        "x_shopify_webhook_id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "x_shopify_shop_domain": "shop.example",
        "x_shopify_triggered_at": "2026-11-21T00:00:06.123456789Z",
        "x_shopify_api_version": "2026-10",
    }


def order(**changed: Any) -> dict[str, Any]:
    return payload("shopify_order", **changed)


def test_a_created_order_is_completed_by_the_customer() -> None:
    call = one("shopify", order(), **heard("orders/create"))
    products = call["properties"].pop("products")
    assert call == {
        "type": "track",
        "messageId": f"{EVENT}/orders/create",
        "event": "Order Completed",
        "timestamp": "2026-11-21T00:00:00+00:00",
        "userId": "115310627314723954",
        "properties": {
            "order_id": "1001",
            "total": "409.94",
            "currency": "USD",
            "checkout_id": "bd5a8aa1ecd019dd3520ff791ee3a24c",
            "delivery_method": "Generic Shipping",
            "payment_method": "shopify_payments",
            "financial_status": "paid",
            "coupon": "WELCOME",
        },
        "context": {
            "channel": "web",
            "traits": {
                "email": "jon@example.com",
                "phone": "+15145550100",
                "first_name": "Jon",
                "last_name": "Snow",
                "address": {"country": "US"},
            },
        },
    }
    assert products[0] == {
        "product_id": "632910392",
        "sku": "IPOD2008PINK",
        "name": "IPod Nano - 8GB",
        "variant": "Pink",
        "brand": "Apple",
        "price": "199.00",
        "quantity": 1,
    }


def test_a_guest_and_an_order_at_the_till() -> None:
    call = one("shopify", order(customer=None, source_name="pos"), **heard("orders/create"))
    assert "userId" not in call
    assert call["context"]["traits"]["email"] == "jon@example.com"
    assert call["context"]["channel"] == "store"
    assert "channel" not in one("shopify", order(source_name="580111"), **heard("orders/create"))["context"]


def test_a_paid_order() -> None:
    call = one("shopify", order(), **heard("orders/paid"))
    assert (call["event"], call["messageId"]) == ("Payment Succeeded", f"{EVENT}/orders/paid")
    assert call["properties"] == {
        "order_id": "1001", "amount": "409.94", "currency": "USD", "payment_method": "shopify_payments",
    }  # fmt: skip
    assert call["timestamp"] == "2026-11-21T00:00:06.123456+00:00"


def test_a_cancelled_order_is_cancelled_as_a_whole() -> None:
    cancelled = order(cancelled_at="2026-11-22T08:00:00-05:00", cancel_reason="customer")
    call = one("shopify", cancelled, **heard("orders/cancelled"))
    assert (call["event"], call["timestamp"]) == ("Order Cancelled", "2026-11-22T13:00:00+00:00")
    assert call["properties"] == {"order_id": "1001", "reason": "customer", "currency": "USD"}


def test_a_changed_order_tells_its_parcels_and_refunds_once() -> None:
    changed = order(fulfillments=[payload("shopify_fulfillment")], refunds=[payload("shopify_refund")])
    first = calls("shopify", changed, **heard("orders/updated"))
    assert [call["event"] for call in first] == [
        "Order Updated", "Order Refunded", "Order Refunded", "Shipment Created", "Shipment Scanned",
    ]  # fmt: skip
    assert all(call["properties"]["order_id"] == "1001" for call in first)
    card, voucher = told(first, "Order Refunded")
    assert card["properties"] == {
        "order_id": "1001", "total": "199.00", "currency": "USD", "reason": "Things were damaged",
    }  # fmt: skip
    assert (card["timestamp"], voucher["timestamp"]) == ("2026-11-25T16:00:00+00:00", "2026-11-25T16:00:01+00:00")
    assert voucher["properties"]["total"] == "0.95"
    (created,) = told(first, "Shipment Created")
    assert created["properties"]["tracking_number"] == "9361289676091361892011"
    assert created["properties"]["carrier"] == "USPS"
    (scan,) = told(first, "Shipment Scanned")
    assert (scan["properties"]["status"], scan["timestamp"]) == ("in_transit", "2026-11-22T15:00:00+00:00")
    # The next change of the order tells the same of them: copies, but for the change itself.
    later = {**heard("orders/updated"), "x_shopify_event_id": "another"}
    again = calls("shopify", {**changed, "note": "new"}, **later)
    assert [a["messageId"] == b["messageId"] for a, b in zip(first, again, strict=True)] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_the_fulfilment_itself_tells_of_its_parcel_and_order() -> None:
    of_order = calls("shopify", order(fulfillments=[payload("shopify_fulfillment")]), **heard("orders/updated"))
    alone = calls("shopify", payload("shopify_fulfillment"), **heard("fulfillments/update"))
    assert [call["messageId"] for call in alone] == [call["messageId"] for call in of_order[1:]]
    assert {call["properties"]["order_id"] for call in alone} == {"1001"}


def test_a_fulfilment_without_a_number_is_a_parcel_once_there_is_news_of_it() -> None:
    bare: dict[str, Any] = {"tracking_number": None, "tracking_numbers": []}
    assert (
        calls("shopify", payload("shopify_fulfillment", **bare, shipment_status=None), **heard("fulfillments/create"))
        == []
    )
    by_hand = calls(
        "shopify", payload("shopify_fulfillment", **bare, shipment_status="picked_up"), **heard("fulfillments/update")
    )
    assert [call["event"] for call in by_hand] == ["Shipment Created", "Shipment Scanned"]
    assert by_hand[1]["properties"]["tracking_number"] == "shopify-fulfillment-255858046"
    assert by_hand[1]["properties"]["status"] == "delivered"


def test_a_fulfilment_of_several_parcels() -> None:
    several = payload("shopify_fulfillment", tracking_numbers=["A1", "A2"], shipment_status=None)
    created = calls("shopify", several, **heard("fulfillments/create"))
    assert [call["properties"]["tracking_number"] for call in created] == ["A1", "A2"]
    assert len({call["messageId"] for call in created}) == 2


@pytest.mark.parametrize("status", sorted(STATUSES))
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_every_status_of_a_fulfilment_event(status: str, spelling: Any) -> None:
    made = translated(
        "shopify", payload("shopify_fulfillment_event", status=spelling(status)), **heard("fulfillment_events/create")
    )  # fmt: skip
    assert made.known
    (call,) = (json.loads(call) for call in made.calls)
    properties = call["properties"]
    assert (call["event"], properties["status"]) == ("Shipment Scanned", STATUSES[status])
    assert (properties["carrier_status"], properties["provider_status"]) == (
        "Arrived at the sorting centre", spelling(status),
    )  # fmt: skip
    assert properties["tracking_number"] == "shopify-fulfillment-255858046"
    assert properties["location"] == "Louisville, KY, US"
    assert properties["estimated_at"] == "2026-11-24T17:00:00-05:00"
    assert (call["messageId"], call["timestamp"]) == ("fulfilment-event/944956382", "2026-11-22T14:30:00+00:00")


def test_a_status_that_nobody_knows_claims_none() -> None:
    made = translated(
        "shopify", payload("shopify_fulfillment_event", status="teleported"), **heard("fulfillment_events/create")
    )  # fmt: skip
    assert not made.known
    (call,) = (json.loads(call) for call in made.calls)
    assert call["event"] == "Shipment Reported"
    assert "status" not in call["properties"]
    assert call["properties"]["carrier_status"] == "teleported"


def test_a_refund_counts_once_its_money_has_moved_and_each_part_once() -> None:
    def refunded(**statuses: str) -> dict[str, str]:
        moves = [
            {"id": number, "kind": "refund", "status": status, "amount": f"{number}.00", "currency": "USD"}
            for number, status in enumerate(statuses.values(), start=10)
        ]
        changed = order(refunds=[payload("shopify_refund", transactions=moves)])
        listed = told(calls("shopify", changed, **heard("orders/updated")), "Order Refunded")
        return {call["messageId"]: call["properties"]["total"] for call in listed}

    assert refunded(card="pending") == refunded(card="failure", voucher="error") == refunded() == {}
    part, whole = refunded(card="success", voucher="pending"), refunded(card="success", voucher="success")
    assert list(part.values()) == ["10.00"] and list(whole.values()) == ["10.00", "11.00"]
    assert part.keys() < whole.keys()


def test_a_refund_alone_makes_no_order_of_its_other_number() -> None:
    """It names neither the number that customers know nor a person; orders/updated tells the same."""
    made = translated("shopify", payload("shopify_refund"), **heard("refunds/create"))
    assert (made.known, list(made.calls)) == (True, [])


@pytest.mark.parametrize("name", ["#EU-1001", "#1001", "#1001-EU", "#2026-1001.B"])
def test_an_order_and_its_fulfilment_meet_by_one_number_whatever_the_shop_writes_around_it(name: str) -> None:
    of_order = one("shopify", order(name=name, order_number=1001), **heard("orders/updated"))
    of_parcel = calls("shopify", payload("shopify_fulfillment", name=f"{name}.12"), **heard("fulfillments/update"))
    assert {of_order["properties"]["order_id"], *(call["properties"]["order_id"] for call in of_parcel)} == {name[1:]}


@pytest.mark.parametrize("name", [None, "", "1001", ".1", [], {}])
def test_a_fulfilment_that_names_no_order_is_of_none(name: Any) -> None:
    listed = calls("shopify", payload("shopify_fulfillment", name=name), **heard("fulfillments/update"))
    assert [call["event"] for call in listed] == ["Shipment Scanned"]
    assert "order_id" not in listed[0]["properties"]


def test_a_checkout_is_started_once_however_often_it_changes() -> None:
    (created,) = calls("shopify", payload("shopify_checkout", email=None), **heard("checkouts/create"))
    assert (created["event"], created["timestamp"]) == ("Checkout Started", "2026-11-20T23:50:00+00:00")
    assert created["properties"]["checkout_id"] == "bd5a8aa1ecd019dd3520ff791ee3a24c"
    assert (created["properties"]["total"], created["properties"]["currency"]) == ("409.94", "USD")
    updated = calls("shopify", payload("shopify_checkout"), **heard("checkouts/update"))
    assert [call["event"] for call in updated] == ["Checkout Started", "Checkout Updated"]
    assert updated[0]["messageId"] == created["messageId"] != updated[1]["messageId"]
    assert updated[1]["context"]["traits"]["email"] == "jon@example.com"


def test_a_customer_is_identified() -> None:
    customer = payload("shopify_order")["customer"]
    call = one("shopify", customer, **heard("customers/update"))
    assert (call["type"], call["userId"], call["traits"]["email"]) == (
        "identify",
        "115310627314723954",
        "jon@example.com",
    )


@pytest.mark.parametrize("topic", ["customers/redact", "customers/data_request", "shop/redact"])
def test_what_the_law_asks_for_is_kept_under_its_name(topic: str) -> None:
    made = translated("shopify", payload("shopify_redact"), **heard(topic))
    assert (made.known, made.privacy) == (True, True)
    (call,) = (json.loads(call) for call in made.calls)
    assert (call["event"], call["userId"]) == (f"shopify {topic}", "191167")
    assert call["properties"]["payload"]["orders_to_redact"] == [299938, 280263, 220458]


def test_an_unknown_topic_is_kept_as_it_came() -> None:
    raw = b'{"id": 1, "title": "Shirt", "price": 10.50, "order_id": 7}'
    made = translated("shopify", raw, **heard("products/update"))
    assert (made.known, made.privacy) == (False, False)
    (call,) = made.calls
    assert raw in call
    assert json.loads(call)["event"] == "shopify products/update"
    assert "order_id" not in json.loads(call)["properties"]


def test_the_id_is_the_one_that_is_the_same_over_retries_and_subscriptions() -> None:
    other = {
        **heard("orders/create"),
        "x_shopify_webhook_id": "of another subscription",
        "x_shopify_triggered_at": "later",
    }
    assert (
        one("shopify", order(), **heard("orders/create"))["messageId"] == one("shopify", order(), **other)["messageId"]
    )
    # Two topics of one event are two touchpoints.
    assert one("shopify", order(), **heard("orders/paid"))["messageId"] == f"{EVENT}/orders/paid"
    # Without an id it is the body that tells two deliveries apart.
    nameless = {"x_shopify_topic": "orders/create"}
    ids = [one("shopify", {"order_number": number}, **nameless)["messageId"] for number in (5, 5, 6)]
    assert ids[0] == ids[1] != ids[2]
