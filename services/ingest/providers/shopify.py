"""Shopify: orders, checkouts, fulfilments, customers.

Topics and payloads: https://shopify.dev/docs/api/webhooks and https://shopify.dev/docs/api/admin-rest/latest/resources
Signature: https://shopify.dev/docs/apps/build/webhooks/subscribe/https
Duplicates: https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates (`X-Shopify-Event-Id`)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from services.ingest.codes import Refused
from services.ingest.providers import parcels, payload
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import Person, identify, kept, message_id, person, track
from services.ingest.providers.payload import (
    Fields,
    Table,
    as_instant,
    as_sum,
    as_text,
    day,
    fingerprint,
    instant,
    money,
    number,
    text,
)
from services.ingest.providers.signatures import base64_of, of_body

STATUSES: Final = {
    "label_purchased": "label_created",
    "label_printed": "label_created",
    "confirmed": "label_created",
    "carrier_picked_up": "picked_up",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "attempted_delivery": "attempt_failed",
    "delayed": "delayed",
    "delivered": "delivered",
    "failure": "exception",
    "ready_for_pickup": "available_for_pickup",
    "picked_up": "delivered",
}
"""`status` of a fulfilment event, and `shipment_status` of a fulfilment, to ours. `picked_up` is by the customer."""

PRIVACY: Final = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
"""What the law asks of apps: kept under these names and counted. `pathline customer erase` is what erases."""

ORDER_ID: Final = number("name", "order_number")
"""The number that customers know: 1001, or EU-1001 in a shop with a prefix. A fulfilment has it in its `name`, too;
`order_number` never has the prefix, and the `id` of 13 digits is known to nobody."""

ORDER: Final[Table] = {
    "order_id": ORDER_ID,
    "total": money("total_price", "current_total_price"),
    "currency": text("currency"),
    "checkout_id": text("checkout_token", "checkout_id"),
    "delivery_method": text("shipping_lines.0.title"),
    "payment_method": text("payment_gateway_names.0", "gateway"),
    "financial_status": text("financial_status"),
    "fulfillment_status": text("fulfillment_status"),
    "coupon": text("discount_codes.0.code"),
}
PAYMENT: Final[Table] = {
    "order_id": ORDER_ID,
    "amount": money("total_price"),
    "currency": text("currency"),
    "payment_method": text("payment_gateway_names.0", "gateway"),
}
CANCELLATION: Final[Table] = {"order_id": ORDER_ID, "reason": text("cancel_reason"), "currency": text("currency")}
CHECKOUT: Final[Table] = {
    "checkout_id": text("token", "id"),
    "total": money("total_price"),
    "value": money("total_price"),
    "currency": text("currency", "presentment_currency"),
}
PRODUCT: Final[Table] = {
    "product_id": text("product_id"),
    "sku": text("sku"),
    "name": text("title", "name"),
    "variant": text("variant_title"),
    "brand": text("vendor"),
    "price": money("price"),
    "quantity": lambda line: line.get("quantity") if isinstance(line.get("quantity"), int) else None,
}
PRODUCTS_MAX: Final = 50
"""Lines of an order that are told of."""

USER_ID: Final[Table] = {"user_id": text("customer.id")}
"""The only id of a customer that a theme or a pixel of the shop can send. A shop with ids of its own joins the two by
an alias call of its server."""
TRAITS: Final[Table] = {
    "email": text("email", "contact_email", "customer.email"),
    "phone": text("phone", "customer.phone"),
    "first_name": text("customer.first_name", "billing_address.first_name"),
    "last_name": text("customer.last_name", "billing_address.last_name"),
}
COUNTRY: Final[Table] = {
    "country": text(
        "billing_address.country_code", "shipping_address.country_code", "customer.default_address.country_code"
    )
}
CHANNELS: Final = {"web": "web", "pos": "store", "iphone": "app", "android": "app"}
"""`source_name` of an order to the channel it was made on."""


class Heard(NamedTuple):
    """A delivery, read."""

    body: Fields
    topic: str
    told_as: str
    """The id that is the same over retries, and over two subscriptions to one topic."""
    when: str | None
    """When Shopify was about to tell."""


def _completed(heard: Heard) -> list[bytes]:
    """Of orders/create: an order is made when its checkout is completed. That it is paid for may come days later."""
    order = heard.body
    properties = payload.picked(ORDER, order) | {"products": _products(order)}
    when = instant("created_at", "processed_at")(order) or heard.when
    channel = CHANNELS.get(as_text(order.get("source_name")) or "")
    return [track("Order Completed", heard.told_as, when, properties, _who(order), channel)]


def _paid(heard: Heard) -> list[bytes]:
    when = heard.when or as_instant(heard.body.get("updated_at"))
    properties = payload.picked(PAYMENT, heard.body)
    return [track("Payment Succeeded", heard.told_as, when, properties, _who(heard.body))]


def _updated(heard: Heard) -> list[bytes]:
    """Of a changed order: the order, its refunds, and its parcels with where they are."""
    order = heard.body
    when = as_instant(order.get("updated_at")) or heard.when
    told = [track("Order Updated", heard.told_as, when, payload.picked(ORDER, order), _who(order))]
    order_id = ORDER_ID(order)
    refunds = payload.items(order, "refunds")
    told += [call for refund in refunds for call in _refunds(refund, order_id)]
    for fulfilment in payload.items(order, "fulfillments"):
        told += _parcels_of(fulfilment, order_id, _who(order))
    return told


def _cancelled(heard: Heard) -> list[bytes]:
    """Of orders/cancelled: always of the whole order, so without a sum."""
    when = as_instant(heard.body.get("cancelled_at")) or heard.when
    return [track("Order Cancelled", heard.told_as, when, payload.picked(CANCELLATION, heard.body), _who(heard.body))]


def _refunded(heard: Heard) -> list[bytes]:
    """Of refunds/create, which knows the order by its `id` alone, and nobody: orders/updated tells it by the number."""
    order_id = ORDER_ID(heard.body)
    return [] if order_id is None else _refunds(heard.body, order_id)


def _refunds(refund: Fields, order_id: str | None) -> list[bytes]:
    """Each transaction of a refund once its money has moved: some are pending for days, and some fail."""
    of_refund, reason = as_text(refund.get("id")), as_text(refund.get("note"))
    told = []
    for one in payload.items(refund, "transactions"):
        done = one.get("status") is None or as_text(one.get("status")) == "success"
        total = as_sum(one.get("amount"))
        if not done or as_text(one.get("kind")) != "refund" or total is None:
            continue
        properties = {"order_id": order_id, "total": total, "currency": as_text(one.get("currency")), "reason": reason}
        when = instant("processed_at", "created_at")(one) or instant("processed_at", "created_at")(refund)
        own = as_text(one.get("id")) or fingerprint(total, when)
        told.append(track("Order Refunded", message_id("refund", of_refund, own), when, properties))
    return told


def _checkout(heard: Heard) -> list[bytes]:
    """Of checkouts/create and checkouts/update: that it was started, once, and each change."""
    checkout = heard.body
    who = _who(checkout)
    properties = payload.picked(CHECKOUT, checkout) | {"products": _products(checkout)}
    told_as = message_id("checkout", properties.get("checkout_id"), "started")
    told = [track("Checkout Started", told_as, as_instant(checkout.get("created_at")) or heard.when, properties, who)]
    if heard.topic == "checkouts/update":
        when = as_instant(checkout.get("updated_at")) or heard.when
        told.append(track("Checkout Updated", heard.told_as, when, properties, who))
    return told


def _fulfilment(heard: Heard) -> list[bytes]:
    """Of fulfillments/create and fulfillments/update; its `name` is the order's with a count: #1001.1."""
    name = payload.as_number(heard.body.get("name"))
    return _parcels_of(heard.body, (name and name.rpartition(".")[0]) or None, _who(heard.body))


def _parcels_of(fulfilment: Fields, order_id: str | None, who: Person) -> list[bytes]:
    """What is told of the parcels of a fulfilment; one that has no number goes by the fulfilment's id."""
    own = as_text(fulfilment.get("id"))
    status = as_text(fulfilment.get("shipment_status"))
    listed = fulfilment.get("tracking_numbers")
    numbers = [payload.as_text(one) for one in listed[:PRODUCTS_MAX]] if isinstance(listed, list) else []
    numbers = [one for one in numbers if one] or [as_text(fulfilment.get("tracking_number"))]
    when, updated = as_instant(fulfilment.get("created_at")), as_instant(fulfilment.get("updated_at"))
    told: list[bytes] = []
    for tracking_number in numbers:
        # Without a number and without news it may yet get one, and would be a second parcel that never arrives.
        name = tracking_number or (_by_fulfilment(own) if status else None)
        if name is None:
            continue
        parcel = parcels.Parcel(name, as_text(fulfilment.get("tracking_company")), order_id, who=who)
        if order_id is not None:
            told.append(parcels.created(parcel, when))
        if status is not None:
            scan = parcels.Scan(updated or when, STATUSES.get(status.lower()), status)
            told_as = message_id("fulfilment", own, fingerprint(name), status)
            told.append(parcels.scanned(parcel, scan, scan.status, told_as=told_as))
    return told


def _fulfilment_event(heard: Heard) -> list[bytes]:
    """Of fulfillment_events/create, which names neither the order's number nor the parcel's."""
    event = heard.body
    status = as_text(event.get("status")) or ""
    parcel = parcels.Parcel(_by_fulfilment(as_text(event.get("fulfillment_id"))))
    where = payload.place(event, "city", "province", "country")
    when = instant("happened_at", "created_at")(event)
    scan = parcels.Scan(when, STATUSES.get(status.lower()), status, as_text(event.get("message")), where)
    told_as = message_id("fulfilment-event", as_text(event.get("id")) or heard.told_as)
    return [parcels.scanned(parcel, scan, scan.status, day("estimated_delivery_at")(event), told_as)]


def _customer(heard: Heard) -> list[bytes]:
    """Of customers/create and customers/update."""
    who = _who({"customer": heard.body})
    return [identify(heard.told_as, as_instant(heard.body.get("updated_at")) or heard.when, who)]


TOPICS: Final[dict[str, Callable[[Heard], list[bytes]]]] = {
    "orders/create": _completed,  # Order Completed
    "orders/paid": _paid,  # Payment Succeeded
    "orders/updated": _updated,  # Order Updated, Order Refunded, Shipment Created, Shipment Scanned
    "orders/fulfilled": _updated,
    "orders/partially_fulfilled": _updated,
    "orders/cancelled": _cancelled,  # Order Cancelled
    "refunds/create": _refunded,  # nothing: it names neither the order's number nor a customer
    "checkouts/create": _checkout,  # Checkout Started
    "checkouts/update": _checkout,  # Checkout Started, Checkout Updated
    "fulfillments/create": _fulfilment,  # Shipment Created, Shipment Scanned
    "fulfillments/update": _fulfilment,
    "fulfillment_events/create": _fulfilment_event,  # Shipment Scanned
    "customers/create": _customer,  # identify
    "customers/update": _customer,
}
"""What each topic becomes."""


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    topic = (_header(delivery, b"x-shopify-topic") or "").lower()
    event_id = _header(delivery, b"x-shopify-event-id") or _header(delivery, b"x-shopify-webhook-id")
    told_as = message_id(event_id or fingerprint(delivery.raw), topic)
    heard = Heard(body, topic, told_as, as_instant(_header(delivery, b"x-shopify-triggered-at")))
    tell = TOPICS.get(topic)
    if tell is None:
        told = [kept("shopify", topic, told_as, heard.when, delivery.raw, _who(body))]
        return Translation(told, known=topic in PRIVACY, privacy=topic in PRIVACY)
    statuses = [body.get("status")] if tell is _fulfilment_event else [body.get("shipment_status")]
    statuses += [one.get("shipment_status") for one in payload.items(body, "fulfillments")]
    named = [status for status in map(as_text, statuses) if status is not None]
    return Translation(tell(heard), all(status.lower() in STATUSES for status in named))


def _header(delivery: Delivery, name: bytes) -> str | None:
    return as_text(delivery.headers.get(name, b"").decode("ascii", "replace"))


def _who(told: Fields) -> Person:
    return person(told, USER_ID, TRAITS, COUNTRY)


def _by_fulfilment(told: str | None) -> str | None:
    return None if told is None else f"shopify-fulfillment-{told}"


def _products(told: Fields) -> list[Fields]:
    return [payload.picked(PRODUCT, line) for line in payload.items(told, "line_items")[:PRODUCTS_MAX]]


PROVIDER: Final = Provider("shopify", of_body(b"x-shopify-hmac-sha256", base64_of), translate)
