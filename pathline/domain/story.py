"""The story of a purchase: an order with its parcels, checkouts and the rest, as detectors read it.

A story is what is judged together. Its key is the order, or the thing itself while it has no
order, or the strand of a person. Everything here is derived from facts; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pathline.domain.entities import Entity
from pathline.domain.facts import Fact

PROMISE_MOST = datetime(2200, 1, 1, tzinfo=UTC)
PROMISE_LEAST = datetime(1970, 1, 1, tzinfo=UTC)
"""Between these an instant is one that somebody can have meant; the year 1 is a field that nobody filled."""

MAX_MONEY_DIGITS = 18
"""Digits of a sum before the point and after it; 1e131071 is a number, but no money, and fills a page."""

MAX_PRODUCTS = 200
"""Listed products that are added up."""

SOME = "some"
"""In a refund: it is of listed products whose sum nobody told."""


def zone_named(name: object, fallback: ZoneInfo) -> ZoneInfo:
    """The IANA zone of that name, or the fallback where there is none such."""
    if not isinstance(name, str):
        return fallback
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return fallback


def promise_end(told: object, zone: ZoneInfo) -> datetime | None:
    """The instant until which a promise can be kept, in UTC.

    Args:
        told: a date (2026-01-31 or 20260131), meaning the end of that day where the parcel goes; or a time, whose own
            zone counts (a time without one is in `zone`). Numbers are nothing: whether of seconds or of
            milliseconds, they do not say.
        zone: the zone of the delivery.

    Returns:
        None for what is no time, and for one before PROMISE_LEAST or after PROMISE_MOST.
    """
    return _promise_end(told, zone) if isinstance(told, str) else None


@lru_cache(maxsize=16_384)  # An order's is asked for with every scan.
def _promise_end(told: str, zone: ZoneInfo) -> datetime | None:
    try:
        end = _end_of_day(told, zone) or _instant(told, zone)
    except (ValueError, OverflowError):
        return None
    return end if PROMISE_LEAST <= end <= PROMISE_MOST else None


def _end_of_day(told: str, zone: ZoneInfo) -> datetime | None:
    """The end of a date; None where it is not one, but may be a time."""
    try:
        day = date.fromisoformat(told) + timedelta(days=1)
    except ValueError:
        return None
    # Built from the wall clock and then made an instant, so that a night without a midnight is no trap.
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _instant(told: str, zone: ZoneInfo) -> datetime:
    instant = datetime.fromisoformat(told)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    return instant.astimezone(UTC)


def amount(value: object) -> Decimal | None:
    """A sum of money as sent (text or number), or None for what is no number that a sum can be."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_MONEY_DIGITS or number.adjusted() > MAX_MONEY_DIGITS:
        return None
    return number


def sum_of_products(products: object) -> Decimal | None:
    """What listed products come to, by price and quantity; None where one of them does not say its price."""
    if not isinstance(products, list) or len(products) > MAX_PRODUCTS:
        return None
    total = Decimal(0)
    for product in products:
        listed = product if isinstance(product, dict) else {}
        price, quantity = amount(listed.get("price")), amount(listed.get("quantity", 1))
        if price is None or quantity is None:
            return None
        total += price * quantity
    return total if amount(str(total)) is not None else None


def other_currency(told: object, currency: object) -> bool:
    """Whether a sum was told in another currency than this; where one of them was not told, they are the same."""
    return isinstance(told, str) and isinstance(currency, str) and told.upper() != currency.upper()


def covers_all(marks: Iterable[Fact], total: Decimal | None, currency: object = None) -> Fact | None:
    """The cancellation or refund by which the whole order was given up, or None while it was only part of it.

    One without an amount means all of it, and so does one of an order whose total nobody told. An amount in another
    currency than the order's cannot be held against its total, and covers nothing; nor does one of SOME products.
    """
    so_far = Decimal(0)
    for mark in marks:
        value = mark.value or {}
        if value.get(SOME):
            continue
        part = amount(value.get("total"))
        if part is None or total is None:
            return mark
        if other_currency(value.get("currency"), currency):
            continue
        so_far += part
        if so_far >= total:
            return mark
    return None


class OrderStory:
    """An order as it stands, with what its parcels tell. Any of its parts may still be unknown."""

    def __init__(self, order: Entity, parts: Iterable[Entity], zone: ZoneInfo) -> None:
        """Tell of `order` and its `parts`; `zone` is meant where the order does not say where it goes."""
        self.order = order
        self.parts = tuple(sorted(parts, key=lambda e: (e.identifier.kind, e.identifier.value)))
        self.zone = zone_named(order.state.value("zone"), zone)

    def of_kind(self, kind: str) -> tuple[Entity, ...]:
        """Its parcels, its checkouts, ..."""
        return tuple(part for part in self.parts if part.identifier.kind == kind)

    @property
    def total(self) -> Decimal | None:
        """What it costs, in the order's currency."""
        return amount(self.order.state.value("total"))

    @property
    def currency(self) -> str | None:
        """The currency of the total, as it was told."""
        told = self.order.state.value("currency")
        return told if isinstance(told, str) else None

    @property
    def promised_until(self) -> datetime | None:
        """The end of the promise as it stands."""
        return promise_end(self.order.state.value("promised"), self.zone)

    @property
    def first_promised_until(self) -> datetime | None:
        """The end of the promise as the customer was first told it."""
        return promise_end(self.order.state.value("promised_first"), self.zone)

    @property
    def estimated(self) -> str | None:
        """The latest estimate of any parcel, as the carrier wrote it."""
        told = [f for e in (self.order, *self.of_kind("parcel")) if (f := e.state.facts.get("estimated"))]
        value: Any = max(told, key=lambda f: (f.at, f.message_id)).value if told else None
        return value if isinstance(value, str) else None

    def reached(self, fact: str) -> Fact | None:
        """When every parcel had reached it (`delivered`, `out_for_delivery`), or the order as a whole by one report."""
        whole = self.order.state.facts.get(fact)
        parcels = [parcel.state.facts.get(fact) for parcel in self.of_kind("parcel")]
        reached = [f for f in parcels if f is not None]
        last = max(reached, key=lambda f: (f.at, f.message_id)) if parcels and len(reached) == len(parcels) else None
        known = [f for f in (whole, last) if f is not None]
        return min(known, key=lambda f: (f.at, f.message_id)) if known else None

    @property
    def delivered(self) -> Fact | None:
        """The delivery of the last parcel."""
        return self.reached("delivered")

    @property
    def cancelled(self) -> Fact | None:
        """The cancellation of the whole order; of a part of it, it is only an amount."""
        return self._covered_by("cancellations")

    @property
    def refunded(self) -> Fact | None:
        """The refund of the whole order; of a part of it, it is only an amount."""
        return self._covered_by("refunds")

    def _covered_by(self, name: str) -> Fact | None:
        marks = self.order.state.marks.get(name)
        return None if marks is None else covers_all(marks, self.total, self.currency)

    @property
    def status(self) -> str:
        """One word for where it stands; the facts stay what they are."""
        ends = (
            ("refunded", self.refunded),
            ("cancelled", self.cancelled),
            ("delivered", self.delivered),
            ("out_for_delivery", self.reached("out_for_delivery")),
            ("in_transit", any(e.state.marks.get("scans") for e in (self.order, *self.of_kind("parcel")))),
            ("shipped", self.of_kind("parcel")),
            ("placed", "placed" in self.order.state.facts),
        )
        return next((word for word, holds in ends if holds), "known")
