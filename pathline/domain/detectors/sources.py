"""What each offered fact is read off: by which it is another one, and without which it tells nothing.

All names are of facts and marks, whichever thing of the story has them: what a parcel tells may be read of its order.
"""

from __future__ import annotations

from typing import Final

from pathline.domain.detectors.view import OFFERED

FIRST_SEEN: Final = "first_seen_at"
"""Stands for when a thing was first seen, which is no fact but is read like one."""

_DEBTS: Final = ("cancellations", "scans", "refunds", "payments", "total", "currency", "return_requested")
_WORDS: Final = ("opened", "channel", "replies", "topic", "closed")

READ_OFF: Final[dict[str, tuple[str, ...]]] = {
    "promised_until": ("promised",),
    "first_promised_until": ("promised_first",),
    "estimated_until": ("estimated",),
    "first_estimated_until": ("estimated_first",),
    "ship_by": ("ship_by",),
    "dispatched": ("scans",),
    "last_scan": ("scans",),
    "last_news": ("scans", "created", "estimated", "redirected"),
    "available_for_pickup": ("scans",),
    "sent_back": ("scans",),
    "came_back": ("scans",),
    "labelled": ("created", "scans"),
    "out_for_delivery": ("out_for_delivery",),
    "delivered": ("delivered",),
    "order_delivered": ("delivered",),
    "cancelled": ("cancellations", "total", "currency", "scans"),
    "refunded": ("refunds", "total", "currency"),
    "paid": ("payments", "placed"),
    "refund_owed": _DEBTS,
    "repaid": _DEBTS,
    "purchase_payments": ("payments",),
    "ordered": ("completed", "placed", "started"),
    "contactable": (FIRST_SEEN, "active"),
    "follow_ups": ("replies", "closed"),
    "answers": ("replies", "closed"),
    "agent_replied": ("replies",),
    "words": _WORDS,
    "issue_words": _WORDS,
    "requests": ("requests", "person_wanted"),
    "acceptances": ("acceptances", "accepted"),
    "openings": ("opened", "channel", "sentiment", "topic"),
    "closed_before": ("opened", "topic", "closed"),
    "purchases": ("placed",),
}
"""Of facts that are more than one of the thing itself. What is missing here is read off anything."""

_BEGUN_BY: Final[dict[str, frozenset[str]]] = {"refund_owed": frozenset({"cancellations", "scans"})}
"""Of what is read off more than begins it: one of these must be there."""


def read_off(kind: str, name: str) -> frozenset[str] | None:
    """Facts and marks of which one must be told for the offered one to be another; None where it may be any."""
    offer = OFFERED[kind][name]
    if offer.of_person:
        return frozenset(offer.of_person)
    if offer.needs is not None:
        return frozenset({offer.needs})
    told = READ_OFF.get(name)
    return None if told is None else frozenset(told)


def is_missing(kind: str, told: frozenset[str], around: frozenset[str], name: str) -> bool:
    """Whether the offered fact tells nothing for certain.

    Args:
        kind: of what it is asked.
        told: names of the facts and marks that the thing itself has.
        around: the same of all that is in its story.
        name: the fact.
    """
    offer = OFFERED[kind][name]
    if offer.needs is not None:
        return offer.needs not in told
    if offer.of_customer or offer.told_by:
        return False
    sources = _BEGUN_BY.get(name) or read_off(kind, name)
    return sources is not None and FIRST_SEEN not in sources and sources.isdisjoint(around)
