"""The events Pathline understands: who does or reports them, what they must carry.

An *act* is done by a person and belongs to the strongest identifier on it. A *report* tells what
happened to a thing and belongs to that thing. An event that is not listed is kept as an act: it
counts, and shows in the journey.
"""

from __future__ import annotations

from typing import Final, NamedTuple

CHANNELS: Final = (
    "web", "app", "store", "sales", "phone", "chat", "email", "social", "ad", "referral",
    "delivery", "payment", "survey", "server", "other",
)  # fmt: skip

_CHANNELS: Final = frozenset(CHANNELS)
_ALIASES: Final = {"mobile": "app", "browser": "web"}
"""What SDKs call our channels."""

CALL_TYPES: Final = ("identify", "track", "page", "screen", "group", "alias")

THING_PROPERTIES: Final = {
    "case": "case_id",
    "parcel": "tracking_number",
    "checkout": "checkout_id",
    "invoice": "invoice_id",
    "dispute": "dispute_id",
    "order": "order_id",
}
"""The property that names a thing of each kind."""

SHIPMENT_STATUSES: Final = frozenset(
    {
        "label_created", "picked_up", "in_transit", "out_for_delivery", "attempt_failed", "available_for_pickup",
        "delayed", "exception", "delivered", "returning", "returned", "lost", "cancelled",
    }
)  # fmt: skip


class Event(NamedTuple):
    """What is known of an event by its name."""

    required: tuple[tuple[str, ...], ...] = ()
    """Properties it must have; of each inner tuple one is enough."""
    report: bool = False
    """True when it tells what happened to a thing rather than what a person did."""
    makes: str | None = None
    """The kind of thing that this act brings into being, and so claims best."""
    channel: str | None = None
    """The channel it is on, unless the sender says otherwise."""


def _act(*required: str, makes: str | None = None, channel: str | None = None) -> Event:
    return Event(tuple((name,) for name in required), makes=makes, channel=channel)


def _report(*required: tuple[str, ...] | str, channel: str | None = None) -> Event:
    return Event(tuple((r,) if isinstance(r, str) else r for r in required), report=True, channel=channel)


VOCABULARY: Final[dict[str, Event]] = {
    "Order Completed": _act("order_id", makes="order"),
    "Order Updated": _report("order_id"),
    "Order Cancelled": _report("order_id"),
    "Order Refunded": _report("order_id"),
    "Checkout Started": _act(makes="checkout"),
    "Payment Info Entered": _act(),
    "Delivery Promised": _report("order_id", "promised_at", channel="delivery"),
    "Shipment Created": _report("order_id", "tracking_number", channel="delivery"),
    "Shipment Scanned": _report(("tracking_number", "order_id"), "status", channel="delivery"),
    "Shipment Reported": _report(("tracking_number", "order_id"), channel="delivery"),
    "Shipment Redirected": _report("tracking_number", channel="delivery"),
    "Payment Failed": _report(("order_id", "checkout_id"), channel="payment"),
    "Payment Succeeded": _report(("order_id", "checkout_id"), channel="payment"),
    "Invoice Payment Failed": _report("invoice_id", channel="payment"),
    "Invoice Paid": _report("invoice_id", channel="payment"),
    "Dispute Opened": _report("dispute_id", channel="payment"),
    "Dispute Closed": _report("dispute_id", channel="payment"),
    "Return Requested": _act("order_id"),
    "Contact Opened": _act("case_id", "channel", makes="case"),
    "Contact Replied": _act("case_id", "by"),
    "Contact Accepted": _report("case_id"),
    "Contact Closed": _report("case_id"),
    "Survey Answered": _act("survey", "score", channel="survey"),
    "Store Visited": _act(channel="store"),
    "Demo Attended": _act(channel="sales"),
    "Ad Clicked": _act(channel="ad"),
    "Referral Followed": _act(channel="referral"),
    "Social Mentioned": _act(channel="social"),
}

_FAMILIES: Final = {
    "Shipment ": Event(report=True, channel="delivery"),
    "Payment ": Event(report=True, channel="payment"),
    "Invoice ": Event(report=True, channel="payment"),
    "Dispute ": Event(report=True, channel="payment"),
    "Email ": Event(channel="email"),
}
"""What an unlisted event is by the first word of its name: a carrier's own `Shipment Weighed` is still a report."""

_UNKNOWN: Final = Event()


def channel_of(told: object) -> str | None:
    """The channel that is meant by a word as it was sent, whatever its case; None for none of CHANNELS."""
    if not isinstance(told, str):
        return None
    word = told.lower()
    channel = _ALIASES.get(word, word)
    return channel if channel in _CHANNELS else None


def event_of(name: str) -> Event:
    """What is known of the event of this name; an unknown one is an act without demands."""
    known = VOCABULARY.get(name)
    if known is not None:
        return known
    space = name.find(" ") + 1
    return _FAMILIES.get(name[:space], _UNKNOWN) if space else _UNKNOWN


def is_report(event: str, by: object = None) -> bool:
    """Whether a track call of this name is a report.

    Args:
        event: the event's name.
        by: its property `by`; a reply is an act when the customer wrote it, else a report.
    """
    if event == "Contact Replied":
        return by != "customer"
    return event_of(event).report
