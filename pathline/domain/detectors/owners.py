"""What detectors ask of the customer who owns a thing, read off what they bought and what was told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from pathline.domain import relation
from pathline.domain.detectors.view import Customer
from pathline.domain.entities import Entity
from pathline.domain.facts import State
from pathline.domain.story import OrderStory

RELATION_EVENTS: Final = frozenset({"Order Cancelled"})
"""Events after which a customer may be of other segments though nobody told a trait: one who returned may be new."""

BUSINESS: Final = "business"

_UTC: Final = ZoneInfo("UTC")
"""Whether an order was placed and given up does not hang on where it goes."""


def customer_of(owned: Iterable[Entity], strands: Iterable[State], *, named: bool) -> Customer:
    """The customer who owns these things.

    Args:
        owned: their things.
        strands: what is known of them under each of their identifiers.
        named: whether a user_id, an email or a phone is known.
    """
    things, states = list(owned), list(strands)
    orders = tuple(one for one in things if one.identifier.kind == "order")
    segments = _segments(states)
    switched_from, of_type = (relation.last_told(states, name) for name in ("switched_from", "customer_type"))
    kind = relation.customer_type(
        None if of_type is None else of_type.value,
        accounts=any(state.marks.get("accounts") for state in states),
        identified=named,
    )
    kept = relation.relation(
        relation.purchases(OrderStory(order, (), _UTC) for order in orders),
        switching=switched_from is not None or relation.SWITCHING in segments,
    )
    if kind == BUSINESS:
        segments.add(BUSINESS)
    if kept == relation.SWITCHING:
        segments.add(relation.SWITCHING)
    cases = tuple(one for one in things if one.identifier.kind == "case")
    return Customer(named, orders, cases, frozenset(segments), kept, kind)


def _segments(states: Sequence[State]) -> set[str]:
    told = relation.last_told(states, "segments")
    return set() if told is None else {str(one).lower() for one in told.value}
