"""Stripe: payments, invoices, disputes, refunds.

Events and objects: https://docs.stripe.com/api/events/types
Signature: https://docs.stripe.com/webhooks#verify-manually
Amounts: https://docs.stripe.com/currencies (in the smallest unit)
Payments of invoices: https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from services.ingest.codes import Refused
from services.ingest.providers import payload
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import Person, kept, message_id, person, track
from services.ingest.providers.payload import (
    Fields,
    Table,
    as_instant,
    as_text,
    decimal_of,
    fingerprint,
    instant,
    minor_units,
    number,
    text,
)
from services.ingest.providers.signatures import of_time_and_body

ORDER_ID: Final = number("metadata.order_number", "metadata.order_id")
"""The shop's own number, which it writes into the metadata of what it makes at Stripe."""

CHECKOUT_ID: Final = text("metadata.checkout_id")
"""The shop's own checkout, in the same place."""

INTENT_ID: Final = text("payment_intent", "payment_intent.id")
HAVE_AN_ID: Final = frozenset({"payment_intent", "checkout.session", "charge"})
"""What a payment without an order is told of: the payment intent, or the object itself where it names none."""

INVOICE_ID: Final = text("invoice", "invoice.id")
INVOICE_MARK: Final = text("payment_details.order_reference")
"""Since 2025-03-31.basil neither payment intents nor charges have `invoice`. An intent that Stripe made for an invoice
has the invoice's id here, `in_…`; it is seen, not documented, so that its absence says nothing."""
MAY_BE_OF_INVOICES: Final = frozenset({"payment_intent", "charge"})

FAILED_INTENT: Final[Table] = {
    "amount": minor_units("amount"),
    "code": text("last_payment_error.code"),
    "decline_code": text("last_payment_error.decline_code"),
    "reason": text("last_payment_error.message"),
    "payment_method": text("last_payment_error.payment_method.type", "payment_method_types.0"),
}
FAILED_CHARGE: Final[Table] = {
    "amount": minor_units("amount"),
    "code": text("failure_code"),
    "decline_code": text("outcome.reason", "outcome.network_decline_code"),
    "reason": text("failure_message"),
    "payment_method": text("payment_method_details.type"),
}
SUCCEEDED: Final[Table] = {
    "amount": lambda intent: minor_units("amount_received")(intent) or minor_units("amount")(intent),
    "payment_method": text("payment_method_types.0"),
}
SESSION: Final[Table] = {"amount": minor_units("amount_total"), "payment_method": text("payment_method_types.0")}
INVOICE: Final[Table] = {
    "invoice_id": text("id"),
    "invoice_number": text("number"),
    "subscription": text("subscription", "parent.subscription_details.subscription"),
    "next_attempt_at": instant("next_payment_attempt"),
    "attempt": text("attempt_count"),
}
DISPUTE: Final[Table] = {
    "dispute_id": text("id"),
    "amount": minor_units("amount"),
    "reason": text("reason"),
    "outcome": text("status"),
    "charge": text("charge", "charge.id"),
}

USER_ID: Final[Table] = {"user_id": text("metadata.user_id", "metadata.userId")}
"""The shop's own id of a customer, where it writes one; Stripe's (`cus_…`) is told as `customer`."""
TRAITS: Final[Table] = {
    "email": text(
        "receipt_email",
        "customer_email",
        "customer_details.email",
        "billing_details.email",
        "last_payment_error.payment_method.billing_details.email",
        "evidence.customer_email_address",
        "email",
    ),
    "phone": text("customer_phone", "customer_details.phone", "billing_details.phone"),
    "name": text("customer_name", "customer_details.name", "billing_details.name"),
}
COUNTRY: Final[Table] = {"country": text("customer_details.address.country", "billing_details.address.country")}


class Heard(NamedTuple):
    """An event, read."""

    object: Fields
    before: Fields
    """What its changed fields were."""
    event_id: str
    when: str | None


def _intent_failed(heard: Heard) -> list[bytes]:
    return [_payment("Failed", heard, FAILED_INTENT)]


def _charge_failed(heard: Heard) -> list[bytes]:
    """Of a charge. One of a payment intent claims nothing: payment_intent.payment_failed tells of the same failure."""
    return [_payment("Failed", heard, FAILED_CHARGE, again=INTENT_ID(heard.object) is not None)]


def _succeeded(heard: Heard) -> list[bytes]:
    return [_payment("Succeeded", heard, SUCCEEDED)]


def _session_completed(heard: Heard) -> list[bytes]:
    """Of a completed session; with some ways to pay the money comes later, and then nothing is claimed yet."""
    paid = as_text(heard.object.get("payment_status")) in {"paid", "no_payment_required"}
    return [_payment("Succeeded" if paid else "Awaited", heard, SESSION)]


def _session_failed(heard: Heard) -> list[bytes]:
    return [_payment("Failed", heard, SESSION)]


def _session_expired(heard: Heard) -> list[bytes]:
    """A checkout that nobody finished: that it was started, then, and that it is over."""
    session = heard.object
    properties = _named(session) | {"currency": _currency(session)}
    properties["total"] = properties["value"] = minor_units("amount_total")(session)
    told_as = message_id("session", as_text(session.get("id")) or heard.event_id, "started")
    return [
        track("Checkout Started", told_as, as_instant(session.get("created")) or heard.when, properties, _who(session)),
        _payment("Expired", heard, SESSION),
    ]


def _invoice_failed(heard: Heard) -> list[bytes]:
    return [_invoice("Invoice Payment Failed", heard, "amount_due", heard.event_id, heard.when)]


def _invoice_paid(heard: Heard) -> list[bytes]:
    """invoice.paid and invoice.payment_succeeded tell the same, of the same time, and count once."""
    when = instant("status_transitions.paid_at")(heard.object) or heard.when
    return [_invoice("Invoice Paid", heard, "amount_paid", message_id("paid", as_text(heard.object.get("id"))), when)]


def _disputed(event: str) -> Callable[[Heard], list[bytes]]:
    def tell(heard: Heard) -> list[bytes]:
        properties = _named(heard.object) | payload.picked(DISPUTE, heard.object)
        properties["currency"] = _currency(heard.object)
        if event == "Dispute Opened":
            properties.pop("outcome", None)
        return [track(event, heard.event_id, heard.when, properties, _who(heard.object))]

    return tell


def _refunded(heard: Heard) -> list[bytes]:
    """Of a charge: what was refunded by this event alone, so that several of one charge add up."""
    charge = heard.object
    refunded, before = charge.get("amount_refunded"), heard.before.get("amount_refunded")
    part = refunded - before if isinstance(refunded, int) and isinstance(before, int) else refunded
    properties = _named(charge) | {"currency": _currency(charge)}
    # Only of an order can it be told: of a payment without one nothing is claimed.
    if properties["order_id"] is None:
        properties["amount"] = decimal_of(part, charge.get("currency"))
        return [track("Payment Refunded", heard.event_id, heard.when, properties, _who(charge))]
    # Without a sum it would be all of the order.
    properties["total"] = decimal_of(part, charge.get("currency")) or "0"
    return [track("Order Refunded", heard.event_id, heard.when, properties, _who(charge))]


TOPICS: Final[dict[str, Callable[[Heard], list[bytes]]]] = {
    "payment_intent.payment_failed": _intent_failed,  # Payment Failed
    "charge.failed": _charge_failed,  # Payment Attempt Failed, or Payment Failed where no intent is named
    "payment_intent.succeeded": _succeeded,  # Payment Succeeded
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_completed,
    "checkout.session.async_payment_failed": _session_failed,  # Payment Failed
    "checkout.session.expired": _session_expired,  # Checkout Started, Payment Expired
    "invoice.payment_failed": _invoice_failed,  # Invoice Payment Failed
    "invoice.paid": _invoice_paid,  # Invoice Paid
    "invoice.payment_succeeded": _invoice_paid,
    "charge.dispute.created": _disputed("Dispute Opened"),
    "charge.dispute.updated": _disputed("Dispute Updated"),
    "charge.dispute.funds_withdrawn": _disputed("Dispute Updated"),
    "charge.dispute.funds_reinstated": _disputed("Dispute Updated"),
    "charge.dispute.closed": _disputed("Dispute Closed"),
    "charge.refunded": _refunded,  # Order Refunded, or Payment Refunded where no order is named
}
"""What each type of event becomes."""


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    topic = as_text(body.get("type")) or ""
    heard = Heard(
        payload.fields(body, "data.object"),
        payload.fields(body, "data.previous_attributes"),
        message_id(as_text(body.get("id")) or fingerprint(delivery.raw)),
        as_instant(body.get("created")),
    )
    tell = TOPICS.get(topic)
    if tell is None:
        told = kept("stripe", topic, heard.event_id, heard.when, delivery.raw, _who(heard.object))
        return Translation([told], known=False)
    return Translation(tell(heard))


def _payment(outcome: str, heard: Heard, table: Table, *, again: bool = False) -> bytes:
    """A payment; `again`: another event tells of it, too.

    Of an invoice nothing is claimed, for the invoice's own event has it, and of what may be an invoice's neither.
    """
    found = heard.object
    invoice = _invoice_of(found)
    properties = _named(found, intent=outcome == "Succeeded") | payload.picked(table, found)
    properties["currency"] = _currency(found)
    event = f"Payment {outcome}"
    if invoice is not None and properties["order_id"] is None:
        properties |= {"invoice_id": invoice, "checkout_id": None}
        event = f"Invoice Attempt {outcome}"
    elif again or not _is_of_shop(found):
        event = f"Payment Attempt {outcome}"
    return track(event, heard.event_id, heard.when, properties, _who(found))


def _invoice_of(found: Fields) -> str | None:
    marked: str | None = INVOICE_MARK(found)
    told: str | None = INVOICE_ID(found)
    return told or (marked if marked is not None and marked.startswith("in_") else None)


def _is_of_shop(found: Fields) -> bool:
    """Whether a payment is known to be of an order or a checkout: the shop names one, or Stripe says of no invoice."""
    if as_text(found.get("object")) not in MAY_BE_OF_INVOICES or "invoice" in found:
        return True
    return ORDER_ID(found) is not None or CHECKOUT_ID(found) is not None


def _invoice(event: str, heard: Heard, amount: str, told_as: str, when: str | None) -> bytes:
    found = heard.object
    properties = payload.picked(INVOICE, found) | {"order_id": ORDER_ID(found), "customer": _customer(found)}
    properties |= {"amount": minor_units(amount)(found), "currency": _currency(found)}
    return track(event, told_as, when, properties, _who(found))


def _named(found: Fields, *, intent: bool = False) -> Fields:
    """Order and checkout that an object is of.

    Without an order the payment intent stands in for the shop's own checkout. A success names both where it can, so
    that what later names the intent alone, as a dispute does, is known to be of that order.
    """
    order_id, checkout_id = ORDER_ID(found), CHECKOUT_ID(found)
    if checkout_id is None and (order_id is None or intent):
        own = as_text(found.get("id")) if as_text(found.get("object")) in HAVE_AN_ID else None
        checkout_id = INTENT_ID(found) or own
    return {"order_id": order_id, "checkout_id": checkout_id, "customer": _customer(found)}


def _customer(found: Fields) -> str | None:
    told: str | None = text("customer", "customer.id")(found)
    return told


def _currency(found: Fields) -> str | None:
    told = as_text(found.get("currency"))
    return None if told is None else told.upper()


def _who(found: Fields) -> Person:
    return person(found, USER_ID, TRAITS, COUNTRY)


def secret_flaw(secret: str) -> str | None:
    """Why a text can be no secret of an endpoint: an API key (`sk_…`) signs nothing."""
    return None if secret.startswith("whsec_") else "the endpoint's signing secret, which begins with whsec_"


PROVIDER: Final = Provider("stripe", of_time_and_body(b"stripe-signature"), translate, secret_flaw)
