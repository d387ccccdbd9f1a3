"""AfterShip and EasyPost, and what all couriers have in common: every scan with a time, once; statuses as they stand in the tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pathline.domain.vocabulary import SHIPMENT_STATUSES
from services.ingest.providers import aftership, easypost, shippo
from tests.support.webhooks import CREATED, REPORTED, SCANNED, calls, payload, statuses, taken, told, translated

NUMBER = "9361289676091361892011"


def parcel(**changed: Any) -> dict[str, Any]:
    """AfterShip's payload with fields of its `msg` changed."""
    whole = payload("aftership")
    return {**whole, "msg": {**whole["msg"], **changed}}


def checkpoint(tag: str, at: str, **more: Any) -> dict[str, Any]:
    return {"slug": "usps", "tag": tag, "checkpoint_time": at, "message": f"Said {tag}", **more}


def test_the_tables_know_only_statuses_of_ours() -> None:
    tables: list[dict[str, Any]] = [
        dict(aftership.TAGS), aftership.SUBTAGS, dict(easypost.STATUSES), easypost.DETAILS,
        dict(shippo.STATUSES), shippo.SUBSTATUSES,
    ]  # fmt: skip
    assert {status for table in tables for status in table.values()} - {None} <= SHIPMENT_STATUSES


def test_aftership_tells_of_the_parcel_and_each_scan_that_has_a_time() -> None:
    listed = calls("aftership", payload("aftership"))
    assert [call["event"] for call in listed] == [CREATED, SCANNED, SCANNED, SCANNED]
    assert all(call["properties"]["order_id"] == "1001" for call in listed)
    assert listed[0] == {
        "type": "track",
        "messageId": listed[0]["messageId"],
        "event": CREATED,
        "timestamp": "2026-11-26T16:00:07+00:00",
        "properties": {
            "tracking_number": NUMBER,
            "order_id": "1001",
            "carrier": "usps",
            "estimated_at": "2026-11-26T12:00:00",
            "promised_at": "2026-11-26",
        },
        "context": {"traits": {"email": "jon@example.com"}},
    }
    assert statuses(listed) == ["label_created", "picked_up", "in_transit"]
    assert listed[2]["timestamp"] == "2026-11-22T20:09:00+00:00"
    assert listed[3]["timestamp"] == "2026-11-23T02:09:00+00:00"
    assert listed[3]["properties"] == {
        "tracking_number": NUMBER,
        "order_id": "1001",
        "carrier": "usps",
        "status": "in_transit",
        "provider_status": "InTransit_003",
        "carrier_status": "Arrived at USPS Regional Facility",
        "location": "INDIANAPOLIS, IN, USA",
        "estimated_at": "2026-11-26T12:00:00",
    }
    assert "estimated_at" not in listed[2]["properties"]


def test_a_scan_is_the_same_in_every_delivery() -> None:
    first = calls("aftership", payload("aftership"))
    more = payload("aftership")["msg"]["checkpoints"] + [checkpoint("OutForDelivery", "2026-11-24T08:00:00Z")]
    next_one = parcel(checkpoints=more[::-1], tag="OutForDelivery", subtag="OutForDelivery_001") | {
        "event_id": "other",
        "ts": 1795800000,
    }
    again = calls("aftership", next_one)
    assert {call["messageId"] for call in first} < {call["messageId"] for call in again}
    # That the state has a subtag and the scan has none makes no second scan of it.
    assert len({call["messageId"] for call in again}) == len(again) == len(first) + 1
    assert statuses(again)[-1] == "out_for_delivery"


@pytest.mark.parametrize(
    ("number", "other", "expected"),
    [
        ("#1001", "ID 7", "1001"),
        (None, "#1001", "1001"),
        ("", "1001", "1001"),
        (1001, None, "1001"),
        (None, None, None),
    ],
)
def test_the_order_is_the_number_that_customers_know(number: Any, other: Any, expected: str | None) -> None:
    listed = calls("aftership", parcel(order_number=number, order_id=other))
    assert {call["properties"].get("order_id") for call in listed} == {expected}
    # Without an order it is the scans alone that tell of the parcel.
    assert len(told(listed, CREATED)) == (expected is not None)


@pytest.mark.parametrize("tag", sorted(aftership.TAGS))
def test_every_tag_of_aftership(tag: str) -> None:
    made = translated("aftership", parcel(tag=tag, subtag=None, checkpoints=[checkpoint(tag, "2026-11-23T10:00:00Z")]))
    assert made.known
    scans = [json.loads(call) for call in made.calls][1:]
    assert statuses(scans) == [aftership.TAGS[tag]]
    assert scans[0]["event"] == (SCANNED if aftership.TAGS[tag] else REPORTED)


@pytest.mark.parametrize("subtag", sorted(aftership.SUBTAGS))
def test_every_subtag_that_says_it_better(subtag: str) -> None:
    tag = subtag.split("_", maxsplit=1)[0]
    told_of = parcel(tag=tag, subtag=subtag, checkpoints=[checkpoint(tag, "2026-11-23T10:00:00Z", subtag=subtag)])
    assert statuses(calls("aftership", told_of)) == [aftership.SUBTAGS[subtag]]


def test_a_tag_that_nobody_knows_claims_no_status() -> None:
    made = translated(
        "aftership", parcel(tag="Beamed", subtag=None, checkpoints=[checkpoint("Beamed", "2026-11-23T10:00:00Z")])
    )
    assert not made.known
    (scan,) = [json.loads(call) for call in made.calls][1:]
    assert (scan["event"], scan["properties"]["carrier_status"]) == (REPORTED, "Beamed")


def test_a_state_without_a_scan_is_told_until_something_else_is() -> None:
    """AfterShip expires a parcel by itself: each delivery after that must not be a new trouble."""
    first = calls("aftership", parcel(tag="Expired", subtag="Expired_001"))
    again = calls(
        "aftership", parcel(tag="Expired", subtag="Expired_001", note="changed") | {"event_id": "x", "ts": 1795800000}
    )
    assert statuses(first)[-1] == "exception"
    assert [call["messageId"] for call in first] == [call["messageId"] for call in again]
    nothing_yet = calls("aftership", parcel(tag="Pending", subtag="Pending_001", checkpoints=[]))
    assert [call["event"] for call in nothing_yet] == [CREATED, REPORTED]


def test_what_comes_back_is_delivered_to_its_sender() -> None:
    listed = calls(
        "aftership",
        parcel(
            tag="Delivered",
            subtag="Delivered_001",
            return_to_sender=True,
            checkpoints=[
                checkpoint("Delivered", "2026-11-25T10:00:00Z", subtag="Delivered_001"),
                checkpoint("Exception", "2026-11-23T10:00:00Z", subtag="Exception_010"),
                checkpoint("InTransit", "2026-11-22T10:00:00Z", subtag="InTransit_001"),
            ],
        ),
    )
    assert statuses(listed) == ["in_transit", "returning", "returned"]
    assert told(listed, SCANNED)[1]["properties"]["reason"] == "Said Exception"


def test_an_estimate_in_any_form_and_none() -> None:
    for given, expected in (
        ("2026-11-25", "2026-11-25"),
        ({"datetime": "2026-11-24T00:00:00", "datetime_max": None}, "2026-11-24T00:00:00"),
        ({"datetime": "soon"}, "2026-11-25"),
        ("9999-99-99", "2026-11-25"),
        (None, "2026-11-25"),
    ):
        listed = calls("aftership", parcel(latest_estimated_delivery=given, first_estimated_delivery=None))
        assert listed[0]["properties"]["estimated_at"] == expected


def test_of_several_mailboxes_none_is_the_customer() -> None:
    listed = calls("aftership", parcel(customers=[], emails=["a@example.com", "b@example.com"]))
    assert all("context" not in call for call in listed)
    assert calls("aftership", parcel(customers=[], emails=["a@example.com"]))[0]["context"]["traits"] == {
        "email": "a@example.com"
    }


def test_another_event_of_aftership_is_kept() -> None:
    made = translated("aftership", {**payload("aftership"), "event": "return_created"})
    (call,) = (json.loads(call) for call in made.calls)
    assert (made.known, call["event"]) == (False, "aftership return_created")
    assert call["messageId"] == "3f645f5e-530b-4062-8695-db6a64420af8"


def tracker(**changed: Any) -> dict[str, Any]:
    whole = payload("easypost")
    return {**whole, "result": {**whole["result"], **changed}}


def test_easypost_tells_each_detail() -> None:
    listed = calls("easypost", payload("easypost"))
    assert [call["event"] for call in listed] == [SCANNED] * 3 + [REPORTED]
    assert statuses(listed) == ["label_created", "picked_up", "in_transit"]
    assert listed[3]["properties"] == {
        "tracking_number": "EZ4000004000", "carrier": "FedEx", "estimated_at": "2026-11-25T00:00:00Z",
    }  # fmt: skip
    assert listed[2]["timestamp"] == "2026-11-23T18:50:00+00:00"
    assert listed[2]["properties"] == {
        "tracking_number": "EZ4000004000",
        "carrier": "FedEx",
        "status": "in_transit",
        "provider_status": "in_transit/arrived_at_facility",
        "carrier_status": "Arrived at FedEx location",
        "location": "EDISON, NJ, US",
        "estimated_at": "2026-11-25T00:00:00Z",
    }
    assert [c["messageId"] for c in calls("easypost", tracker(weight=1.5) | {"id": "evt_other"})] == [
        c["messageId"] for c in listed
    ]


@pytest.mark.parametrize("status", sorted(easypost.STATUSES))
def test_every_status_of_easypost(status: str) -> None:
    detail = {"status": status, "status_detail": "unknown", "datetime": "2026-11-23T10:00:00Z", "message": "Said"}
    made = translated("easypost", tracker(status=status, tracking_details=[detail]))
    assert made.known
    assert statuses([json.loads(call) for call in made.calls]) == [easypost.STATUSES[status]]


@pytest.mark.parametrize("detail", sorted(easypost.DETAILS))
def test_every_detail_of_easypost_that_says_it_better(detail: str) -> None:
    def of(status: str) -> list[str | None]:
        told_of = {"status": status, "status_detail": detail, "datetime": "2026-11-23T10:00:00Z"}
        return statuses(calls("easypost", tracker(status=status, status_detail=detail, tracking_details=[told_of])))

    assert of("in_transit") == [easypost.DETAILS[detail]]
    assert of("delivered") == ["delivered"]


def test_a_parcel_that_a_customer_sends_back_claims_no_status() -> None:
    listed = calls("easypost", tracker(is_return=True))
    assert [call["event"] for call in listed] == [REPORTED] * 4
    assert statuses(listed) == [None] * 3
    assert listed[1]["properties"]["carrier_status"] == "in_transit/received_at_origin_facility"


def test_a_tracker_without_details_tells_its_status_once() -> None:
    listed = calls("easypost", tracker(tracking_details=[], status="pre_transit", status_detail="label_created"))
    again = calls(
        "easypost", tracker(tracking_details=[], status="pre_transit", status_detail="label_created") | {"id": "evt_2"}
    )
    assert statuses(listed) == ["label_created"]
    assert listed[0]["messageId"] == again[0]["messageId"]


def delivered(**changed: Any) -> list[dict[str, Any]]:
    return calls("easypost", tracker(status="delivered", status_detail="arrived_at_destination", **changed))


def test_a_status_that_no_detail_says_is_told_once() -> None:
    listed = delivered()
    assert statuses(listed) == ["label_created", "picked_up", "in_transit", "delivered"]
    (state,) = [call for call in listed if call["messageId"].startswith("state/")]
    assert (state["event"], state["timestamp"]) == (SCANNED, "2026-11-23T19:26:51+00:00")
    assert [call["messageId"] for call in delivered(weight=1.0, updated_at="2026-11-24T19:26:51Z")] == [
        call["messageId"] for call in listed
    ]


def test_what_a_detail_says_better_is_not_undone_by_the_status_of_the_tracker() -> None:
    late = {"status": "in_transit", "status_detail": "delayed", "datetime": "2026-11-24T10:00:00Z"}
    details = [*payload("easypost")["result"]["tracking_details"], late]
    assert statuses(calls("easypost", tracker(tracking_details=details)))[-1] == "delayed"
    # The other way round it is news.
    assert statuses(calls("easypost", tracker(status_detail="delayed")))[-1] == "delayed"


@pytest.mark.parametrize(
    ("provider", "whole", "name"),
    [("easypost", "result", "est_delivery_date"), ("shippo", "data", "eta")],
)
def test_a_new_estimate_is_told_without_a_new_scan(provider: str, whole: str, name: str) -> None:
    def given(day: str | None, **more: Any) -> dict[str, str | None]:
        body = payload(provider)
        changed = body | {whole: body[whole] | {"metadata": "", "original_eta": None, name: day} | more}
        return {call["messageId"]: call["properties"].get("estimated_at") for call in calls(provider, changed)}

    first, again, later = (
        given("2026-11-25"),
        given("2026-11-25", updated_at="2026-11-26T00:00:00Z"),
        given("2026-11-27"),
    )
    assert first == again
    assert [day for told_as, day in later.items() if told_as not in first] == ["2026-11-27"]
    assert not any(told_as.startswith("estimate/") for told_as in given(None))
    (touchpoint,) = [one for one in taken(provider, payload(provider) | {
        whole: payload(provider)[whole] | {"metadata": ""}
    }) if one.event == REPORTED and "estimated_at" in one.properties]  # fmt: skip
    assert touchpoint.report and touchpoint.subject is not None and touchpoint.subject.kind == "parcel"


@pytest.mark.parametrize("older", ["country_iso3", "country_region"])
def test_a_newer_version_of_aftership_s_api_makes_no_second_history(older: str) -> None:
    newer = [
        {**{name: told for name, told in one.items() if name != "country_iso3"}, older: one.get("country_iso3"),
         "message": f"Now said so: {one['message']}", "slug": "usps-new", "hash": f"{number:040x}"}
        for number, one in enumerate(payload("aftership")["msg"]["checkpoints"])
    ]  # fmt: skip
    listed = told(calls("aftership", parcel(checkpoints=newer, slug="usps-new")), SCANNED)
    before = told(calls("aftership", payload("aftership")), SCANNED)
    assert [call["messageId"] for call in listed] == [call["messageId"] for call in before]
    assert [call["properties"].get("location") for call in listed] == [
        None, "LOUISVILLE, KY, USA", "INDIANAPOLIS, IN, USA",
    ]  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_scans_that_are_known_by_the_same_one_is_told(turned: bool) -> None:  # noqa: FBT001
    two = [checkpoint("InTransit", "2026-11-23T10:00:00Z", city=city) for city in ("KOBE", "NARA")]
    (scan,) = told(calls("aftership", parcel(checkpoints=two[::-1] if turned else two, subtag=None)), SCANNED)
    assert scan["properties"]["location"] == "NARA"


@pytest.mark.parametrize(
    ("noted", "added", "expected"),
    [
        # 18:00 in Tokyo, known to AfterShip 5 minutes later.
        ("2026-11-26T18:00:00", "2026-11-26T09:05:00+00:00", "2026-11-26T09:05:00+00:00"),
        ("2026-11-26T18:00:00", None, "2026-11-26T16:00:07+00:00"),
        ("2026-11-26T07:00:00", "2026-11-26T09:05:00+00:00", "2026-11-26T07:00:00+00:00"),
        ("2026-11-26T18:00:00+09:00", "2026-11-26T09:05:00+00:00", "2026-11-26T09:00:00+00:00"),
        ("2026-11-26T18:00:00Z", "2026-11-26T09:05:00+00:00", "2026-11-26T18:00:00+00:00"),
        (None, "2026-11-26T09:05:00+00:00", "2026-11-26T09:05:00+00:00"),
    ],
)
def test_a_checkpoint_without_a_zone_is_never_after_aftership_knew_of_it(
    noted: str | None, added: str | None, expected: str
) -> None:
    one_of = [{**checkpoint("InTransit", "x", created_at=added), "checkpoint_time": noted}]
    (scan,) = told(calls("aftership", parcel(checkpoints=one_of, subtag=None)), SCANNED)
    assert scan["timestamp"] == expected


def test_a_checkpoint_without_a_zone_is_the_same_in_a_later_delivery() -> None:
    ahead = [checkpoint("InTransit", "2026-11-26T18:00:00")]
    first, later = (
        told(calls("aftership", parcel(checkpoints=ahead, subtag=None) | {"ts": ts}), SCANNED)
        for ts in (1795708807, 1795808807)
    )
    assert [call["messageId"] for call in first] == [call["messageId"] for call in later]


def test_another_event_and_status_of_easypost_are_kept() -> None:
    made = translated("easypost", {**payload("easypost"), "description": "batch.created"})
    (call,) = (json.loads(call) for call in made.calls)
    assert (made.known, call["event"], call["messageId"]) == (False, "easypost batch.created", "evt_8b1f1f8e7b2e11ef")
    odd = translated("easypost", tracker(tracking_details=[{"status": "beamed", "datetime": "2026-11-23T10:00:00Z"}]))
    assert not odd.known
    assert json.loads(odd.calls[0])["event"] == REPORTED


@pytest.mark.parametrize("provider", ["aftership", "easypost", "shippo"])
def test_the_collector_takes_all_of_it_as_reports_of_a_parcel(provider: str) -> None:
    for touchpoint in taken(provider, payload(provider)):
        assert touchpoint.report
        assert touchpoint.subject is not None and touchpoint.subject.kind == "parcel"
        assert touchpoint.channel == "delivery"


def test_a_parcel_with_a_long_history_tells_its_newest() -> None:
    many = [
        checkpoint("InTransit", f"2026-11-{day:02d}T{hour:02d}:{minute:02d}:00Z")
        for day in range(1, 12)
        for hour in range(24)
        for minute in range(5)
    ]
    listed = calls("aftership", parcel(checkpoints=many, subtag=None))
    assert len(listed) <= 502
    assert told(listed, SCANNED)[-1]["timestamp"] == "2026-11-11T23:04:00+00:00"
