"""Visitors of the shop's page and what the shop's servers tell of them. Pure: `now` is an argument, calls come back.

The visitor's own acts are sent by the browser script in the page; here are the bank, the courier and the contact
centre.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec

from pathline.demo.customer import CATALOGUE
from pathline.demo.pace import written
from pathline.demo.words import money

PROMISE: Final = timedelta(seconds=60)
"""From the order to the end of its promise: long enough to press a button, short enough to wait for."""
VISITS_MAX: Final = 500
"""Visitors remembered; the one not seen for longest is forgotten first."""
ORDERS_MAX: Final = 20
"""Orders of one visitor."""
TOLD_MAX: Final = 60
"""Reports about one order, so that a stuck key floods nobody."""
ITEMS_MAX: Final = 20
CARRIER: Final = "Blue Van"
CURRENCY: Final = "EUR"

Call = dict[str, Any]
What = Literal["late", "lost", "delivered", "call", "solved"]
BY_SKU: Final = {product.sku: product for product in CATALOGUE}


class TroubleError(Exception):
    """The visitor asked for something that cannot be done."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        """Give the stable `code` and the HTTP `status` of the answer."""
        super().__init__(message)
        self.code = code
        self.status = status


class Purchase(msgspec.Struct):
    """What the visitor pays for."""

    anonymous_id: str
    checkout_id: str
    email: str
    items: Sequence[str]
    """The products' SKUs, one for each piece."""
    fail: bool = False


class Order(msgspec.Struct):
    """An order of a visitor."""

    order_id: str
    checkout_id: str
    tracking_number: str
    email: str
    total: str
    promised_at: datetime
    told: int = 0
    cases: int = 0


class Visit(msgspec.Struct):
    """A visitor, known by the anonymous id of the browser script."""

    anonymous_id: str
    attempts: dict[str, int] = msgspec.field(default_factory=dict)
    """Payments tried, by checkout; only the last checkout is kept."""
    orders: dict[str, Order] = msgspec.field(default_factory=dict)


class Visits:
    """The visitors of one run of the demo."""

    def __init__(self, run: str) -> None:
        """`run` is part of every order number."""
        self._run = run
        self._ordered = 0
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._visits)

    def pay(self, purchase: Purchase, now: datetime) -> tuple[Order | None, list[Call]]:
        """Try to pay; the order when it worked, and what the servers tell. Raises TroubleError."""
        visit = self._visit(purchase.anonymous_id)
        products = [BY_SKU[sku] for sku in purchase.items if sku in BY_SKU]
        if not 1 <= len(products) == len(purchase.items) <= ITEMS_MAX:
            code = "bad_items"
            raise TroubleError(code, f"an order has 1 to {ITEMS_MAX} pieces of what the shop sells")
        if len(visit.orders) >= ORDERS_MAX:
            code = "too_many_orders"
            raise TroubleError(code, f"a visitor may order {ORDERS_MAX} times", status=429)
        attempt = visit.attempts.get(purchase.checkout_id, 0) + 1
        if attempt > TOLD_MAX:
            code = "too_many_tries"
            raise TroubleError(code, "this checkout was tried too often; begin another", status=429)
        visit.attempts = {purchase.checkout_id: attempt}
        total = money(sum(product.cents for product in products))
        paid = {"checkout_id": purchase.checkout_id, "amount": total, "currency": CURRENCY, "attempt": attempt}
        if purchase.fail:
            declined = {"code": "card_declined", "decline_code": "insufficient_funds"}
            return None, [_call("Payment Failed", {**paid, **declined}, now)]
        self._ordered += 1
        number = f"{self._run}v{self._ordered}"
        order = Order(
            f"A-{number}", purchase.checkout_id, f"TRK{number}".upper(), purchase.email, total, now + PROMISE
        )  # fmt: skip
        visit.orders[order.order_id] = order
        bought = {"products": [product.properties() for product in products], "payment_method": "card"}
        return order, [_call("Payment Succeeded", paid, now), *_ordered(order, purchase.anonymous_id, bought, now)]

    def tell(self, anonymous_id: str, order_id: str, what: What, now: datetime) -> list[Call]:
        """What the servers tell when the visitor presses a button on the order. Raises TroubleError."""
        order = self._visit(anonymous_id).orders.get(order_id)
        if order is None:
            code = "order_not_found"
            raise TroubleError(code, "there is no such order of this visitor", status=404)
        if order.told >= TOLD_MAX:
            code = "too_many_reports"
            raise TroubleError(code, "enough was told of this order; place another", status=429)
        order.told += 1
        match what:
            case "late":
                return [_scan(order, "delayed", now, reason="the van broke down")]
            case "lost":
                return [_scan(order, "lost", now, reason="not found at the hub")]
            case "delivered":
                return [
                    _scan(order, "out_for_delivery", now - timedelta(milliseconds=1)),
                    _scan(order, "delivered", now),
                ]
            case "call":
                return _phoned(order, anonymous_id, now)
            case "solved":
                return list(_solved(order, now))

    def _visit(self, anonymous_id: str) -> Visit:
        visit = self._visits.setdefault(anonymous_id, Visit(anonymous_id))
        self._visits.move_to_end(anonymous_id)
        while len(self._visits) > VISITS_MAX:
            self._visits.popitem(last=False)
        return visit


def _call(event: str, properties: Call, at: datetime, **who: str) -> Call:
    return {
        "type": "track", "event": event, "properties": properties, "messageId": str(uuid4()), "timestamp": written(at),
        **who,
    }  # fmt: skip


def _ordered(order: Order, anonymous_id: str, bought: Call, now: datetime) -> Iterator[Call]:
    properties = {
        "order_id": order.order_id, "checkout_id": order.checkout_id, "total": order.total, "currency": CURRENCY,
        "promised_at": written(order.promised_at), "delivery_method": "courier", "email": order.email, **bought,
    }  # fmt: skip
    parcel = {"order_id": order.order_id, "tracking_number": order.tracking_number, "carrier": CARRIER}
    yield _call("Order Completed", properties, now, anonymousId=anonymous_id)
    yield _call("Shipment Created", parcel, now + timedelta(milliseconds=1))
    yield _scan(order, "picked_up", now + timedelta(milliseconds=2))


def _scan(order: Order, status: str, at: datetime, **more: str) -> Call:
    told = {"tracking_number": order.tracking_number, "status": status, "carrier": CARRIER, **more}
    return _call("Shipment Scanned", told, at)


def _phoned(order: Order, anonymous_id: str, now: datetime) -> list[Call]:
    order.cases += 1
    opened = {
        "case_id": _case(order), "channel": "phone", "topic": "delivery", "wants_person": True,
        "order_id": order.order_id, "email": order.email,
    }  # fmt: skip
    return [_call("Contact Opened", opened, now, anonymousId=anonymous_id)]


def _solved(order: Order, now: datetime) -> Iterator[Call]:
    if order.cases == 0:
        code = "no_case"
        raise TroubleError(code, "nobody called about this order yet", status=409)
    case = {"case_id": _case(order), "channel": "phone"}
    yield _call("Contact Accepted", case, now)
    yield _call("Contact Replied", {**case, "by": "agent"}, now + timedelta(milliseconds=1))
    yield _call("Contact Closed", {**case, "outcome": "solved"}, now + timedelta(milliseconds=2))


def _case(order: Order) -> str:
    return f"case-{order.order_id}-{order.cases}"
