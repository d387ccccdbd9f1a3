"""The vocabulary held against the table that users are given: each event, its properties, who may send it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pathline.domain import vocabulary
from pathline.domain.detectors.view import OFFERED
from pathline.domain.identifiers import THING_KINDS
from pathline.domain.recording import RECORDING, Marked, Told
from pathline.domain.vocabulary import (
    CHANNELS,
    SHIPMENT_STATUSES,
    THING_PROPERTIES,
    VOCABULARY,
    event_of,
    is_report,
)

ACT, REPORT = "act", "report"

TABLE: list[tuple[str, str, list[str], str | None, str | None]] = [
    # event, who, required ("a|b": one of them), what it makes, channel
    ("Order Completed", ACT, ["order_id"], "order", None),
    ("Order Updated", REPORT, ["order_id"], None, None),
    ("Order Cancelled", REPORT, ["order_id"], None, None),
    ("Order Refunded", REPORT, ["order_id"], None, None),
    ("Checkout Started", ACT, [], "checkout", None),
    ("Payment Info Entered", ACT, [], None, None),
    ("Delivery Promised", REPORT, ["order_id", "promised_at"], None, "delivery"),
    ("Shipment Created", REPORT, ["order_id", "tracking_number"], None, "delivery"),
    ("Shipment Scanned", REPORT, ["tracking_number|order_id", "status"], None, "delivery"),
    ("Shipment Reported", REPORT, ["tracking_number|order_id"], None, "delivery"),
    ("Shipment Redirected", REPORT, ["tracking_number"], None, "delivery"),
    ("Payment Failed", REPORT, ["order_id|checkout_id"], None, "payment"),
    ("Payment Succeeded", REPORT, ["order_id|checkout_id"], None, "payment"),
    ("Invoice Payment Failed", REPORT, ["invoice_id"], None, "payment"),
    ("Invoice Paid", REPORT, ["invoice_id"], None, "payment"),
    ("Dispute Opened", REPORT, ["dispute_id"], None, "payment"),
    ("Dispute Closed", REPORT, ["dispute_id"], None, "payment"),
    ("Return Requested", ACT, ["order_id"], None, None),
    ("Contact Opened", ACT, ["case_id", "channel"], "case", None),
    ("Contact Replied", ACT, ["case_id", "by"], None, None),
    ("Contact Accepted", REPORT, ["case_id"], None, None),
    ("Contact Closed", REPORT, ["case_id"], None, None),
    ("Survey Answered", ACT, ["survey", "score"], None, "survey"),
    ("Store Visited", ACT, [], None, "store"),
    ("Demo Attended", ACT, [], None, "sales"),
    ("Ad Clicked", ACT, [], None, "ad"),
    ("Referral Followed", ACT, [], None, "referral"),
    ("Social Mentioned", ACT, [], None, "social"),
]


def test_the_vocabulary_is_the_table() -> None:
    known = [
        (name, REPORT if event.report else ACT, ["|".join(one) for one in event.required], event.makes, event.channel)
        for name, event in VOCABULARY.items()
    ]
    assert sorted(known) == sorted(TABLE)


def test_the_closed_sets() -> None:
    assert set(CHANNELS) == {
        "web",
        "app",
        "store",
        "sales",
        "phone",
        "chat",
        "email",
        "social",
        "ad",
        "referral",
        "delivery",
        "payment",
        "survey",
        "server",
        "other",
    }
    assert set(SHIPMENT_STATUSES) == {
        "label_created",
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "attempt_failed",
        "available_for_pickup",
        "delayed",
        "exception",
        "delivered",
        "returning",
        "returned",
        "lost",
        "cancelled",
    }
    assert set(THING_PROPERTIES) == set(THING_KINDS)


@pytest.mark.parametrize("event", ["Product Viewed", "Rage Clicked", "Order", "shipment scanned", "", "ShipmentX"])
def test_an_event_that_is_not_listed_is_an_act_without_demands(event: str) -> None:
    assert not is_report(event)
    assert event_of(event) == vocabulary.Event()


@pytest.mark.parametrize(
    ("event", "report", "channel"),
    [
        ("Shipment Weighed", True, "delivery"),
        ("Payment Authorised", True, "payment"),
        ("Invoice Created", True, "payment"),
        ("Dispute Updated", True, "payment"),
        ("Email Opened", False, "email"),
    ],
)
def test_an_unlisted_event_is_as_its_family(event: str, *, report: bool, channel: str) -> None:
    assert (is_report(event), event_of(event).channel, event_of(event).required) == (report, channel, ())


def test_payment_info_is_entered_by_a_person_whatever_its_family_is() -> None:
    assert not is_report("Payment Info Entered")


@pytest.mark.parametrize(
    ("by", "report"), [("agent", True), ("bot", True), (None, True), (5, True), ("customer", False)]
)
def test_a_reply_is_an_act_when_the_customer_wrote_it(by: Any, *, report: bool) -> None:
    assert is_report("Contact Replied", by) is report


OF_SHOPS_AND_SCRIPTS = {
    *("Checkout Step Viewed", "Checkout Step Completed", "Product Viewed", "Products Searched", "Coupon Denied"),
    *("Coupon Applied", "Error Shown", "Rage Clicked", "Dead Clicked", "Page Reloaded"),
    "Product Added",
}
"""Events that tell something without being asked for anything."""


def test_every_listed_event_is_recorded_or_is_a_visit() -> None:
    visits = {
        "Store Visited",
        "Demo Attended",
        "Ad Clicked",
        "Referral Followed",
        "Social Mentioned",
    }
    assert VOCABULARY.keys() - RECORDING.keys() == visits
    assert RECORDING.keys() - VOCABULARY.keys() == OF_SHOPS_AND_SCRIPTS


EVENTS_PAGE = Path(__file__).parents[3] / "docs" / "sdks" / "events.md"


def listed() -> dict[str, set[str]]:
    """The events of the page that users are given, and the properties that each must or may have."""
    rows = (line.split("|") for line in EVENTS_PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `")
    return {row[1].strip(" `"): set(re.findall(r"`(\w+)`", f"{row[2]} {row[3]}")) for row in rows}


LIKE_AN_ORDER = {"Order Updated": "Order Completed"}
"""Of one the page says `as above`."""

NO_REFUSAL = {"Payment Succeeded", "Invoice Paid"}
"""What has no code to tell, though it is read like the refusals."""


@pytest.mark.parametrize("event", sorted(RECORDING))
def test_whatever_detectors_are_told_stands_on_the_page_of_events(event: str) -> None:
    known = listed()[event] | listed().get(LIKE_AN_ORDER.get(event, ""), set())
    known |= {"code", "decline_code"} if event in NO_REFUSAL else set()
    asked = {p for line in RECORDING[event] for p in (line.props if isinstance(line, Marked) else (line.prop,)) if p}
    assert asked <= known


def test_every_event_that_is_known_stands_on_the_page() -> None:
    assert listed().keys() == {*VOCABULARY, *RECORDING}


def test_a_fact_is_told_of_things_that_exist() -> None:
    for lines in RECORDING.values():
        for line in lines:
            assert set(line.of) <= {*THING_KINDS, "person"}
            assert isinstance(line, Told) is hasattr(line, "facts")
    assert set(OFFERED) == {*THING_KINDS, "customer", "session"}


def test_the_calls_are_those_of_segment() -> None:
    assert set(vocabulary.CALL_TYPES) == {"identify", "track", "page", "screen", "group", "alias"}
