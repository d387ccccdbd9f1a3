"""WooCommerce: orders and customers.

Topics, headers, signature: https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks
Payloads: https://woocommerce.github.io/woocommerce-rest-api-docs/#order-properties
Statuses: https://woocommerce.com/document/managing-orders/order-statuses/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.ingest.codes import Refused
from services.ingest.providers import parcels, payload
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import Person, identify, kept, message_id, person, track
from services.ingest.providers.payload import (
    Fields,
    Table,
    as_instant,
    as_text,
    fingerprint,
    instant,
    money,
    number,
    text,
)
from services.ingest.providers.signatures import base64_of, of_body

ORDER_TOPICS: Final = frozenset({"order.created", "order.updated", "order.restored"})
"""Each brings the whole order. What it becomes is decided by its status, and told once."""
CUSTOMER_TOPICS: Final = frozenset({"customer.created", "customer.updated"})
"""Each becomes an identify."""

STATUSES: Final[dict[str, tuple[str, ...]]] = {
    "checkout-draft": (),
    "pending": (),
    "on-hold": ("Order Completed",),
    "processing": ("Order Completed",),
    "completed": ("Order Completed",),
    "failed": ("Payment Failed",),
    "cancelled": ("Order Cancelled",),
    "refunded": ("Order Completed", "Order Refunded"),
    "trash": (),
}
"""What an order's status tells besides Order Updated. `pending` is before the payment: WooCommerce makes the order when
the customer goes to pay, and many do not come back. `on-hold` waits for a transfer, and is placed."""

ORDER_ID: Final = number("number", "id")
"""The number that customers know; with some extensions it is not the `id`."""

ORDER: Final[Table] = {
    "order_id": ORDER_ID,
    "total": money("total"),
    "currency": text("currency"),
    "delivery_method": text("shipping_lines.0.method_title"),
    "payment_method": text("payment_method_title", "payment_method"),
    "order_status": text("status"),
    "coupon": text("coupon_lines.0.code"),
}
PAYMENT: Final[Table] = {
    "order_id": ORDER_ID,
    "amount": money("total"),
    "currency": text("currency"),
    "payment_method": text("payment_method_title", "payment_method"),
}
PRODUCT: Final[Table] = {
    "product_id": text("product_id"),
    "sku": text("sku"),
    "name": text("name"),
    "price": money("price"),
    "quantity": lambda line: line.get("quantity") if isinstance(line.get("quantity"), int) else None,
}
PRODUCTS_MAX: Final = 50
"""Lines of an order that are told of."""

TRACKING: Final = "_wc_shipment_tracking_items"
"""The field in which WooCommerce's own Shipment Tracking keeps the numbers of parcels."""

USER_ID: Final[Table] = {"user_id": lambda order: as_text(order.get("customer_id") or None)}
"""The number of the WordPress user, which is what a site's own scripts have; 0 is a guest."""
TRAITS: Final[Table] = {
    "email": text("billing.email", "email"),
    "phone": text("billing.phone"),
    "first_name": text("billing.first_name", "first_name"),
    "last_name": text("billing.last_name", "last_name"),
}
COUNTRY: Final[Table] = {"country": text("billing.country", "shipping.country")}

_PING: Final = re.compile(rb"webhook_id=\d{1,20}")
"""What WooCommerce posts, unsigned, when a webhook is saved; the webhook is kept only if that is answered with 200."""

_signed: Final = of_body(b"x-wc-webhook-signature", base64_of)


def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, seconds: float) -> Refused | None:
    """The check of the signature. A ping has none, and tells nothing that could be believed or not."""
    return None if _is_ping(delivery) else _signed(delivery, secrets, now, seconds)


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery; of a ping there are none."""
    if _is_ping(delivery):
        return Translation(())
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    topic = as_text(delivery.headers.get(b"x-wc-webhook-topic", b"").decode("ascii", "replace")) or ""
    modified = instant("date_modified_gmt", "date_created_gmt")(body)
    own = as_text(body.get("id")) or fingerprint(delivery.raw)
    if topic in CUSTOMER_TOPICS:
        who = _who(body | {"customer_id": body.get("id")})
        return Translation([identify(message_id("customer", own, modified), modified, who)])
    if topic not in ORDER_TOPICS:
        told_as = message_id(topic, own, fingerprint(delivery.raw))
        return Translation([kept("woocommerce", topic, told_as, modified, delivery.raw, _who(body))], known=False)
    return Translation(_order(body, own, modified), as_text(body.get("status")) in STATUSES)


def _order(order: Fields, own: str, modified: str | None) -> list[bytes]:
    """What an order tells as it stands."""
    status = as_text(order.get("status")) or ""
    who, plain, payment = _who(order), payload.picked(ORDER, order), payload.picked(PAYMENT, order)
    told = [track("Order Updated", message_id("order", own, status, modified), modified, plain, who)]
    events = STATUSES.get(status, ())
    if "Order Completed" in events:
        when = instant("date_created_gmt")(order)
        told.append(track("Order Completed", message_id("order", own, "placed"), when, plain | _lines(order), who))
    paid = as_instant(order.get("date_paid_gmt"))
    if paid is not None:
        told.append(track("Payment Succeeded", message_id("order", own, "paid"), paid, payment, who))
    if "Payment Failed" in events:
        told.append(track("Payment Failed", message_id("order", own, "failed", modified), modified, payment, who))
    if "Order Cancelled" in events:
        named = {"order_id": ORDER_ID(order)}
        told.append(track("Order Cancelled", message_id("order", own, "cancelled"), modified, named, who))
    return [*told, *_refunds(order, own, modified, whole="Order Refunded" in events), *_parcels(order, who)]


def _refunds(order: Fields, own: str, modified: str | None, *, whole: bool) -> list[bytes]:
    """Each refund with its sum; where the order is refunded and lists none, all of it."""
    named = {"order_id": ORDER_ID(order), "currency": text("currency")(order)}
    told = []
    for refund in payload.items(order, "refunds"):
        total = money("total")(refund)
        properties = named | {"total": (total or "0").lstrip("-"), "reason": text("reason")(refund)}
        told.append(track("Order Refunded", message_id("order", own, "refund", refund.get("id")), modified, properties))
    if whole and not told:
        told.append(track("Order Refunded", message_id("order", own, "refunded"), modified, named))
    return told


def _parcels(order: Fields, who: Person) -> list[bytes]:
    """The parcels that the shop has written into the order."""
    fields = [one for one in payload.items(order, "meta_data") if one.get("key") == TRACKING]
    found = [item for one in fields for item in payload.items(one, "value")]
    carriers = text("tracking_provider", "custom_tracking_provider")
    made = [
        (parcels.Parcel(text("tracking_number")(item), carriers(item), ORDER_ID(order), who=who), _shipped(item))
        for item in found
    ]
    return [parcels.created(parcel, when) for parcel, when in made if parcel.number is not None]


def _shipped(item: Fields) -> str | None:
    """`date_shipped`: seconds, as text."""
    told = as_text(item.get("date_shipped")) or ""
    return as_instant(int(told)) if told.isdigit() and told.isascii() and len(told) <= len("4102444800") else None


def _lines(order: Fields) -> Fields:
    return {"products": [payload.picked(PRODUCT, line) for line in payload.items(order, "line_items")[:PRODUCTS_MAX]]}


def _who(told: Fields) -> Person:
    return person(told, USER_ID, TRAITS, COUNTRY)


def _is_ping(delivery: Delivery) -> bool:
    return _PING.fullmatch(delivery.raw) is not None


PROVIDER: Final = Provider("woocommerce", verify, translate)
