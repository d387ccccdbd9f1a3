"""What each offered fact is read off, so that who remembers what a detector said knows when to ask it again.

All names are of facts and marks, whichever thing of the story has them: what a parcel tells may be read of its order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pathline.domain.detectors.compiled import Detector
from pathline.domain.detectors.guards import Guard
from pathline.domain.detectors.view import CUSTOMER, OFFERED

FIRST_SEEN: Final = "first_seen_at"
"""Stands for when a thing was first seen, which is no fact but is read like one."""

EVERYWHERE: Final = frozenset({"zone"})
"""What a deadline may be counted in, whatever it is counted from."""

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

_GUARDED: Final[dict[str, tuple[str, ...] | None]] = {
    "total": ("total", "value"),
    "return_reason": ("return_requested",),
    "status": None,
    "next_attempt": None,
}
"""The same of what a guard may name and is not the fact of that name; None is anything."""


def read_off(kind: str, name: str) -> frozenset[str] | None:
    """Facts and marks of which one must be told for the offered one to be another; None where it may be any."""
    offer = OFFERED[kind][name]
    if offer.of_person:
        return frozenset(offer.of_person)
    if offer.needs is not None:
        return frozenset({offer.needs})
    told = READ_OFF.get(name)
    return None if told is None else frozenset(told)


def reads(detector: Detector) -> frozenset[str] | None:
    """Facts and marks of which one must be told for it to say something else of a thing; None where it may be any.

    Of what the customer does elsewhere nothing is here: it never makes a detector hold.
    """
    found = [read_off(kind, name) for kind in detector.kinds for name in detector.facts()]
    if detector.guard is not None:
        found += _guarded(detector.guard)
    return _together(found)


def _guarded(guard: Guard) -> Iterable[frozenset[str] | None]:
    for variable, names in guard.names.items():
        if variable != CUSTOMER:
            for name in names:
                told = _GUARDED.get(name, (name,))
                yield None if told is None else frozenset(told)


def _together(found: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    every = EVERYWHERE
    for one in found:
        if one is None:
            return None
        every |= one
    return every
