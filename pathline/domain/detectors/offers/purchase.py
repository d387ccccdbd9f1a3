"""What is offered of orders and checkouts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pathline.domain.detectors.offers import refund
from pathline.domain.detectors.offers.contact import FOLLOW_UPS
from pathline.domain.detectors.offers.offer import (
    PAYMENTS,
    SURVEYS,
    Instant,
    Offer,
    Offers,
    Read,
    attribute,
    fact,
    first,
    in_order,
    instant_of,
    own_marks,
)
from pathline.domain.detectors.offers.shipping import TRACKED, until
from pathline.domain.facts import Fact

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View


def _end(until: datetime | None, told: Fact | None) -> Instant | None:
    """The end of a promise, and what told it."""
    return None if until is None or told is None else Instant(until, (told.message_id,), told.imported_at)


def _first_promised_until(view: View) -> Instant | None:
    purchase = view.story.purchase
    return None if purchase is None else _end(purchase.first_promised_until, view.state.facts.get("promised_first"))


def _reached(name: str) -> Read:
    return lambda view: None if view.story.purchase is None else instant_of(view.story.purchase.reached(name))


def _cancelled(view: View) -> Instant | None:
    return None if view.story.purchase is None else instant_of(view.story.purchase.cancelled)


def _refunded(view: View) -> Instant | None:
    return None if view.story.purchase is None else instant_of(view.story.purchase.refunded)


def _refund_owed(view: View) -> Instant | None:
    return instant_of(refund.owed_since(refund.debts(view, _purchase_payments)))


def _repaid(view: View) -> Instant | None:
    return instant_of(refund.settled(refund.debts(view, _purchase_payments)))


def _purchase_payments(view: View) -> tuple[Fact, ...]:
    """Its own payments; of a checkout also those of its order, of an order also those of its checkouts."""
    order = view.story.order
    others = view.story.of_kind("checkout") if view.kind == "order" else (order,) if order else ()
    facts = [*view.state.marks.get("payments", ())]
    for other in others:
        facts += other.state.marks.get("payments", ())
    return in_order(facts)


def _paid(view: View) -> Instant | None:
    """The first payment that succeeded; where nobody tells of payments, the order itself."""
    payments = _purchase_payments(view)
    if not payments:
        return instant_of(view.state.facts.get("placed"))
    return instant_of(first(one for one in payments if attribute(one, "outcome") == "succeeded"))


def _ordered(view: View) -> Instant | None:
    """The order that a checkout became: its own, or one that its customer placed at or after it started."""
    told = [view.state.facts.get("completed")]
    if view.story.order is not None:
        told.append(view.story.order.state.facts.get("placed"))
    started = view.state.at("started")
    if started is not None:
        placed = (order.state.facts.get("placed") for order in view.customer.orders)
        told += [one for one in placed if one is not None and one.at >= started]
    return instant_of(first(told))


def _contactable(view: View) -> Instant | None:
    seen = view.state.first_seen_at or view.state.at("active")
    return Instant(seen) if view.customer.named and seen is not None else None


_PURCHASE_PAYMENTS: Final = Offer(
    "marks", "payments of the purchase: its own, and those of its order or its checkouts", _purchase_payments
)

ORDER: Final[Offers] = {
    "placed": Offer("instant", "the order was completed", fact("placed")),
    "paid": Offer(
        "instant", "a payment of the purchase succeeded; where none was told of at all, the order was completed", _paid
    ),
    "ship_by": Offer("instant", "the end of the day, or the time, by which it should be shipped", until("ship_by")),
    "first_promised_until": Offer("instant", "the end of the promise as first told", _first_promised_until),
    "out_for_delivery": Offer("instant", "all of it was out for delivery", _reached("out_for_delivery")),
    "delivered": Offer("instant", "all of it was delivered", _reached("delivered")),
    "cancelled": Offer("instant", "the whole order was cancelled", _cancelled),
    "refunded": Offer("instant", "the whole order was refunded", _refunded),
    "return_requested": Offer("instant", "the customer asked to return it, and said why", fact("return_requested")),
    "refund_owed": Offer(
        "instant",
        "the order or a part of it was cancelled, or a parcel came back: the first of these not paid back",
        _refund_owed,
    ),
    "repaid": Offer("instant", "all that was owed of it was paid back", _repaid),
    **TRACKED,
    "payments": PAYMENTS,
    "purchase_payments": _PURCHASE_PAYMENTS,
    "returns": Offer("marks", "requests to return it; `reason` as told", own_marks("returns")),
    "surveys": SURVEYS,
    "follow_ups": FOLLOW_UPS,
}

CHECKOUT: Final[Offers] = {
    "started": Offer("instant", "the checkout was started", fact("started")),
    "active": Offer("instant", "the last touchpoint that named it", fact("active")),
    "payment_entered": Offer("instant", "how to pay was last entered", fact("payment_entered")),
    "ordered": Offer(
        "instant",
        "it became an order, or its customer placed one since it started",
        _ordered,
        of_customer=True,
        told_by=("Order Completed",),
    ),
    "contactable": Offer(
        "instant",
        "known from the start where its owner has a user_id, email or phone",
        _contactable,
        of_customer=True,
    ),
    "steps": Offer("marks", "its steps; `step`, and `outcome` is viewed or completed", own_marks("steps")),
    "payments": PAYMENTS,
    "purchase_payments": _PURCHASE_PAYMENTS,
}
