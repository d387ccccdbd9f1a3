"""Shippo: every entry with a time, once; statuses as they stand in the tables; the order in free text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.providers import shippo
from tests.support.webhooks import CREATED, REPORTED, SCANNED, calls, one, payload, statuses, translated


def track(**changed: Any) -> dict[str, Any]:
    whole = payload("shippo")
    return {**whole, "data": {**whole["data"], **changed}}


def test_shippo_tells_each_entry_once_and_the_order_of_its_metadata() -> None:
    listed = calls("shippo", payload("shippo"))
    assert [call["event"] for call in listed] == [CREATED, REPORTED, SCANNED, SCANNED]
    assert {call["properties"]["order_id"] for call in listed} == {"000123"}
    assert statuses(listed) == [None, "picked_up", "in_transit"]
    assert listed[3]["properties"] == {
        "tracking_number": "9205590164917312751089",
        "order_id": "000123",
        "carrier": "usps",
        "status": "in_transit",
        "provider_status": "TRANSIT/package_departed",
        "carrier_status": "Your shipment has departed from the origin.",
        "location": "San Francisco, CA, US",
        "estimated_at": "2026-11-24T00:00:00Z",
    }
    # Shippo has no id of a delivery: what it says is what it is known by.
    assert [c["messageId"] for c in calls("shippo", track(transaction="other"))] == [c["messageId"] for c in listed]


@pytest.mark.parametrize("metadata", ["Order 1001", "order #1001", "ORDER_ID: 1001", "order number=1001", "#1001"])
def test_an_order_in_the_metadata_of_shippo(metadata: str) -> None:
    assert calls("shippo", track(metadata=metadata))[0]["properties"]["order_id"] == "1001"


@pytest.mark.parametrize("metadata", ["", None, "gift for Ann", "Order 1001 and 1002", "1001", "order"])
def test_other_metadata_of_shippo_is_no_order(metadata: Any) -> None:
    assert all("order_id" not in call["properties"] for call in calls("shippo", track(metadata=metadata)))


@pytest.mark.parametrize("status", sorted(shippo.STATUSES))
def test_every_status_of_shippo(status: str) -> None:
    entry = {"status": status, "status_date": "2026-11-23T10:00:00Z", "substatus": None, "status_details": "Said"}
    made = translated("shippo", track(metadata="", tracking_history=[entry], tracking_status=entry))
    assert made.known
    assert statuses([json.loads(call) for call in made.calls]) == [shippo.STATUSES[status]]


@pytest.mark.parametrize("code", sorted(shippo.SUBSTATUSES))
def test_every_substatus_of_shippo_that_says_it_better(code: str) -> None:
    entry = {"status": "TRANSIT", "status_date": "2026-11-23T10:00:00Z", "substatus": {"code": code}}
    assert statuses(calls("shippo", track(tracking_history=[], tracking_status=entry))) == [shippo.SUBSTATUSES[code]]


def test_shippo_without_an_estimate_a_history_or_a_time() -> None:
    entry = {"status": "PRE_TRANSIT", "status_date": None, "object_updated": "2026-11-23T10:00:00Z"}
    call = one(
        "shippo", track(eta=None, original_eta=None, metadata=None, tracking_history=None, tracking_status=entry)
    )
    assert (call["event"], call["properties"]["status"], call["timestamp"]) == (
        SCANNED,
        "label_created",
        "2026-11-23T10:00:00+00:00",
    )
    assert "estimated_at" not in call["properties"]


def test_another_event_and_status_of_shippo_are_kept() -> None:
    made = translated("shippo", {**payload("shippo"), "event": "transaction_created"})
    (call,) = (json.loads(call) for call in made.calls)
    assert (made.known, call["event"]) == (False, "shippo transaction_created")
    entry = {"status": "BEAMED", "status_date": "2026-11-23T10:00:00Z"}
    odd = translated("shippo", track(metadata=None, tracking_history=[], tracking_status=entry))
    assert not odd.known
    assert json.loads(odd.calls[0])["properties"]["carrier_status"] == "BEAMED"
