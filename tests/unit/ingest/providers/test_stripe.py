"""Stripe's events, as its documents show them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pathline.domain.recording import RECORDING
from services.ingest.providers.payload import decimal_of
from services.ingest.providers.stripe import TOPICS
from tests.support.webhooks import calls, one, payload, taken, translated

INTENT = "pi_3MtwBwLkdIwHu7ix28a3tqPa"
PAYLOADS = {
    "payment_intent": "stripe_payment_intent", "charge": "stripe_charge", "checkout": "stripe_session",
    "invoice": "stripe_invoice",
}  # fmt: skip


def event(name: str, topic: str, before: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """An event of a type, with fields of its object changed."""
    whole = payload(name, type=topic)
    return {**whole, "data": {"object": {**whole["data"]["object"], **changed}, "previous_attributes": before or {}}}


def test_a_failed_payment_tells_its_codes_and_its_charge_claims_nothing_beside_it() -> None:
    intent = one("stripe", payload("stripe_payment_intent"))
    assert intent == {
        "type": "track",
        "messageId": "evt_3MtwBwLkdIwHu7ix0snN0B15",
        "event": "Payment Failed",
        "timestamp": "2026-11-25T23:40:00+00:00",
        "properties": {
            "order_id": "1001",
            "customer": "cus_NffrFeUfNV2Hib",
            "amount": "409.94",
            "currency": "USD",
            "code": "card_declined",
            "decline_code": "insufficient_funds",
            "reason": "Your card has insufficient funds.",
            "payment_method": "card",
        },
        "context": {"traits": {"email": "jon@example.com"}},
    }
    charge = one("stripe", payload("stripe_charge"))
    assert (charge["event"], charge["messageId"]) == ("Payment Attempt Failed", "evt_3MtwBwLkdIwHu7ix0chF0B15")
    for name in ("order_id", "amount", "currency", "code", "decline_code", "reason"):
        assert charge["properties"][name] == intent["properties"][name]


def test_a_charge_without_an_intent_claims_its_failure() -> None:
    call = one("stripe", event("stripe_charge", "charge.failed", payment_intent=None))
    assert (call["event"], call["properties"]["order_id"]) == ("Payment Failed", "1001")


BASIL = "2025-03-31.basil"
"""From this version of the API on neither intents nor charges say whose invoice's they are."""


@pytest.mark.parametrize("outcome", ["failed", "succeeded"])
@pytest.mark.parametrize("reference", [None, {"customer_reference": None, "order_reference": "in_1SVWoDDwzgQ85STg"}])
def test_an_invoice_of_a_newer_version_is_one_alert(outcome: str, reference: Any) -> None:
    topic = "payment_intent.payment_failed" if outcome == "failed" else "payment_intent.succeeded"
    changed: dict[str, Any] = {"metadata": {}, "payment_details": reference, "description": "Subscription update"}
    intent = one("stripe", event("stripe_payment_intent", topic, **changed) | {"api_version": BASIL})
    charge = one("stripe", event("stripe_charge", "charge.failed", metadata={}) | {"api_version": BASIL})
    invoice = one("stripe", payload("stripe_invoice", api_version=BASIL))
    assert invoice["event"] == "Invoice Payment Failed"
    # Neither claims anything; see pathline/domain/recording.py.
    assert intent["event"] == f"{'Invoice' if reference else 'Payment'} Attempt {outcome.title()}"
    assert intent["properties"].get("invoice_id") == (reference and reference["order_reference"])
    assert intent["properties"].get("checkout_id") == (None if reference else INTENT)
    assert charge["event"] == "Payment Attempt Failed"
    assert {intent["event"], charge["event"]}.isdisjoint(RECORDING)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"metadata": {"order_id": "1001"}}, "Payment Failed"),
        ({"metadata": {"checkout_id": "c1"}}, "Payment Failed"),
        ({"metadata": {}}, "Payment Attempt Failed"),
        # Older versions say that it is no invoice's.
        ({"metadata": {}, "invoice": None}, "Payment Failed"),
        ({"metadata": {}, "invoice": "in_1"}, "Invoice Attempt Failed"),
        ({"metadata": {}, "payment_details": {"order_reference": "PO-7"}}, "Payment Attempt Failed"),
    ],
)
def test_a_failure_is_claimed_where_it_is_known_to_be_of_an_order_or_a_checkout(
    changed: dict[str, Any], expected: str
) -> None:
    assert (
        one("stripe", event("stripe_payment_intent", "payment_intent.payment_failed", **changed))["event"] == expected
    )


@pytest.mark.parametrize(
    ("metadata", "order", "checkout"),
    [
        ({"order_id": "#1001"}, "1001", None),
        ({"order_number": "1001", "order_id": "77"}, "1001", None),
        ({"checkout_id": "c1", "order_id": 1001}, "1001", "c1"),
        ({"checkout_id": "c1"}, None, "c1"),
        ({}, None, INTENT),
        (None, None, INTENT),
    ],
)
def test_a_payment_is_of_the_order_or_checkout_that_the_shop_names(
    metadata: Any, order: str | None, checkout: str | None
) -> None:
    properties = one("stripe", event("stripe_payment_intent", "payment_intent.payment_failed", metadata=metadata))[
        "properties"
    ]
    assert (properties.get("order_id"), properties.get("checkout_id")) == (order, checkout)
    failed_charge = one("stripe", event("stripe_charge", "charge.failed", metadata=metadata))["properties"]
    assert (failed_charge.get("order_id"), failed_charge.get("checkout_id")) == (order, checkout)


def test_a_success_links_the_intent_with_the_order() -> None:
    call = one("stripe", event("stripe_payment_intent", "payment_intent.succeeded", amount_received=40000))
    assert (call["event"], call["messageId"]) == ("Payment Succeeded", "evt_3MtwBwLkdIwHu7ix0snN0B15")
    assert call["properties"]["amount"] == "400.00"
    assert (call["properties"]["order_id"], call["properties"]["checkout_id"]) == ("1001", INTENT)
    dispute = one("stripe", payload("stripe_dispute"))
    assert dispute["properties"]["checkout_id"] == INTENT


def test_the_shop_s_own_id_of_a_customer_is_a_user_and_stripe_s_is_none() -> None:
    failed = "payment_intent.payment_failed"
    assert "userId" not in one("stripe", event("stripe_payment_intent", failed))
    assert one("stripe", event("stripe_payment_intent", failed, metadata={"user_id": "u-7"}))["userId"] == "u-7"


def test_a_session_that_ran_out_was_a_checkout() -> None:
    started, expired = calls("stripe", payload("stripe_session"))
    session = payload("stripe_session")["data"]["object"]["id"]
    assert (started["event"], started["timestamp"]) == ("Checkout Started", "2026-11-25T23:40:00+00:00")
    assert started["properties"] == {"checkout_id": session, "currency": "USD", "total": "21.98", "value": "21.98"}
    assert started["context"]["traits"] == {
        "email": "jon@example.com", "phone": "+4930123456", "name": "Jon Snow", "address": {"country": "DE"},
    }  # fmt: skip
    assert (expired["event"], expired["timestamp"]) == ("Payment Expired", "2026-11-26T23:40:00+00:00")


@pytest.mark.parametrize(
    ("topic", "paid", "expected"),
    [
        ("checkout.session.async_payment_failed", "unpaid", "Payment Failed"),
        ("checkout.session.async_payment_succeeded", "paid", "Payment Succeeded"),
        ("checkout.session.completed", "paid", "Payment Succeeded"),
        ("checkout.session.completed", "no_payment_required", "Payment Succeeded"),
        ("checkout.session.completed", "unpaid", "Payment Awaited"),
    ],
)
def test_sessions(topic: str, paid: str, expected: str) -> None:
    call = one("stripe", event("stripe_session", topic, payment_status=paid, payment_intent="pi_9"))
    assert call["event"] == expected
    assert call["properties"]["checkout_id"] == "pi_9"
    assert call["properties"]["amount"] == "21.98"


def test_invoices() -> None:
    failed = one("stripe", payload("stripe_invoice"))
    assert failed["event"] == "Invoice Payment Failed"
    assert failed["properties"] == {
        "invoice_id": "in_1MtHbELkdIwHu7ixl4OzzPMv",
        "invoice_number": "8D6BB0E1-0002",
        "subscription": "sub_1MowQVLkdIwHu7ixeRlqHVzs",
        "next_attempt_at": "2026-11-28T23:40:00+00:00",
        "attempt": "2",
        "customer": "cus_NeZwdNtLEOXuvB",
        "amount": "1500",
        "currency": "JPY",
    }
    assert failed["context"]["traits"] == {"email": "jenny@example.com", "name": "Jenny Rosen"}
    paid = one("stripe", event("stripe_invoice", "invoice.paid", amount_paid=1500, next_payment_attempt=None))
    assert (paid["event"], paid["properties"]["amount"]) == ("Invoice Paid", "1500")
    at: dict[str, Any] = {"amount_paid": 1500, "status_transitions": {"paid_at": 1795650100}}
    pair = [
        one("stripe", {**event("stripe_invoice", topic, **at), "id": topic, "created": created})
        for topic, created in (("invoice.paid", 1795650101), ("invoice.payment_succeeded", 1795650102))
    ]
    assert pair[0] == pair[1]
    assert (pair[0]["messageId"], pair[0]["timestamp"]) == (paid["messageId"], "2026-11-25T23:41:40+00:00")


def test_a_payment_of_an_invoice_claims_nothing_beside_the_invoice() -> None:
    call = one("stripe", event("stripe_payment_intent", "payment_intent.payment_failed", metadata={}, invoice="in_1"))
    assert call["event"] == "Invoice Attempt Failed"
    assert call["properties"]["invoice_id"] == "in_1"
    assert "checkout_id" not in call["properties"]


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("charge.dispute.created", "Dispute Opened"),
        ("charge.dispute.updated", "Dispute Updated"),
        ("charge.dispute.funds_withdrawn", "Dispute Updated"),
        ("charge.dispute.funds_reinstated", "Dispute Updated"),
        ("charge.dispute.closed", "Dispute Closed"),
    ],
)
def test_disputes(topic: str, expected: str) -> None:
    call = one("stripe", event("stripe_dispute", topic, status="lost"))
    properties = call["properties"]
    assert call["event"] == expected
    assert properties["dispute_id"] == "du_1MtJUT2eZvKYlo2CNaw2HvEv"
    assert (properties["amount"], properties["currency"]) == ("1.000", "KWD")
    assert properties["reason"] == "product_not_received"
    assert properties.get("outcome") == (None if expected == "Dispute Opened" else "lost")
    assert call["context"]["traits"]["email"] == "jon@example.com"


def test_refunds_of_one_charge_add_up() -> None:
    first = one("stripe", event("stripe_charge", "charge.refunded", {"amount_refunded": 0}, amount_refunded=10000))
    second = one("stripe", event("stripe_charge", "charge.refunded", {"amount_refunded": 10000}, amount_refunded=40994))
    assert [call["event"] for call in (first, second)] == ["Order Refunded"] * 2
    assert [call["properties"]["total"] for call in (first, second)] == ["100.00", "309.94"]
    # What cannot be read is no refund of the whole order.
    assert one("stripe", event("stripe_charge", "charge.refunded", amount_refunded="all"))["properties"]["total"] == "0"
    unknown = one("stripe", event("stripe_charge", "charge.refunded", metadata={}, amount_refunded=10000))
    assert (unknown["event"], unknown["properties"]["amount"]) == ("Payment Refunded", "100.00")
    assert unknown["properties"]["checkout_id"] == INTENT


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (1000, "usd", "10.00"), (5, "EUR", "0.05"), (0, "usd", "0.00"), (-250, "usd", "-2.50"), (500, "jpy", "500"),
        (500, "JPY", "500"), (500, "ugx", "5.00"), (500, "isk", "5.00"), (5124, "kwd", "5.124"), (500, None, "5.00"),
        (True, "usd", None), ("5", "usd", None), (1.5, "usd", None), (10**18, "usd", None), (None, "usd", None),
    ],
)  # fmt: skip
def test_amounts_are_decimal_text_in_every_currency(minor: Any, currency: Any, expected: str | None) -> None:
    assert decimal_of(minor, currency) == expected


def test_another_type_of_event_is_kept() -> None:
    made = translated("stripe", event("stripe_charge", "charge.succeeded"))
    (call,) = (json.loads(call) for call in made.calls)
    assert (made.known, call["event"], call["messageId"]) == (
        False,
        "stripe charge.succeeded",
        "evt_3MtwBwLkdIwHu7ix0chF0B15",
    )
    assert call["context"]["traits"]["email"] == "jon@example.com"
    assert call["properties"]["payload"]["data"]["object"]["id"] == "ch_3MtwBwLkdIwHu7ix2K1aIgpV"


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_collector_takes_every_type_with_an_order_and_without(topic: str) -> None:
    name = "stripe_dispute" if "dispute" in topic else PAYLOADS[topic.split(".", 1)[0]]
    for metadata in ({}, {"order_id": "1001"}):
        for touchpoint in taken("stripe", event(name, topic, metadata=metadata)):
            assert touchpoint.report or touchpoint.event == "Checkout Started"
            assert touchpoint.channel == (
                "server" if touchpoint.event in {"Checkout Started", "Order Refunded"} else "payment"
            )
