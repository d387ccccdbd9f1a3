"""What makes each detector that came after the first six fire, what does not, and what ends it: at least one of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from pathline.contracts import detector_files
from pathline.domain.alerts import Alert
from pathline.domain.identifiers import name_id
from tests.support.desk import Desk, at

FIRST = {
    "checkout_abandoned",
    "delivery_at_risk",
    "delivery_exception",
    "detractor",
    "late_vs_promise",
    "payment_failed",
}
"""Those that test_detectors.py has."""

Told = tuple[str, str, dict[str, Any], dict[str, str]]
"""An event, how long after the start, its properties, and what it names."""

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    return timedelta(**{UNITS[text[-1]]: float(text[:-1])})


class Case(NamedTuple):
    """Touchpoints, when it is looked at, and what came of it: (state, severity, resolution) of each episode."""

    detector: str
    about: tuple[str, str]
    told: tuple[Told, ...]
    until: str
    expected: tuple[tuple[str, str, str | None], ...]


ORDER, PARCEL, CHECKOUT, CASE, INVOICE, DISPUTE, PERSON = (
    *((kind, kind[0]) for kind in ("order", "parcel", "checkout", "case", "invoice", "dispute")), ("user_id", "u"),
)  # fmt: skip


def tell(event: str, when: str, *about: tuple[str, str], by: str | None = None, **properties: Any) -> Told:
    names = dict(about)
    if PERSON in about:
        names = {kind: value for kind, value in names.items() if kind != "user_id"} | {"user": "u"}
    return event, when, properties | ({} if by is None else {"by": by}), names


def scan(status: str, when: str, *about: tuple[str, str]) -> Told:
    return tell("Shipment Scanned", when, *(about or (PARCEL,)), status=status)


def placed(when: str = "0d", *also: tuple[str, str], **properties: Any) -> Told:
    return tell("Order Completed", when, ORDER, PERSON, *also, **properties)


def opened(when: str = "0d", *also: tuple[str, str], **properties: Any) -> Told:
    return tell("Contact Opened", when, *(also or (CASE,)), PERSON, **{"channel": "chat", **properties})


def reply(when: str, by: str, **properties: Any) -> Told:
    about = (CASE, PERSON) if by == "customer" else (CASE,)
    return tell("Contact Replied", when, *about, by=by, **properties)


def does(event: str, when: str, **properties: Any) -> Told:
    return tell(event, when, PERSON, **properties)


def open_(severity: str) -> tuple[tuple[str, str, str | None], ...]:
    return (("open", severity, None),)


def over(severity: str, resolution: str) -> tuple[tuple[str, str, str | None], ...]:
    return (("resolved", severity, resolution),)


NEVER: tuple[tuple[str, str, str | None], ...] = ()
LABEL = tell("Shipment Created", "0d", ORDER, PARCEL)
CREATED = tell("Shipment Created", "0d", ORDER, PARCEL, promised_at="2026-01-05", estimated_at="2026-01-04")


def estimate(day: str, when: str) -> Told:
    return tell("Shipment Reported", when, PARCEL, estimated_at=f"2026-01-{day}")


CHAT = opened(topic="delivery")
OLD_CASE = ("case", "old")
CASES = [
    Case("eta_slip", PARCEL, (CREATED, estimate("06", "1d")), "1d", open_("warning")),
    Case("eta_slip", PARCEL, (CREATED, estimate("05", "1d")), "20d", NEVER),
    Case("eta_slip", PARCEL, (LABEL, estimate("04", "1h"), estimate("06", "1d")), "1d", open_("warning")),
    Case("eta_slip", PARCEL, (LABEL, estimate("04", "1h"), estimate("05", "1d")), "1d", NEVER),
    Case("eta_slip", PARCEL, (CREATED, estimate("06", "1d"), estimate("05", "2d")), "2d", over("warning", "back_in_time")),
    Case("eta_slip", PARCEL, (CREATED, estimate("06", "1d"), scan("delivered", "2d")), "2d", over("warning", "delivered")),
    Case("failed_attempt", PARCEL, (scan("attempt_failed", "1d"),), "1d", open_("warning")),
    Case("failed_attempt", PARCEL, (scan("attempt_failed", "1d"), scan("attempt_failed", "2d")), "2d", open_("high")),
    Case("failed_attempt", PARCEL, (scan("out_for_delivery", "1d"),), "9d", NEVER),
    Case("failed_attempt", PARCEL, (scan("attempt_failed", "1d"), scan("delivered", "2d")), "2d", over("warning", "delivered")),
    Case("delayed_dispatch", ORDER, (placed(),), "47h", NEVER),
    Case("delayed_dispatch", ORDER, (placed(),), "48h", open_("warning")),
    Case("delayed_dispatch", ORDER, (placed(ship_by="2026-01-01"),), "24h", open_("warning")),
    Case("delayed_dispatch", ORDER, (placed(ship_by="2026-01-09"),), "8d", NEVER),
    Case("delayed_dispatch", ORDER, (placed(), tell("Payment Failed", "1h", ORDER)), "9d", NEVER),
    Case("delayed_dispatch", ORDER, (placed(), LABEL, scan("label_created", "1h")), "48h", open_("warning")),
    Case("delayed_dispatch", ORDER, (placed(), LABEL, scan("picked_up", "3d")), "3d", over("warning", "dispatched")),
    Case("forgotten_label", PARCEL, (LABEL,), "48h", open_("warning")),
    Case("forgotten_label", PARCEL, (LABEL, scan("picked_up", "47h")), "9d", NEVER),
    Case("forgotten_label", PARCEL, (placed(), LABEL, tell("Order Cancelled", "1d", ORDER)), "9d", NEVER),
    Case("forgotten_label", PARCEL, (LABEL, scan("in_transit", "3d")), "3d", over("warning", "scanned")),
    Case("stalled", PARCEL, (scan("picked_up", "0d"),), "72h", open_("high")),
    Case("stalled", PARCEL, (scan("picked_up", "0d"), scan("in_transit", "2d")), "4d", NEVER),
    Case("stalled", PARCEL, (scan("label_created", "0d"),), "9d", NEVER),
    Case("stalled", PARCEL, (scan("picked_up", "0d"), scan("in_transit", "4d")), "4d", over("high", "scanned")),
    Case("stalled", PARCEL, (scan("picked_up", "0d"), scan("delivered", "4d")), "9d", over("high", "delivered")),
    Case("stalled", ORDER, (placed(), scan("picked_up", "0d", ORDER)), "72h", open_("high")),
    Case("stalled", ORDER, (placed(), scan("picked_up", "0d", ORDER), LABEL), "9d", NEVER),
    Case("lost", PARCEL, (scan("picked_up", "0d"),), "30d", open_("critical")),
    Case("lost", PARCEL, (scan("picked_up", "0d"), estimate("20", "10d")), "39d", NEVER),
    Case("lost", PARCEL, (LABEL,), "99d", NEVER),
    Case("lost", PARCEL, (scan("picked_up", "0d"), scan("in_transit", "31d")), "32d", over("critical", "scanned")),
    Case("pickup_waiting", PARCEL, (scan("available_for_pickup", "0d"),), "3d", open_("info")),
    Case("pickup_waiting", PARCEL, (scan("available_for_pickup", "0d"), scan("delivered", "2d")), "9d", NEVER),
    Case("pickup_waiting", PARCEL, (scan("available_for_pickup", "0d"), scan("returning", "5d")), "5d", over("info", "sent_back")),
    Case("pickup_waiting", PARCEL, (scan("available_for_pickup", "0d"), scan("delivered", "5d")), "5d", over("info", "collected")),
    Case("delivered_disputed", CASE, (placed(), scan("delivered", "1d", ORDER), opened("3d", CASE, ORDER, topic="not_received")), "3d", open_("critical")),
    Case("delivered_disputed", CASE, (placed(), scan("delivered", "1d", ORDER), opened("9d", CASE, ORDER, topic="not_received")), "9d", NEVER),
    Case("delivered_disputed", CASE, (placed(), scan("delivered", "1d", ORDER), opened("3d", CASE, ORDER, topic="size")), "9d", NEVER),
    Case("delivered_disputed", CASE, (placed(), opened("3d", CASE, ORDER, topic="not_received")), "9d", NEVER),
    Case("delivered_disputed", CASE, (placed(), scan("delivered", "1d", ORDER), opened("3d", CASE, ORDER, topic="not_received"), tell("Contact Closed", "4d", CASE)), "4d", over("critical", "closed")),
    Case("payment_stuck", CHECKOUT, (does("Checkout Started", "0m"), tell("Payment Info Entered", "5m", CHECKOUT, PERSON)), "20m", open_("warning")),
    Case("payment_stuck", CHECKOUT, (tell("Payment Info Entered", "5m", CHECKOUT, PERSON), placed("10m", CHECKOUT)), "1d", NEVER),
    Case("payment_stuck", CHECKOUT, (tell("Payment Info Entered", "5m", CHECKOUT, PERSON), placed("30m", CHECKOUT)), "1d", over("warning", "ordered")),
    Case("payment_stuck", CHECKOUT, (tell("Payment Info Entered", "0m", CHECKOUT, PERSON), tell("Payment Info Entered", "20m", CHECKOUT, PERSON)), "20m", over("warning", "entered_again")),
    Case("dunning", INVOICE, (tell("Invoice Payment Failed", "0d", INVOICE, next_attempt_at="2026-01-05"),), "0d", open_("high")),
    Case("dunning", INVOICE, (tell("Invoice Payment Failed", "0d", INVOICE),), "0d", open_("critical")),
    Case("dunning", INVOICE, (tell("Invoice Payment Failed", "0d", INVOICE, next_attempt_at="2026-01-05"), tell("Invoice Payment Failed", "4d", INVOICE)), "4d", open_("critical")),
    Case("dunning", INVOICE, (tell("Invoice Paid", "0d", INVOICE),), "9d", NEVER),
    Case("dunning", INVOICE, (tell("Invoice Payment Failed", "0d", INVOICE), tell("Invoice Paid", "1d", INVOICE)), "1d", over("critical", "paid")),
    Case("dispute", DISPUTE, (tell("Dispute Opened", "0d", DISPUTE, ORDER, amount="10.00"),), "0d", open_("critical")),
    Case("dispute", DISPUTE, (tell("Dispute Closed", "0d", DISPUTE),), "9d", NEVER),
    Case("dispute", DISPUTE, (tell("Dispute Opened", "0d", DISPUTE), tell("Dispute Closed", "9d", DISPUTE)), "9d", over("critical", "closed")),
    Case("refund_overdue", ORDER, (placed(), tell("Order Cancelled", "0d", ORDER)), "10d", open_("warning")),
    Case("refund_overdue", ORDER, (placed(), tell("Order Cancelled", "0d", ORDER)), "14d", open_("high")),
    Case("refund_overdue", ORDER, (placed(), LABEL, scan("returned", "1d")), "11d", open_("warning")),
    Case("refund_overdue", ORDER, (placed(), tell("Payment Failed", "0d", ORDER), tell("Order Cancelled", "0d", ORDER)), "99d", NEVER),
    Case("refund_overdue", ORDER, (placed(), tell("Order Cancelled", "0d", ORDER), tell("Order Refunded", "9d", ORDER)), "99d", NEVER),
    Case("refund_overdue", ORDER, (placed(total="20"), tell("Order Cancelled", "0d", ORDER), tell("Order Refunded", "11d", ORDER, total="5")), "11d", over("warning", "refunded")),
    Case("expectation_gap", ORDER, (placed(), tell("Return Requested", "9d", ORDER, PERSON, reason="not_as_described")), "9d", open_("warning")),
    Case("expectation_gap", ORDER, (placed(), tell("Return Requested", "9d", ORDER, PERSON, reason="changed_mind")), "9d", NEVER),
    Case("expectation_gap", ORDER, (placed(), tell("Return Requested", "9d", ORDER, PERSON, reason="not_as_described"), opened("10d"), reply("11d", "agent")), "11d", over("warning", "answered")),
    Case("response_overdue", CASE, (opened(),), "2m", open_("high")),
    Case("response_overdue", CASE, (opened(),), "1.9m", NEVER),
    Case("response_overdue", CASE, (opened(), reply("1m", "bot")), "2m", open_("high")),
    Case("response_overdue", CASE, (opened(), reply("1m", "agent")), "9d", NEVER),
    Case("response_overdue", CASE, (opened(), reply("1m", "agent"), reply("5m", "customer")), "7m", open_("high")),
    Case("response_overdue", CASE, (opened(channel="email"),), "239m", NEVER),
    Case("response_overdue", CASE, (opened(channel="email"),), "4h", open_("high")),
    Case("response_overdue", CASE, (opened(channel="phone"),), "1h", open_("high")),
    Case("response_overdue", CASE, (opened(), reply("5m", "agent")), "5m", over("high", "replied")),
    Case("response_overdue", CASE, (opened(), tell("Contact Closed", "5m", CASE)), "5m", over("high", "replied")),
    Case("handoff_unanswered", CASE, (opened(wants_person=True),), "2m", open_("high")),
    Case("handoff_unanswered", CASE, (opened(),), "9d", NEVER),
    Case("handoff_unanswered", CASE, (opened(wants_person=True), tell("Contact Accepted", "1m", CASE)), "9d", NEVER),
    Case("handoff_unanswered", CASE, (opened(wants_person=True), tell("Contact Accepted", "5m", CASE)), "5m", over("high", "accepted")),
    Case("handoff_unanswered", CASE, (opened(wants_person=True), reply("5m", "agent")), "5m", over("high", "replied")),
    Case("repeat_contact", CASE, (opened("0d", OLD_CASE, topic="Delivery"), tell("Contact Closed", "1d", OLD_CASE), opened("2d", topic="delivery")), "2d", open_("high")),
    Case("repeat_contact", CASE, (opened("0d", OLD_CASE, topic="delivery"), tell("Contact Closed", "1d", OLD_CASE), opened("9d", topic="delivery")), "9d", NEVER),
    Case("repeat_contact", CASE, (opened("0d", OLD_CASE, topic="size"), tell("Contact Closed", "1d", OLD_CASE), opened("2d", topic="delivery")), "9d", NEVER),
    Case("repeat_contact", CASE, (CHAT,), "9d", NEVER),
    Case("repeat_contact", CASE, (opened("0d", OLD_CASE, topic="delivery"), tell("Contact Closed", "1d", OLD_CASE), opened("2d", topic="delivery"), tell("Contact Closed", "3d", CASE)), "6d", over("high", "closed")),
    Case("channel_hop", CASE, (opened(), reply("1h", "customer", channel="phone")), "1h", open_("high")),
    Case("channel_hop", CASE, (opened(), reply("1h", "customer", channel="chat"), reply("2h", "customer")), "9d", NEVER),
    Case("channel_hop", CASE, (opened(), reply("2d", "customer", channel="phone")), "9d", NEVER),
    Case("channel_hop", CASE, (opened(), reply("1h", "customer", channel="phone"), tell("Contact Closed", "2h", CASE)), "2h", over("high", "closed")),
    *(
        Case("step_loop", CHECKOUT, tuple(tell(f"Checkout Step {what}", f"{n}m", CHECKOUT, PERSON, step=step) for n, (what, step) in enumerate(steps)), until, expected)
        for steps, until, expected in (
            ((("Viewed", 2),) * 3, "3m", open_("warning")),
            ((("Viewed", 1), ("Viewed", 2), ("Viewed", 1), ("Viewed", 2)), "9m", NEVER),
            ((("Viewed", 2), ("Viewed", 2), ("Completed", 2), ("Viewed", 2)), "9m", NEVER),
            ((("Viewed", 2), ("Viewed", 2), ("Viewed", 2), ("Completed", 2)), "9m", over("warning", "completed")),
            ((("Viewed", 2),) * 3, "2h", over("warning", "session_over")),
        )
    ),
    Case("coupon_denied", PERSON, (does("Coupon Denied", "0m"), does("Coupon Denied", "2m")), "2m", open_("info")),
    Case("coupon_denied", PERSON, (does("Coupon Denied", "0m"), does("Coupon Denied", "31m")), "31m", NEVER),
    Case("coupon_denied", PERSON, (does("Coupon Denied", "0m"), does("Coupon Denied", "2m"), does("Coupon Applied", "3m")), "3m", over("info", "applied")),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10.00"), does("Product Viewed", "9d", product_id="p", price=10.6)), "9d", open_("warning")),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10.00"), does("Product Viewed", "9d", product_id="p", price="10.40")), "9d", NEVER),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10.00"), does("Product Viewed", "9d", product_id="q", price="20.00")), "9d", NEVER),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10.00", currency="EUR"), does("Product Viewed", "9d", product_id="p", price="12.00", currency="USD")), "9d", NEVER),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10"), does("Product Viewed", "40d", product_id="p", price="20")), "40d", NEVER),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10"), does("Product Viewed", "1d", product_id="p", price="20"), does("Product Viewed", "2d", product_id="p", price="10")), "2d", over("warning", "price_back")),
    Case("price_increase", PERSON, (does("Product Viewed", "0d", product_id="p", price="10"), does("Product Viewed", "1d", product_id="p", price="20"), placed("2d")), "2d", over("warning", "bought")),
    Case("rage_click", PERSON, (does("Rage Clicked", "0m", count=4),), "0m", open_("info")),
    Case("rage_click", PERSON, (does("Rage Clicked", "0m", count=3),), "0m", NEVER),
    Case("rage_click", PERSON, (does("Rage Clicked", "0m", count=4), does("Product Added", "1m")), "1m", over("info", "went_on")),
    Case("rage_click", PERSON, (does("Rage Clicked", "0m", count=4), does("Product Viewed", "20m")), "79m", open_("info")),
    Case("rage_click", PERSON, (does("Rage Clicked", "0m", count=4), does("Product Viewed", "20m")), "80m", over("info", "session_over")),
    Case("dead_click", PERSON, tuple(does("Dead Clicked", f"{n}m") for n in range(3)), "2m", open_("info")),
    Case("dead_click", PERSON, tuple(does("Dead Clicked", f"{n}m") for n in range(2)), "9d", NEVER),
    Case("dead_click", PERSON, tuple(does("Dead Clicked", f"{n}m") for n in range(3)), "62m", over("info", "session_over")),
    Case("error_click", PERSON, (does("Error Shown", "0m", after_ms=60),), "0m", open_("warning")),
    Case("error_click", PERSON, (does("Error Shown", "0m", after_ms=600), does("Error Shown", "1m")), "1m", NEVER),
    Case("error_click", PERSON, (does("Error Shown", "0m", after_ms=60), placed("1m")), "1m", over("warning", "went_on")),
    Case("reload_storm", PERSON, tuple(does("Page Reloaded", f"{n * 20}s") for n in range(3)), "40s", open_("info")),
    Case("reload_storm", PERSON, tuple(does("Page Reloaded", f"{n * 40}s") for n in range(3)), "80s", NEVER),
    Case("reload_storm", PERSON, tuple(does("Page Reloaded", f"{n * 20}s") for n in range(3)), "2h", over("info", "session_over")),
    Case("zero_result_search", PERSON, tuple(does("Products Searched", f"{n}m", results=0) for n in range(3)), "2m", open_("info")),
    Case("zero_result_search", PERSON, tuple(does("Products Searched", f"{n}m", results=n % 2) for n in range(5)), "4m", open_("info")),
    Case("zero_result_search", PERSON, tuple(does("Products Searched", f"{n}m", results=5) for n in range(3)), "2m", NEVER),
    Case("zero_result_search", PERSON, (*(does("Products Searched", f"{n}m", results=0) for n in range(3)), does("Product Viewed", "4m")), "4m", over("info", "product_viewed")),
]  # fmt: skip


def episodes(case: Case, told: tuple[Told, ...]) -> list[Alert]:
    desk = Desk()
    for event, when, properties, names in told:
        desk.tell(event, at() + span(when), properties, **names)
    desk.sleep_until(at() + span(case.until))
    kind, value = case.about
    return desk.about(case.detector, name_id("default", kind, value))


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{case.detector}" for n, case in enumerate(CASES)])
def test_it_fires_and_ends_as_it_should(case: Case) -> None:
    found = episodes(case, case.told)
    assert [(a.state, a.severity, a.resolution) for a in found] == list(case.expected)


def test_every_detector_has_a_case_that_alerts_one_that_does_not_and_one_that_ends() -> None:
    names = detector_files.load().files.keys() - FIRST
    for wanted in ("open", "resolved"):
        assert {case.detector for case in CASES if any(state == wanted for state, _, _ in case.expected)} == names
    assert {case.detector for case in CASES if not case.expected} == names
