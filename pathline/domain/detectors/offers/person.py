"""What is offered of a person: of the customer, under one identifier, and of what they did last, their session.

A session is no row. What visitors run into are marks on their strand; all of these together, cut where nothing
happened for half an hour, are its sessions, and the last of them is the one that a detector looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pathline.domain.detectors.offers.contact import FOLLOW_UPS
from pathline.domain.detectors.offers.offer import (
    Instant,
    Offer,
    Offers,
    Own,
    attribute,
    in_order,
    instant_of,
    key,
    own_marks,
)
from pathline.domain.facts import Fact
from pathline.domain.visits import grouped

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View
    from pathline.domain.facts import State

SESSION_MARKS: Final = ("views", "searches", "coupons", "errors", "rage_clicks", "dead_clicks", "reloads", "progress")
"""What a session is made of, as far as it is known. Each of these extends it, so each of them is judged."""


def last_session(state: State) -> list[Fact]:
    """What happened in the last session, oldest first."""
    marks = in_order(mark for name in SESSION_MARKS for mark in state.marks.get(name, ()))
    return grouped(marks)[-1] if marks else []


class _InSession(Own):
    def __call__(self, view: View) -> tuple[Fact, ...]:
        marks = view.state.marks.get(self.name, ())
        if not marks:
            return ()
        began = key(view.last_session[0])
        return tuple(mark for mark in marks if key(mark) >= began)


def _last_act(view: View) -> Instant | None:
    return instant_of(view.last_session[-1]) if view.last_session else None


def _marks(words: str, name: str) -> Offer:
    return Offer("marks", f"in the last session: {words}", _InSession(name), of_person=SESSION_MARKS)


def _views(view: View) -> tuple[Fact, ...]:
    """Products viewed, told apart by currency too: a price in another one is not another price."""
    return tuple(
        Fact(mark.at, mark.message_id, {**mark.value, "product": product}, mark.imported_at)
        for mark in view.state.marks.get("views", ())
        if (product := _product(mark)) is not None
    )


def _product(mark: Fact) -> str | None:
    product = attribute(mark, "product_id")
    return None if product is None else f"{product} {attribute(mark, 'currency') or ''}".strip()


def _purchases(view: View) -> tuple[Fact, ...]:
    placed = (order.state.facts.get("placed") for order in view.customer.orders)
    return in_order(told for told in placed if told is not None)


SESSION: Final[Offers] = {
    "last_act": Offer("instant", "the last that is known of the last session", _last_act, of_person=SESSION_MARKS),
    "views": _marks("products viewed; `product_id`, `price`, `currency`", "views"),
    "searches": _marks("searches; `results` is how many were found", "searches"),
    "coupons": _marks("coupons; `outcome` is denied or applied", "coupons"),
    "errors": _marks(
        "errors shown; `message_code`, `page`, `during`, and `after_ms`, so long after an action", "errors"
    ),
    "rage_clicks": _marks("bursts of clicks on one place; `element`, `count`", "rage_clicks"),
    "dead_clicks": _marks("clicks that nothing came of; `element`", "dead_clicks"),
    "reloads": _marks("pages loaded again; `page`", "reloads"),
    "progress": _marks("steps ahead; `step`, from putting into the cart to ordering", "progress"),
}

CUSTOMER: Final[Offers] = {
    "surveys": Offer(
        "marks",
        "answers to surveys that name no case and no order",
        own_marks("surveys"),
        of_person=("surveys",),
    ),
    "views": Offer(
        "marks",
        "products viewed; `price`, and `product`, which is its id and the currency",
        _views,
        of_person=("views",),
    ),
    "purchases": Offer("marks", "orders of the customer", _purchases, of_customer=True, told_by=("Order Completed",)),
    "follow_ups": FOLLOW_UPS,
}
