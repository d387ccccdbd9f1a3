"""Any sender of Standard Webhooks: our events by name, Segment calls as they are, the rest as it came."""

from __future__ import annotations

import json

import pytest

from pathline.domain.vocabulary import VOCABULARY
from tests.support.webhooks import one, taken, translated


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_event_of_ours_by_its_name_in_any_spelling(name: str) -> None:
    for spelling in (name, name.lower().replace(" ", "."), name.lower().replace(" ", "_")):
        told = {
            "type": spelling,
            "timestamp": "2026-11-23T10:00:00Z",
            "data": {"order_id": "1001", "status": "delivered"},
        }
        call = one("standard", told)
        assert (call["event"], call["timestamp"], call["messageId"]) == (name, "2026-11-23T10:00:00+00:00", "msg_1")
        assert call["properties"] == told["data"]


def test_the_data_names_the_person() -> None:
    data = {"user_id": 7, "email": "ann@example.com", "case_id": "c1", "channel": "phone"}
    (touchpoint,) = taken("standard", {"type": "contact.opened", "timestamp": "2026-11-23T10:00:00Z", "data": data})
    assert [(person.kind, person.value) for person in touchpoint.people] == [
        ("user_id", "7"),
        ("email", "ann@example.com"),
    ]
    assert touchpoint.makes == "case"


def test_a_segment_call_is_taken_as_it_is_but_for_id_and_key() -> None:
    raw = b'{"type":"track","event":"Order Updated","messageId":"own","writeKey":"k","properties":{"order_id":"1001","total":10.50}}'
    made = translated("standard", raw)
    assert b'"total":10.50' in made.calls[0]
    call = json.loads(made.calls[0])
    assert (call["messageId"], "writeKey" in call, made.known) == ("msg_1", False, True)


def test_a_status_of_a_parcel_that_nobody_knows_claims_none() -> None:
    made = translated("standard", {"type": "shipment.scanned", "data": {"tracking_number": "p1", "status": "beamed"}})
    assert not made.known
    call = json.loads(made.calls[0])
    assert (call["event"], call["properties"]) == (
        "Shipment Reported",
        {"tracking_number": "p1", "carrier_status": "beamed"},
    )


def test_another_type_is_kept() -> None:
    made = translated("standard", {"type": "user.created", "data": {"email": "ann@example.com"}})
    call = json.loads(made.calls[0])
    assert (made.known, call["event"]) == (False, "standard user.created")
    assert call["context"]["traits"] == {"email": "ann@example.com"}
