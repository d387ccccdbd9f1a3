"""From the bytes of a call to its record: what is taken, how it is named and dated, and what is refused with which code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import VOCABULARY, is_report
from services.ingest import calls
from services.ingest.calls import Receipt, Record
from services.ingest.codes import CALL_CODES, Refused

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
REQUIRED = {"status": "delivered", "survey": "nps", "score": 9, "channel": "phone", "by": "customer"}


def receipt(*, trusted: bool = True, shared: dict[str, Any] | None = None, **more: Any) -> Receipt:
    raw = None if shared is None else orjson.dumps(shared)
    envelope = accepted.Envelope(source="shop", namespace="default", trusted=trusted, received_at=NOW, shared=raw)
    given: dict[str, Any] = {
        "envelope": envelope, "namespace": "default", "trusted": trusted, "received_at": NOW,
        "call_bytes_max": 32_768, "sender": "server" if trusted else "web", "context": shared or {},
    }  # fmt: skip
    return Receipt(**(given | more))


def taken(call: dict[str, Any] | bytes, where: Receipt) -> Record | Refused:
    raw = call if isinstance(call, bytes) else orjson.dumps(call)
    return calls.take(raw, where)


def take(call: dict[str, Any] | bytes, **more: Any) -> Record:
    record = taken(call, receipt(**more))
    assert isinstance(record, Record), record
    return record


def touchpoint(call: dict[str, Any] | bytes, **more: Any) -> Touchpoint:
    return to_touchpoint(accepted.decode(take(call, **more).value))


def code(call: dict[str, Any] | bytes, **more: Any) -> str:
    refused = taken(call, receipt(**more))
    assert isinstance(refused, Refused)
    assert refused.code in CALL_CODES
    return refused.code


def viewed(**more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "userId": "42", "messageId": "m1", **more}


def event(name: str, **more: Any) -> dict[str, Any]:
    """A call of this event with all it needs."""
    needed = {one: REQUIRED.get(one, "1001") for names in VOCABULARY[name].required for one in names}
    return {"type": "track", "event": name, "userId": "42", "messageId": "m1", "properties": {**needed, **more}}


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_event_of_the_vocabulary_is_taken_from_a_server(name: str) -> None:
    got = touchpoint(event(name))
    assert got.event == name
    assert got.message_id == "m1"
    assert got.source == "shop"


@pytest.mark.parametrize(
    ("name", "absent"),
    [(name, names) for name, known in VOCABULARY.items() for names in known.required],
    ids=lambda given: "+".join(given) if isinstance(given, tuple) else given,
)
def test_what_an_event_needs_is_asked_for(name: str, absent: tuple[str, ...]) -> None:
    call = event(name)
    for one in absent:
        del call["properties"][one]
    assert code(call) == "missing_property"


@pytest.mark.parametrize("name", [name for name in VOCABULARY if is_report(name, "customer")])
def test_a_browser_sends_no_reports(name: str) -> None:
    assert code(event(name), trusted=False) == "needs_server_key"


@pytest.mark.parametrize("name", [name for name in VOCABULARY if not is_report(name, "customer")])
def test_a_browser_sends_acts(name: str) -> None:
    assert touchpoint(event(name), trusted=False).trusted is False


@pytest.mark.parametrize("name", ["Shipment Weighed", "Payment Retried", "Invoice Sent", "Dispute Lost"])
def test_a_browser_sends_no_reports_of_a_name_of_its_own_either(name: str) -> None:
    assert code(viewed(event=name, properties={"order_id": "1"}), trusted=False) == "needs_server_key"


def test_an_agent_s_words_need_a_server_key() -> None:
    assert code(event("Contact Replied", by="agent"), trusted=False) == "needs_server_key"


def test_a_report_is_kept_with_its_thing_whoever_sends_it() -> None:
    call = {"type": "track", "event": "Shipment Scanned", "anonymousId": "courier", "messageId": "m",
            "properties": {"tracking_number": "P1", "status": "in_transit"}}  # fmt: skip
    assert take(call).key == b"default/parcel/P1"


@pytest.mark.parametrize(
    ("person", "key"),
    [
        ({"userId": " 42 ", "anonymousId": "a"}, b"default/user_id/42"),
        ({"userId": 42}, b"default/user_id/42"),
        ({"userId": None, "anonymousId": "a"}, b"default/anonymous_id/a"),
        ({"userId": "null", "traits": {"email": "Ann@Example.com"}}, b"default/email/ann@example.com"),
        ({"context": {"traits": {"phone": "+1 202 555 0101"}}}, b"default/phone/+12025550101"),
        ({"properties": {"email": "x"}, "context": {"device": {"id": "d"}}}, b"default/device_id/d"),
        ({"properties": {"order_id": 1001}}, b"default/order/1001"),
        ({"userId": "e\u0301"}, "default/user_id/\u00e9".encode()),
    ],
)
def test_the_key_is_whom_or_what_it_is_about(person: dict[str, Any], key: bytes) -> None:
    call = {"type": "track", "event": "Product Viewed", "messageId": "m", **person}
    assert take(call).key == key


def test_the_context_of_a_batch_names_a_person_too() -> None:
    call = {"type": "page", "messageId": "m"}
    shared = {"device": {"id": "d"}, "library": {"name": "analytics-kotlin"}}
    record = taken(call, receipt(shared=shared))
    assert isinstance(record, Record)
    got = to_touchpoint(accepted.decode(record.value))
    assert [one.value for one in got.people] == ["d"]


@pytest.mark.parametrize(
    "call",
    [
        {"type": "track", "event": "Product Viewed"},
        {"type": "track", "event": "Product Viewed", "userId": "undefined", "anonymousId": "0000"},
        {"type": "track", "event": "Product Viewed", "userId": "x" * 201},
        {"type": "track", "event": "Order Updated", "userId": "42", "properties": {"order_id": "1"}} | {"type": "page", "userId": None},
        {"type": "identify", "userId": "[object Object]"},
        {"type": "page", "properties": {"order_id": "1"}},
        {"type": "group", "groupId": "acme", "traits": {"email": "office@acme.example"}},
    ],
)  # fmt: skip
def test_nobody_and_nothing_is_refused(call: dict[str, Any]) -> None:
    assert code(call) == "no_subject"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "x"}, "unknown_type"),
        ({"type": None}, "unknown_type"),
        ({"type": ["track"]}, "unknown_type"),
        ({"event": None}, "missing_event"),
        ({"event": ""}, "missing_event"),
        ({"event": {}}, "missing_event"),
        ({"properties": []}, "bad_properties"),
        ({"properties": "x"}, "bad_properties"),
        ({"traits": 1}, "bad_traits"),
        ({"context": True}, "bad_context"),
        ({"messageId": "x" * 101}, "bad_message_id"),
        ({"messageId": 1.5}, "bad_message_id"),
        ({"messageId": True}, "bad_message_id"),
        ({"messageId": {}}, "bad_message_id"),
        ({"type": "alias"}, "bad_alias"),
        ({"type": "alias", "previousId": "null"}, "bad_alias"),
        ({"type": "group"}, "missing_group"),
        ({"event": "Shipment Scanned", "properties": {"order_id": "1", "status": "lost in space"}}, "unknown_status"),
        ({"event": "Shipment Scanned", "properties": {"order_id": "1", "status": ["lost"]}}, "unknown_status"),
        ({"event": "Order Completed", "properties": {"order_id": "null"}}, "missing_property"),
        ({"properties": {"note": "x" * 40_000}}, "call_too_large"),
    ],
)
def test_a_call_is_refused_with_its_code(change: dict[str, Any], expected: str) -> None:
    assert code(viewed(**change)) == expected


def test_alias_needs_a_server_key() -> None:
    assert code({"type": "alias", "previousId": "a", "userId": "b"}, trusted=False) == "needs_server_key"


@pytest.mark.parametrize("given", ["m-1", "x" * 100, 7, -7, 2**63])
def test_a_message_id_is_text_or_an_integer(given: object) -> None:
    assert touchpoint(viewed(messageId=given)).message_id == str(given)


@pytest.mark.parametrize("given", [{}, {"messageId": None}, {"messageId": ""}])
def test_a_call_without_an_id_meets_itself_when_it_is_sent_again(given: dict[str, Any]) -> None:
    call = {"type": "track", "event": "Product Viewed", "userId": "42", **given}
    first = touchpoint({**call, "sentAt": "2026-06-01T11:59:59Z"})
    again = touchpoint({"sentAt": "2026-06-01T12:00:09Z", **call})
    other = touchpoint({**call, "event": "Product Added"})
    assert first.message_id == again.message_id != other.message_id
    assert len(first.message_id) <= calls.MESSAGE_ID_MAX


def test_the_type_of_the_path_counts_and_a_write_key_is_not_kept() -> None:
    raw = orjson.dumps({"userId": "42", "writeKey": "secret", "type": "track", "traits": {"name": "Ann"}})
    item = calls.read(raw, 1_000)
    assert isinstance(item, calls.Item)
    record = calls.record(raw, item, "identify", receipt())
    assert isinstance(record, Record)
    assert b"secret" not in record.value
    assert to_touchpoint(accepted.decode(record.value)).type == "identify"


@pytest.mark.parametrize(
    ("told", "sent", "expected", "clamped"),
    [
        (None, None, NOW, False),
        ("2026-06-01T11:00:00Z", None, NOW - timedelta(hours=1), False),
        ("2026-06-01T13:00:00+02:00", None, NOW - timedelta(hours=1), False),
        ("2026-06-01T11:00:00", None, NOW - timedelta(hours=1), False),
        # A clock ten years behind is wrong by the same at both ends.
        ("2016-06-01T10:00:00.000Z", "2016-06-01T10:00:30.000Z", NOW - timedelta(seconds=30), False),
        ("2026-05-20T12:00:00Z", None, NOW, True),
        ("2026-06-01T12:06:00Z", None, NOW, True),
        ("2026-06-01T12:04:00Z", None, NOW + timedelta(minutes=4), False),
        ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", NOW, True),
    ],
)
def test_the_clock_of_a_browser_is_corrected_within_bounds(
    told: str | None, sent: str | None, expected: datetime, *, clamped: bool
) -> None:
    record = take(viewed(timestamp=told, sentAt=sent), trusted=False)
    assert (record.when.occurred_at, record.when.clamped) == (expected, clamped)
    assert accepted.decode(record.value).clamped is clamped


@pytest.mark.parametrize("told", ["2019-01-01T00:00:00Z", "2027-01-01T00:00:00.123456Z"])
def test_a_server_s_time_is_kept(told: str) -> None:
    got = touchpoint(viewed(timestamp=told, sentAt="2026-06-01T12:00:00Z"))
    assert got.occurred_at == datetime.fromisoformat(told)


def test_the_original_timestamp_counts_where_there_is_no_other() -> None:
    assert touchpoint(viewed(originalTimestamp="2026-05-31T12:00:00Z")).occurred_at == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    "told",
    ["yesterday", "", 1_780_000_000_000, "0000-01-01T00:00:00Z", "294277-01-01T00:00:00Z", "infinity",
     "2026-06-01T12:00:60Z", "9999-12-31T23:59:59-12:00", "2026-06-01T12:00:00" + "0" * 40, ["2026-06-01"], True],
)  # fmt: skip
@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp", "sentAt"])
@pytest.mark.parametrize("trusted", [True, False])
def test_an_unreadable_time_is_refused(told: object, field: str, *, trusted: bool) -> None:
    assert code(viewed(**{field: told}), trusted=trusted) == "bad_timestamp"


@pytest.mark.parametrize("told", ["1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_server_s_time_has_wide_bounds(told: str) -> None:
    assert code(viewed(timestamp=told)) == "time_out_of_range"


@pytest.mark.parametrize(
    ("library", "trusted", "channel"),
    [
        ("analytics-kotlin", True, "app"), ("analytics.js", False, "web"), ("RudderLabs JavaScript SDK", False, "web"),
        ("analytics-node", False, "server"), ("pathline.js", False, "web"), (None, False, "web"), (None, True, "server"),
        ("nobody knows", True, "server"), ("x" * 10_000, True, "server"), (7, True, "server"),
    ],
)  # fmt: skip
def test_the_sdk_says_what_kind_of_sender_it_is(library: object, channel: str, *, trusted: bool) -> None:
    assert touchpoint(viewed(context={"library": {"name": library}}), trusted=trusted).channel == channel


def test_the_sdk_of_a_batch_stands_in_its_context() -> None:
    call = viewed(context={"page": {}})
    assert accepted.decode(take(call, sender="app").value).library == "app"


def test_each_call_of_a_batch_has_its_own_context() -> None:
    where = receipt(shared={"device": {"id": "d"}}, sender="app")
    contexts: tuple[dict[str, Any], ...] = (
        {}, {"context": {"library": {"name": "analytics-node"}}}, {"context": {"library": {"name": "analytics-node"}}},
        {"context": {"device": {"id": "e"}}}, {"context": []}, {"context": {"device": {"id": "e"}}}, {"context": None},
    )  # fmt: skip
    got = [taken({"type": "page", "messageId": "m", **context}, where) for context in contexts]
    keys = [record.key if isinstance(record, Record) else record.code for record in got]
    device, other = b"default/device_id/d", b"default/device_id/e"
    assert keys == [device, device, device, other, "bad_context", other, device]
    libraries = [accepted.decode(record.value).library for record in got if isinstance(record, Record)]
    assert libraries == ["app", "server", "server", "app", "app", "app"]


@pytest.mark.parametrize("occurred_at", [NOW, NOW - timedelta(days=1)])
@pytest.mark.parametrize("shared", [None, b'{"a":1}'])
@pytest.mark.parametrize("flag", [True, False])
def test_an_envelope_writes_what_encode_writes(occurred_at: datetime, shared: bytes | None, *, flag: bool) -> None:
    given: dict[str, Any] = {
        "source": "shop",
        "namespace": "n",
        "trusted": flag,
        "received_at": NOW,
        "historical": flag,
    }
    own: dict[str, Any] = {"library": "app", "occurred_at": occurred_at, "message_id": 'a"\\\n', "clamped": flag}
    call = b'{"type":"page","userId":"42"}'
    by_envelope = accepted.Envelope(**given, shared=shared).around(call, **own)
    assert accepted.decode(by_envelope) == accepted.decode(accepted.encode(call, **given, **own, shared=shared))


def test_a_number_out_of_range_where_nobody_reads_spoils_only_an_id_that_has_to_be_made() -> None:
    odd = b'{"type":"track","event":"Viewed","userId":"42","clicks":1e999'
    assert take(odd + b',"messageId":"m"}').value
    assert code(odd + b"}") == "bad_number"
