from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain import particulars
from pathline.domain.story import OrderStory, amount, promise_end, zone_named
from tests.support.world import START, stitched, touchpoint

UTC_ZONE = ZoneInfo("UTC")
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati")
]


@pytest.mark.parametrize(
    ("told", "zone", "end"),
    [
        ("2026-01-03", "UTC", "2026-01-04T00:00:00+00:00"),
        ("2026-01-03", "Europe/Berlin", "2026-01-03T23:00:00+00:00"),
        ("2026-01-03", "America/New_York", "2026-01-04T05:00:00+00:00"),
        # The clock goes forward in that night, and back.
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00+00:00"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00+00:00"),
        # In Beirut the clock goes from 0:00 to 1:00, so that this day has no midnight.
        ("2026-03-28", "Asia/Beirut", "2026-03-28T22:00:00+00:00"),
        # Samoa slept through the 30th of December 2011.
        ("2011-12-29", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
        ("2026-01-03T10:00:00+02:00", "America/New_York", "2026-01-03T08:00:00+00:00"),
        ("2026-01-03T10:00:00Z", "America/New_York", "2026-01-03T10:00:00+00:00"),
        ("2026-01-03T10:00:00", "America/New_York", "2026-01-03T15:00:00+00:00"),
        # Half past two is told twice in that night; the first is meant.
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        ("2024-02-29", "UTC", "2024-03-01T00:00:00+00:00"),
        ("20260131", "UTC", "2026-02-01T00:00:00+00:00"),
        ("20260131T100000Z", "UTC", "2026-01-31T10:00:00+00:00"),
        ("1970-01-01T00:00:00Z", "America/New_York", "1970-01-01T00:00:00+00:00"),
        ("2199-12-31", "UTC", "2200-01-01T00:00:00+00:00"),
    ],
)
def test_a_promise_lasts_to_the_end_of_its_day_where_it_goes_or_to_its_instant(told: str, zone: str, end: str) -> None:
    assert promise_end(told, ZoneInfo(zone)) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    "told",
    [
        *(None, 5, True, [], "", "soon", "tomorrow", "2026-02-30", "20260230", "2026-13-01", "x" * 10, "2026"),
        *("9999-12-31", "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "2200-01-01"),
        *("1969-12-31T23:59:59Z", 1769817600, 1769817600000, 1769817600.5, "1769817600", "1769817600000"),
    ],
)
def test_what_is_no_promise_is_none(told: object) -> None:
    assert promise_end(told, UTC_ZONE) is None


@given(st.dates(min_value=START.date(), max_value=START.date() + timedelta(days=20_000)), st.sampled_from(ZONES))
def test_a_day_ends_where_the_next_begins_on_the_wall(day: Any, zone: ZoneInfo) -> None:
    end = promise_end(day.isoformat(), zone)
    assert end is not None and end.tzinfo is UTC
    assert end.astimezone(zone).replace(tzinfo=None) == datetime.combine(day + timedelta(days=1), time())


@pytest.mark.parametrize("name", [None, 5, "", "Nowhere", "../etc/passwd", "\0", "a" * 300, "Europe"])
def test_an_unknown_zone_is_the_fallback(name: object) -> None:
    assert zone_named(name, ZONES[1]) is ZONES[1]


@pytest.mark.parametrize(
    ("value", "sum_told"),
    [("10.50", "10.50"), (10, "10"), (0.1, "0.1"), ("-3", "-3"), ("1e2", "1E+2"), (" 4 ", "4")],
)
def test_a_sum_is_read_exactly(value: object, sum_told: str) -> None:
    assert amount(value) == Decimal(sum_told)


@pytest.mark.parametrize("value", [None, True, "", "ten", "NaN", "Infinity", float("inf"), [], {}])
def test_what_is_no_sum_is_none(value: object) -> None:
    assert amount(value) is None


Told = tuple[str, Mapping[str, str], Mapping[str, Any]]


def story(*told: Told) -> OrderStory:
    """The order 1 after these (event, things, properties), a minute apart."""
    log = [
        touchpoint(n, event=event, things=dict(things), properties=dict(properties), seconds=60 * n)
        for n, (event, things, properties) in enumerate(told)
    ]
    entities = stitched([log]).entities()
    order = next(e for e in entities.values() if e.identifier.kind == "order")
    parts = [e for e in entities.values() if e.order is not None and e.order.target == order.id]
    return OrderStory(order, parts, UTC_ZONE)


ORDER = {"order": "1"}


def placed(**properties: Any) -> Told:
    return "Order Completed", ORDER, properties


def cancelled(total: str | None = None, **more: str) -> Told:
    return "Order Cancelled", ORDER, more if total is None else {"total": total, **more}


def refunded(total: str | None = None, **more: str) -> Told:
    return "Order Refunded", ORDER, more if total is None else {"total": total, **more}


def shipped(parcel: str) -> Told:
    return "Shipment Created", {**ORDER, "parcel": parcel}, {}


def scan(status: str, parcel: str | None = None, **more: str) -> Told:
    return "Shipment Scanned", ORDER if parcel is None else {"parcel": parcel}, {"status": status, **more}


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ([placed(total="30")], None),
        ([placed(total="30"), cancelled("10")], None),
        ([placed(total="30"), cancelled("10"), cancelled("19.99")], None),
        ([placed(total="30"), cancelled("10"), cancelled("20"), cancelled("5")], 2),
        ([placed(total="30"), cancelled("31")], 1),
        ([placed(total="30"), cancelled()], 1),
        ([placed(total="30"), cancelled("10"), cancelled()], 2),
        ([placed(total="30"), cancelled("all of it")], 1),
        ([placed(), cancelled("10")], 1),
        # 30 yen are not 30 euros; a sum of no currency, or of the order's in small letters, is the order's.
        ([placed(total="30", currency="EUR"), cancelled("30", currency="JPY")], None),
        ([placed(total="30", currency="EUR"), cancelled("30", currency="JPY"), cancelled("30")], 2),
        ([placed(total="30", currency="EUR"), cancelled("30", currency="eur")], 1),
        ([placed(total="30", currency="EUR"), cancelled(currency="JPY")], 1),
        # The total was lowered later, to what had been cancelled.
        ([placed(total="30"), cancelled("10"), ("Order Updated", ORDER, {"total": "10"})], 1),
    ],
)
def test_an_order_is_given_up_once_all_of_it_is(told: list[Told], at: int | None) -> None:
    cancellation = story(*told).cancelled
    assert (cancellation and cancellation.at) == (None if at is None else minute(at))
    refunds = [refunded(**properties) if e == "Order Cancelled" else (e, t, properties) for e, t, properties in told]
    refund = story(*refunds).refunded
    assert (refund and refund.at) == (None if at is None else minute(at))


def of_products(*products: object, **more: object) -> Told:
    return "Order Refunded", ORDER, {"products": list(products), **more}


@pytest.mark.parametrize(
    ("told", "at", "so_far"),
    [
        ([placed(total="30"), of_products({"price": 10, "quantity": 2})], None, "20"),
        ([placed(total="30"), of_products({"price": "9.50"}, {"price": 10})], None, "19.50"),
        ([placed(total="30"), of_products({"price": 15, "quantity": 2})], 1, "30"),
        ([placed(total="30"), of_products({"price": 10}), refunded("20")], 2, "30"),
        # What they cost was not told: it is a part, of which nobody can say how much.
        ([placed(total="30"), of_products({"product_id": "sku-1"})], None, None),
        ([placed(total="30"), of_products({"price": 30}, {"price": "a lot"})], None, None),
        ([placed(total="30"), of_products("sku-1")], None, None),
        ([placed(total="30"), of_products(*[{"price": 1}] * 201)], None, None),
        ([placed(), of_products({"product_id": "sku-1"})], None, None),
        ([placed(total="30"), of_products({"product_id": "sku-1"}), refunded()], 2, "30"),
        # A sum that is told counts, whatever is listed; no product listed is no part.
        ([placed(total="30"), of_products({"price": 10}, total="30")], 1, "30"),
        ([placed(total="30"), of_products()], 1, "30"),
    ],
)
def test_a_refund_of_products_is_one_of_what_they_cost(told: list[Told], at: int | None, so_far: str | None) -> None:
    order = story(*told)
    refund = order.refunded
    assert (refund and refund.at) == (None if at is None else minute(at))
    parts = particulars.parts(order.order.state.marks["refunds"])
    assert particulars.sum_of(parts, order.total) == (None if so_far is None else Decimal(so_far))


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ([placed()], None),
        ([placed(), scan("delivered")], 1),
        ([placed(), shipped("p"), scan("delivered", "p")], 2),
        ([placed(), shipped("p"), shipped("q"), scan("delivered", "p")], None),
        ([placed(), shipped("p"), shipped("q"), scan("delivered", "q"), scan("delivered", "p")], 4),
        # A report that names only the order means all of it.
        ([placed(), shipped("p"), shipped("q"), scan("delivered", "p"), scan("delivered")], 4),
        # The first scan of a parcel counts, and a later one of another kind un-delivers nothing.
        ([placed(), shipped("p"), scan("delivered", "p"), scan("in_transit", "p"), scan("delivered", "p")], 2),
        # A parcel that nobody tied to the order is not of it.
        ([placed(), shipped("p"), scan("delivered", "p"), scan("exception", "stray")], 2),
    ],
)
def test_an_order_is_delivered_when_every_parcel_is(told: list[Told], at: int | None) -> None:
    delivery = story(*told).delivered
    assert (delivery and delivery.at) == (None if at is None else minute(at))


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([scan("label_created", "p"), shipped("p")], "in_transit"),
        ([("Delivery Promised", ORDER, {"promised_at": "2026-01-05"})], "known"),
        ([placed()], "placed"),
        ([placed(), shipped("p")], "shipped"),
        ([placed(), shipped("p"), scan("in_transit", "p")], "in_transit"),
        ([placed(), shipped("p"), scan("out_for_delivery", "p")], "out_for_delivery"),
        ([placed(), shipped("p"), shipped("q"), scan("out_for_delivery", "p")], "in_transit"),
        ([placed(), shipped("p"), scan("delivered", "p")], "delivered"),
        ([placed(), shipped("p"), scan("delivered", "p"), cancelled()], "cancelled"),
        ([placed(), shipped("p"), scan("delivered", "p"), refunded()], "refunded"),
        ([placed(total="30"), shipped("p"), scan("delivered", "p"), refunded("3")], "delivered"),
    ],
)
def test_one_word_for_where_it_stands(told: list[Told], status: str) -> None:
    assert story(*told).status == status


def test_the_promise_as_it_stands_and_as_it_was_first_told() -> None:
    moved = story(
        placed(promised_at="2026-01-03", delivery_zone="Europe/Berlin"),
        ("Delivery Promised", ORDER, {"promised_at": "2026-01-05"}),
    )
    assert moved.zone.key == "Europe/Berlin"
    assert moved.promised_until == datetime(2026, 1, 5, 23, tzinfo=UTC)
    assert moved.first_promised_until == datetime(2026, 1, 3, 23, tzinfo=UTC)
    assert story(placed()).promised_until is None


def test_the_last_estimate_of_any_parcel_counts() -> None:
    told = story(
        placed(),
        shipped("p"),
        shipped("q"),
        scan("in_transit", "q", estimated_at="2026-01-06"),
        scan("in_transit", "p", estimated_at="2026-01-04"),
    )
    assert told.estimated == "2026-01-04"
    assert story(placed()).estimated is None


def test_parts_stand_in_the_order_of_their_names() -> None:
    parts = story(
        placed(checkout_id="c"), shipped("q"), shipped("p"), ("Checkout Started", {**ORDER, "checkout": "c"}, {})
    )
    assert [(part.identifier.kind, part.identifier.value) for part in parts.parts] == [
        ("checkout", "c"),
        ("parcel", "p"),
        ("parcel", "q"),
    ]
    assert [part.identifier.value for part in parts.of_kind("parcel")] == ["p", "q"]
