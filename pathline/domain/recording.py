"""Which facts each event tells, and of what: touchpoints.md as a table.

A `Told` line reads: from this property, tell these facts of the thing of this kind. Where the kind
is a tuple, the first one the touchpoint names is meant; `PERSON` means the strand of the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pathline.domain.facts import MAX_TEXT, Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.story import SOME, promise_end, sum_of_products
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import channel_of

PERSON: Final = "person"


class Told(NamedTuple):
    """A fact that an event tells when it has the property, or always where `prop` is None."""

    of: tuple[str, ...]
    facts: tuple[str, ...]
    prop: str | None = None


class Marked(NamedTuple):
    """A mark that an event adds to a bounded set; its value is these properties, and the constants."""

    of: tuple[str, ...]
    mark: str
    props: tuple[str, ...] = ()
    constants: Mapping[str, str] = {}
    needed: bool = False
    """Whether it takes one of the properties: without any, or where it is false, there is no mark."""
    listed: bool = False
    """Whether products that are listed say how much of the order it is, where no sum is told."""


_ORDER: Final = ("order",)
_CHECKOUT: Final = ("checkout",)
_PARCEL: Final = ("parcel",)
_SHIPPED: Final = ("parcel", "order")
_PAID: Final = ("checkout", "order")
_CASE: Final = ("case",)
_INVOICE: Final = ("invoice",)
_DISPUTE: Final = ("dispute",)
_ASKED: Final = ("case", "order", PERSON)
_VISITOR: Final = (PERSON,)
_PRODUCT: Final = ("product_id", "price", "currency")
_MONEY: Final = ("amount", "currency", "code", "decline_code", "attempt")

_PROMISE: Final = (
    Told(_ORDER, ("promised", "promised_first"), "promised_at"),
    Marked(_ORDER, "promises", ("promised_at",), needed=True),
    Told(_ORDER, ("zone",), "delivery_zone"),
)
_ESTIMATE: Final = (
    Told(_SHIPPED, ("estimated", "estimated_first"), "estimated_at"),
    Told(_SHIPPED, ("carrier",), "carrier"),
)
_REQUEST: Final = Marked(_CASE, "requests", ("wants_person",), needed=True)
_TOTAL: Final = (Told(_ORDER, ("total",), "total"), Told(_ORDER, ("currency",), "currency"))


def _went_on(step: str) -> Marked:
    """A step ahead: whoever takes it got over what was in the way."""
    return Marked(_VISITOR, "progress", (), {"step": step})


RECORDING: Final[dict[str, tuple[Told | Marked, ...]]] = {
    "Order Completed": (
        Told(_ORDER, ("placed",)),
        Told(_CHECKOUT, ("completed",)),
        _went_on("ordered"),
        *_TOTAL,
        *_PROMISE,
        Told(_ORDER, ("ship_by",), "ship_by"),
        Told(_ORDER, ("delivery_method",), "delivery_method"),
        Told(_ORDER, ("payment_method",), "payment_method"),
    ),
    "Order Updated": (*_TOTAL, *_PROMISE),
    "Order Cancelled": (Marked(_ORDER, "cancellations", ("total", "currency")),),
    "Order Refunded": (Marked(_ORDER, "refunds", ("total", "currency"), listed=True),),
    "Delivery Promised": _PROMISE,
    "Shipment Created": (Told(_PARCEL, ("created",)), *_ESTIMATE, *_PROMISE),
    "Shipment Scanned": (
        Told(_SHIPPED, ("status",), "status"),
        Marked(_SHIPPED, "scans", ("status", "location", "reason", "carrier_status")),
        *_ESTIMATE,
    ),
    "Shipment Reported": _ESTIMATE,
    "Shipment Redirected": (Told(_PARCEL, ("redirected",), "to"), Marked(_PARCEL, "redirects", ("to",))),
    "Payment Failed": (Marked(_PAID, "payments", _MONEY, {"outcome": "failed"}),),
    "Payment Succeeded": (Marked(_PAID, "payments", _MONEY, {"outcome": "succeeded"}),),
    "Invoice Payment Failed": (
        Marked(_INVOICE, "payments", _MONEY, {"outcome": "failed"}),
        Told(_INVOICE, ("next_attempt",), "next_attempt_at"),
    ),
    "Invoice Paid": (Marked(_INVOICE, "payments", _MONEY, {"outcome": "succeeded"}),),
    "Dispute Opened": (
        Told(_DISPUTE, ("opened",)),
        Told(_DISPUTE, ("reason",), "reason"),
        Told(_DISPUTE, ("total",), "amount"),
        Told(_DISPUTE, ("currency",), "currency"),
    ),
    "Dispute Closed": (Told(_DISPUTE, ("closed",)), Told(_DISPUTE, ("outcome",), "outcome")),
    "Return Requested": (Told(_ORDER, ("return_requested",), "reason"), Marked(_ORDER, "returns", ("reason",))),
    "Checkout Started": (
        Told(_CHECKOUT, ("started",)),
        Told(_CHECKOUT, ("value",), "value"),
        Told(_CHECKOUT, ("total",), "total"),
        Told(_CHECKOUT, ("currency",), "currency"),
        _went_on("checkout started"),
    ),
    "Payment Info Entered": (Told(_CHECKOUT, ("payment_entered",)),),
    "Checkout Step Viewed": (Marked(_CHECKOUT, "steps", ("step",), {"outcome": "viewed"}),),
    "Checkout Step Completed": (
        Marked(_CHECKOUT, "steps", ("step",), {"outcome": "completed"}),
        _went_on("checkout step completed"),
    ),
    "Contact Opened": (
        Told(_CASE, ("opened",)),
        Told(_CASE, ("channel",), "channel"),
        Told(_CASE, ("topic",), "topic"),
        Told(_CASE, ("person_wanted",), "wants_person"),
        _REQUEST,
        Told(_CASE, ("sentiment",), "sentiment"),
    ),
    "Contact Replied": (Marked(_CASE, "replies", ("by", "channel")), _REQUEST),
    "Contact Accepted": (Told(_CASE, ("accepted",)), Marked(_CASE, "acceptances")),
    "Contact Closed": (Told(_CASE, ("closed",)), Told(_CASE, ("outcome",), "outcome")),
    "Survey Answered": (Marked(_ASKED, "surveys", ("survey", "score", "scale")),),
    "Product Added": (_went_on("product added"),),
    "Product Viewed": (Marked(_VISITOR, "views", _PRODUCT),),
    "Products Searched": (Marked(_VISITOR, "searches", ("results",)),),
    "Coupon Denied": (Marked(_VISITOR, "coupons", ("reason",), {"outcome": "denied"}),),
    "Coupon Applied": (Marked(_VISITOR, "coupons", (), {"outcome": "applied"}),),
    "Error Shown": (Marked(_VISITOR, "errors", ("message_code", "page", "during", "after_ms")),),
    "Rage Clicked": (Marked(_VISITOR, "rage_clicks", ("element", "count", "seconds")),),
    "Dead Clicked": (Marked(_VISITOR, "dead_clicks", ("element", "count")),),
    "Page Reloaded": (Marked(_VISITOR, "reloads", ("page",)),),
}

TIMES: Final = frozenset({"promised_at", "estimated_at", "ship_by", "next_attempt_at"})
"""Properties that are a date or a time; what is neither tells nothing, and so replaces no good one."""

_SENT_FROM: Final = frozenset({"web", "app", "server", "other"})
"""Channels that a call may have because of what sent it."""

_UTC: Final = ZoneInfo("UTC")

_REACHED: Final = {"delivered": "delivered", "out_for_delivery": "out_for_delivery"}
"""Scan statuses that are facts of their own: the earliest scan of each counts, and no later one undoes it."""


def scalar(value: Any) -> str | int | float | bool | None:
    """A value as a fact may keep it: a scalar, cut to MAX_TEXT; None for what is not one."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return value if isinstance(value, int | float) else None


def fact_of(touchpoint: Touchpoint, value: Any = None) -> Fact:
    """What a touchpoint tells as a fact, of its own time."""
    imported_at = touchpoint.received_at if touchpoint.historical else None
    return Fact(touchpoint.occurred_at, touchpoint.message_id, value, imported_at)


def told_of(touchpoint: Touchpoint, prop: str) -> str | int | float | bool | None:
    """What it tells by this property, as a fact may keep it; None for nothing, and for a time that is none."""
    if prop == "channel":
        return _channel(touchpoint)
    value = scalar(touchpoint.properties.get(prop))
    return None if prop in TIMES and promise_end(value, _UTC) is None else value


def _channel(touchpoint: Touchpoint) -> str | int | float | bool | None:
    """On which channel it was said. Where no property says so it is the call's, if that is more than what sent it.

    An agent's tool is a server, and a chat stands on a page: neither is another channel than that of the case.
    """
    told = scalar(touchpoint.properties.get("channel"))
    return told if channel_of(told) is not None or touchpoint.channel in _SENT_FROM else touchpoint.channel


def target_of(touchpoint: Touchpoint, kinds: Iterable[str]) -> Identifier | None:
    """The first of these that the touchpoint names."""
    for kind in kinds:
        if kind == PERSON:
            return touchpoint.people[0] if touchpoint.people else None
        thing = touchpoint.named(kind)
        if thing is not None:
            return thing
    return None


def record(touchpoint: Touchpoint, state_of: Mapping[Identifier, State]) -> None:
    """Tell the facts of one touchpoint.

    Args:
        touchpoint: a new one.
        state_of: gives the state to be told, for any name the touchpoint carries (a defaulting mapping).
    """
    for line in RECORDING.get(touchpoint.event, ()) if touchpoint.type == "track" else ():
        target = target_of(touchpoint, line.of)
        if target is None:
            continue
        if isinstance(line, Told):
            _tell(touchpoint, line, state_of[target])
        else:
            _mark(touchpoint, line, state_of[target])
    if touchpoint.event == "Shipment Scanned":
        reached = _REACHED.get(str(touchpoint.properties.get("status")))
        target = target_of(touchpoint, _SHIPPED)
        if reached and target:
            state_of[target].tell(reached, fact_of(touchpoint))
    checkout = touchpoint.named("checkout")
    if checkout is not None:
        state_of[checkout].tell("active", fact_of(touchpoint))
    if touchpoint.people and not touchpoint.report:
        _record_person(touchpoint, state_of[touchpoint.people[0]])


def _tell(touchpoint: Touchpoint, line: Told, state: State) -> None:
    value = told_of(touchpoint, line.prop) if line.prop else None
    if line.prop is not None and (value is None or value is False or value == ""):
        return
    for name in line.facts:
        state.tell(name, fact_of(touchpoint, value))


def _mark(touchpoint: Touchpoint, line: Marked, state: State) -> None:
    value: dict[str, Any] = {**line.constants}
    for prop in line.props:
        told = told_of(touchpoint, prop)
        if told not in {None, ""} and not (line.needed and told is False):
            value[prop] = told
    if line.needed and len(value) == len(line.constants):
        return
    if line.listed and "total" not in value and touchpoint.properties.get("products"):
        # A refund of some products is one of a part, also where nobody told what they cost.
        sum_ = sum_of_products(touchpoint.properties["products"])
        value |= {SOME: True} if sum_ is None else {"total": str(sum_)}
    state.mark(line.mark, fact_of(touchpoint, value))


def _record_person(touchpoint: Touchpoint, state: State) -> None:
    traits = touchpoint.traits
    if traits:
        name = scalar(traits.get("name")) or " ".join(
            str(traits[part]) for part in ("first_name", "firstName", "last_name", "lastName") if traits.get(part)
        )
        if name:
            state.tell("name", fact_of(touchpoint, str(name)[:MAX_TEXT]))
        segments = traits.get("segments", traits.get("segment"))
        if segments:
            listed = segments if isinstance(segments, list) else [segments]
            texts = sorted({str(scalar(s)) for s in listed[:MAX_SEGMENTS]})
            state.tell("segments", fact_of(touchpoint, texts))
        for trait in PERSONAL:
            told = scalar(traits.get(trait))
            if told:
                state.tell(trait, fact_of(touchpoint, told))
    if touchpoint.account is not None:
        state.mark("accounts", fact_of(touchpoint, {"account": touchpoint.account}))


MAX_SEGMENTS: Final = 20
"""Segments kept of a person."""

PERSONAL: Final = ("customer_type", "switched_from")
"""Traits that are facts by their own name: `consumer` or `business`, and the competitor that a customer comes from."""
