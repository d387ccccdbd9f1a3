"""What carriers tell of a parcel, or of an order whose parcels nobody named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pathline.domain.detectors.offers.offer import (
    Instant,
    Offer,
    Offers,
    Read,
    attribute,
    fact,
    first,
    instant_of,
    last,
    own_marks,
)
from pathline.domain.facts import Fact, State
from pathline.domain.story import promise_end

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View

_NO_MOVEMENT: Final = frozenset({"label_created", "cancelled"})
"""Scans that say nothing of a carrier who has it."""

BACKWARDS: Final = ("returning", "returned")
"""Scans of one that is on its way back, or is back."""

SCANS: Final = Offer(
    "marks", "scans that name it, and for an order no parcel; `status` as reported", own_marks("scans")
)


def states_of(view: View) -> list[State]:
    """Where scans of it are kept: a report that names only the order means every parcel of it."""
    if view.kind == "order":
        return [view.state, *(parcel.state for parcel in view.story.of_kind("parcel"))]
    return [view.state] if view.story.order is None else [view.state, view.story.order.state]


def scanned(states: Iterable[State], *statuses: str) -> list[Fact]:
    """The scans of one of these statuses."""
    return [s for state in states for s in state.marks.get("scans", ()) if attribute(s, "status") in statuses]


def moved(states: Iterable[State]) -> Fact | None:
    """The first scan by which a carrier had it."""
    scans = (scan for state in states for scan in state.marks.get("scans", ()))
    return first(scan for scan in scans if attribute(scan, "status") not in _NO_MOVEMENT)


def _first_of(*statuses: str) -> Read:
    return lambda view: instant_of(first(scanned(states_of(view), *statuses)))


def _dispatched(view: View) -> Instant | None:
    return instant_of(moved(states_of(view)))


def _tracked(view: View) -> list[State]:
    """The states whose scans are its own way: none of an order that has parcels, each of which has its own."""
    return [] if view.kind == "order" and view.story.of_kind("parcel") else states_of(view)


def _last_scan(view: View) -> Instant | None:
    return instant_of(last(scan for state in _tracked(view) for scan in state.marks.get("scans", ())))


def _last_news(view: View) -> Instant | None:
    told = [state.facts.get(name) for state in _tracked(view) for name in ("created", "estimated", "redirected")]
    scans = [scan for state in _tracked(view) for scan in state.marks.get("scans", ())]
    return instant_of(last([*told, *scans]))


def _available(view: View) -> Instant | None:
    return instant_of(first(scanned(_tracked(view), "available_for_pickup")))


def _labelled(view: View) -> Instant | None:
    return instant_of(first([view.state.facts.get("created"), *scanned([view.state], "label_created")]))


def _reached(name: str) -> Read:
    """Of a parcel: by its own scan, or by a report that names only the order and so means all of it."""
    return lambda view: instant_of(first(state.facts.get(name) for state in states_of(view)))


def _cancelled(view: View) -> Instant | None:
    purchase = view.story.purchase
    of_order = None if purchase is None else purchase.cancelled
    return instant_of(first([of_order, *scanned([view.state], "cancelled")]))


def _refunded(view: View) -> Instant | None:
    return None if view.story.purchase is None else instant_of(view.story.purchase.refunded)


def _end_of(view: View, name: str) -> Instant | None:
    """The end of the day, or the time, that a fact of it tells, where it goes."""
    told = view.state.facts.get(name)
    until = None if told is None else promise_end(told.value, view.story.zone)
    return None if until is None or told is None else Instant(until, (told.message_id,), told.imported_at)


def until(name: str) -> Read:
    """The end of what the fact of that name tells."""
    return lambda view: _end_of(view, name)


def _promised_until(view: View) -> Instant | None:
    """Of a parcel: the promise of its order."""
    order, purchase = view.story.order, view.story.purchase
    told = None if order is None else order.state.facts.get("promised")
    end = None if purchase is None else purchase.promised_until
    return None if told is None or end is None else Instant(end, (told.message_id,), told.imported_at)


TRACKED: Final[Offers] = {
    "promised_until": Offer(
        "instant", "the end of the promise as it stands, of a parcel that of its order", _promised_until
    ),
    "estimated": Offer("instant", "the carrier last told an estimate", fact("estimated")),
    "estimated_until": Offer("instant", "the end of the last estimate", until("estimated")),
    "first_estimated_until": Offer("instant", "the end of the first estimate", until("estimated_first")),
    "dispatched": Offer("instant", "the first scan by which a carrier had it, or any parcel of it", _dispatched),
    "last_scan": Offer("instant", "the last scan; of an order only while no parcel of it is known", _last_scan),
    "last_news": Offer(
        "instant",
        "the last scan, estimate, label or redirection; of an order while no parcel of it is known",
        _last_news,
    ),
    "available_for_pickup": Offer(
        "instant", "it could first be fetched; of an order only while no parcel of it is known", _available
    ),
    "sent_back": Offer(
        "instant", "it, or any parcel of it, was first on its way back, or was back", _first_of(*BACKWARDS)
    ),
    "came_back": Offer("instant", "it, or any parcel of it, was first back", _first_of("returned")),
    "scans": SCANS,
}
"""What a parcel offers, and an order too."""

PARCEL: Final[Offers] = {
    "created": Offer("instant", "its label was made", fact("created")),
    "labelled": Offer("instant", "its label was made, by the first report or scan that says so", _labelled),
    **TRACKED,
    "out_for_delivery": Offer("instant", "it was out for delivery", _reached("out_for_delivery")),
    "delivered": Offer("instant", "it was delivered", _reached("delivered")),
    "cancelled": Offer("instant", "its shipment was cancelled, or its whole order was", _cancelled),
    "refunded": Offer("instant", "its whole order was refunded", _refunded),
}
