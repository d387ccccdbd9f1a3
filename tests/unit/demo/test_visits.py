"""A visitor's purchase as the shop's servers tell it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pathline.contracts import accepted, reading
from pathline.demo.visits import (
    ITEMS_MAX,
    ORDERS_MAX,
    PROMISE,
    TOLD_MAX,
    VISITS_MAX,
    Call,
    Order,
    Purchase,
    TroubleError,
    Visits,
    What,
)
from pathline.domain.vocabulary import event_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WHO = "visitor-1"


def purchase(checkout: str = "co-1", *, items: tuple[str, ...] = ("LAM-01", "LAM-02"), fail: bool = False) -> Purchase:
    return Purchase(WHO, checkout, "me@example.com", items, fail)


def bought(visits: Visits, checkout: str = "co-1") -> tuple[Order, list[Call]]:
    order, calls = visits.pay(purchase(checkout), NOW)
    assert order is not None
    return order, calls


def events(calls: list[Call]) -> list[str]:
    for call in calls:
        for names in event_of(call["event"]).required:
            assert any(name in call["properties"] for name in names)
        record = accepted.encode(
            msgspec.json.encode(call), source="s", namespace="n", trusted=True, library="server", received_at=NOW,
            occurred_at=NOW, message_id=call["messageId"],
        )  # fmt: skip
        assert reading.to_touchpoint(accepted.decode(record)).subject is not None
    assert len({call["messageId"] for call in calls}) == len(calls)
    return [call["event"] for call in calls]


def test_a_failed_payment_then_an_order_with_a_promise_of_a_minute() -> None:
    visits = Visits("r-")
    order, calls = visits.pay(purchase(fail=True), NOW)
    assert order is None and events(calls) == ["Payment Failed"]
    assert calls[0]["properties"]["attempt"] == 1
    order, calls = bought(visits)
    assert events(calls) == ["Payment Succeeded", "Order Completed", "Shipment Created", "Shipment Scanned"]
    assert calls[0]["properties"]["attempt"] == 2
    completed = calls[1]
    assert completed["anonymousId"] == WHO and completed["properties"]["email"] == "me@example.com"
    assert completed["properties"]["total"] == order.total == "106.80"
    assert datetime.fromisoformat(completed["properties"]["promised_at"]) == NOW + PROMISE == order.promised_at


@pytest.mark.parametrize(
    ("what", "told", "status"),
    [
        ("late", ["Shipment Scanned"], "delayed"),
        ("lost", ["Shipment Scanned"], "lost"),
        ("delivered", ["Shipment Scanned", "Shipment Scanned"], "delivered"),
        ("call", ["Contact Opened"], None),
    ],
)
def test_a_button_tells_what_it_says(what: What, told: list[str], status: str | None) -> None:
    visits = Visits("r-")
    order, _ = bought(visits)
    calls = visits.tell(WHO, order.order_id, what, NOW + timedelta(seconds=9))
    assert events(calls) == told
    assert calls[-1]["properties"].get("status") == status


def test_support_solves_the_case_that_was_opened_last() -> None:
    visits = Visits("r-")
    order, _ = bought(visits)
    with pytest.raises(TroubleError) as none:
        visits.tell(WHO, order.order_id, "solved", NOW)
    assert none.value.code == "no_case"
    visits.tell(WHO, order.order_id, "call", NOW)
    (opened,) = visits.tell(WHO, order.order_id, "call", NOW)
    calls = visits.tell(WHO, order.order_id, "solved", NOW)
    assert events(calls) == ["Contact Accepted", "Contact Replied", "Contact Closed"]
    assert {call["properties"]["case_id"] for call in calls} == {opened["properties"]["case_id"]}


def test_orders_of_two_runs_and_two_visitors_are_others() -> None:
    one, two = Visits("r-"), Visits("s-")
    numbers = [bought(one)[0], bought(one, "co-2")[0], bought(two)[0]]
    assert len({order.order_id for order in numbers}) == len({order.tracking_number for order in numbers}) == 3
    with pytest.raises(TroubleError) as foreign:
        one.tell("visitor-2", numbers[0].order_id, "late", NOW)
    assert foreign.value.code == "order_not_found" and foreign.value.status == 404


@pytest.mark.parametrize("items", [(), ("NONE-1",), ("LAM-01", "NONE-1"), ("LAM-01",) * (ITEMS_MAX + 1)])
def test_only_what_the_shop_sells_can_be_bought(items: tuple[str, ...]) -> None:
    with pytest.raises(TroubleError) as refused:
        Visits("r-").pay(purchase(items=items), NOW)
    assert refused.value.code == "bad_items"


def test_everything_has_an_end() -> None:
    visits = Visits("r-")
    order, _ = bought(visits)
    for _ in range(TOLD_MAX):
        visits.tell(WHO, order.order_id, "late", NOW)
    with pytest.raises(TroubleError) as reports:
        visits.tell(WHO, order.order_id, "late", NOW)
    assert reports.value.code == "too_many_reports"
    for number in range(ORDERS_MAX - 1):
        bought(visits, f"co-{number}")
    with pytest.raises(TroubleError) as orders:
        visits.pay(purchase(), NOW)
    assert orders.value.code == "too_many_orders"
    tried = Visits("r-")
    for _ in range(TOLD_MAX):
        tried.pay(purchase(fail=True), NOW)
    with pytest.raises(TroubleError) as tries:
        tried.pay(purchase(fail=True), NOW)
    assert tries.value.code == "too_many_tries"


def test_the_visitor_not_seen_for_longest_is_forgotten() -> None:
    visits = Visits("r-")
    order, _ = bought(visits)
    for number in range(VISITS_MAX - 1):
        visits.pay(Purchase(f"other-{number}", "co-1", "a@example.com", ("LAM-01",), fail=True), NOW)
    visits.tell(WHO, order.order_id, "late", NOW)
    visits.pay(Purchase("one-more", "co-1", "a@example.com", ("LAM-01",), fail=True), NOW)
    visits.tell(WHO, order.order_id, "late", NOW)
    assert len(visits) == VISITS_MAX
    for number in range(VISITS_MAX):
        visits.pay(Purchase(f"later-{number}", "co-1", "a@example.com", ("LAM-01",), fail=True), NOW)
    with pytest.raises(TroubleError):
        visits.tell(WHO, order.order_id, "late", NOW)
