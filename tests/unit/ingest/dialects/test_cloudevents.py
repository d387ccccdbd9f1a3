"""CloudEvents, by the examples of the specification: structured, batched, binary."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.answers import ALL_STORED, refuse
from services.ingest.codes import STORED, Refused
from services.ingest.dialects import Translated, cloudevents
from tests.support.translating import asked, calls_of, deep, only, refused, taken, touchpoint, values

STRUCTURED = {b"content-type": b"application/cloudevents+json; charset=utf-8"}
BATCHED = {b"content-type": b"application/cloudevents-batch+json; charset=utf-8"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext",
    "subject": None,
    "id": "C234-1234-1234",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
    "datacontenttype": "application/json",
    "data": {"userId": "ann", "appinfoA": "abc", "appinfoB": 123},
}
HEADERS = {
    b"ce-specversion": b"1.0",
    b"ce-type": b"com.example.someevent",
    b"ce-time": b"2018-04-05T03:56:24Z",
    b"ce-id": b"1234-1234-1234",
    b"ce-source": b"/mycontext/subcontext",
    b"content-type": b"application/json; charset=utf-8",
}


def structured(**more: Any) -> Any:
    return cloudevents.translate(asked({**EVENT, **more}, headers=STRUCTURED))


def test_a_structured_event_is_a_track_with_its_data_as_properties() -> None:
    assert only(structured()) == {
        "type": "track",
        "event": "com.example.someevent",
        "messageId": "C234-1234-1234",
        "timestamp": "2018-04-05T17:31:00Z",
        "userId": "ann",
        "properties": {"appinfoA": "abc", "appinfoB": 123},
        "context": {
            "cloudevent": {
                "type": "com.example.someevent",
                "source": "/mycontext",
                "comexampleextension1": "value",
                "comexampleothervalue": 5,
                "datacontenttype": "application/json",
            }
        },
    }
    found = touchpoint(structured())
    assert found.message_id == "C234-1234-1234"
    assert found.occurred_at.isoformat() == "2018-04-05T17:31:00+00:00"


def test_data_may_be_shaped_like_a_call() -> None:
    data = {
        "anonymousId": "a1",
        "properties": {"order_id": "1001"},
        "context": {"locale": "de-DE"},
        "traits": {"email": "a@b.de"},
    }
    found = touchpoint(structured(type="Order Completed", data=data))
    assert (found.event, found.makes) == ("Order Completed", "order")
    assert [one.kind for one in found.people] == ["email", "anonymous_id"]
    assert only(structured(data=data))["context"]["locale"] == "de-DE"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("Shipment Scanned", "Shipment Scanned"),
        ("com.carrier.shipment_scanned", "Shipment Scanned"),
        ("com.carrier.ShipmentScanned", "Shipment Scanned"),
        ("com.carrier.shipment.weighed", "com.carrier.shipment.weighed"),
        ("x", "x"),
    ],
)
def test_a_type_is_an_event_of_the_vocabulary_or_stays_what_it_is(kind: str, event: str) -> None:
    data = {"tracking_number": "T1", "status": "delivered"}
    assert touchpoint(structured(type=kind, data=data)).event == event


def test_types_may_be_those_of_calls() -> None:
    found = touchpoint(structured(type="identify", data={"userId": "ann", "email": "ann@example.com"}))
    assert (found.type, found.traits) == ("identify", {"email": "ann@example.com"})
    found = touchpoint(
        structured(type="page", data={"userId": "ann", "name": "Lamps", "properties": {"path": "/lamps"}})
    )
    assert (found.type, found.event, found.properties) == ("page", "Lamps", {"path": "/lamps"})
    found = touchpoint(structured(type="group", data={"userId": "ann", "groupId": "acme", "name": "ACME"}))
    assert (found.type, found.account) == ("group", "acme")
    found = touchpoint(structured(type="alias", data={"userId": "ann", "previousId": "old"}))
    assert (found.type, found.previous_id) == ("alias", "old")


def test_whom_it_is_about() -> None:
    assert only(structured(data={}, userid="ann", anonymousid="a1"))["userId"] == "ann"
    assert only(structured(data={"userId": "eve"}, userid="ann"))["userId"] == "eve"
    assert only(structured(data={"x": 1}, subject="ann"))["userId"] == "ann"
    # A subject counts where nobody and nothing else is named: it is often an order or a file.
    for data in (
        {"userId": "eve"},
        {"anonymousId": "a"},
        {"order_id": 7},
        {"email": "a@b.de"},
        {"traits": {"phone": "12345"}},
    ):
        call = only(structured(data=data, subject="ann"))
        assert call.get("userId") != "ann"
        assert call["context"]["cloudevent"]["subject"] == "ann"
    assert taken(structured(data={"x": 1})) == ["no_subject"]


@pytest.mark.parametrize(
    ("more", "properties"),
    [
        ({"data": "I'm just a string"}, {"data": "I'm just a string"}),
        ({"data": [1, 2]}, {"data": [1, 2]}),
        ({"data": None}, {}),
        ({"datacontenttype": "application/xml", "data": '<much wow="xml"/>'}, {"data": '<much wow="xml"/>'}),
        ({"data_base64": base64.b64encode(b'{"a":1}').decode()}, {"a": 1}),
        ({"datacontenttype": None, "data_base64": base64.b64encode(b'{"a":1}').decode()}, {"a": 1}),
        ({"datacontenttype": "application/vnd.thrift", "data_base64": "AAE="}, {"data_base64": "AAE="}),
    ],
)
def test_data_of_every_kind_is_kept(more: dict[str, Any], properties: dict[str, Any]) -> None:
    assert touchpoint(structured(subject="ann", **more)).properties == properties


def test_a_binary_event_has_its_attributes_in_headers() -> None:
    headers = {**HEADERS, b"ce-subject": b"Euro%20%E2%82%AC%20%F0%9F%98%80", b"ce-note": b'"a \\"quoted\\" one"'}
    call = only(cloudevents.translate(asked({"order_id": "1001"}, headers=headers)))
    assert call["messageId"] == "1234-1234-1234"
    assert call["timestamp"] == "2018-04-05T03:56:24Z"
    assert call["properties"] == {"order_id": "1001"}
    kept = call["context"]["cloudevent"]
    assert (kept["subject"], kept["note"]) == ("Euro € 😀", 'a "quoted" one')
    assert kept["datacontenttype"] == "application/json"


@pytest.mark.parametrize(
    ("kind", "body", "properties"),
    [
        (b"text/plain", "größer".encode(), {"data": "größer"}),
        (b"application/octet-stream", b"\x00\xff", {"data_base64": "AP8="}),
        (b"application/json", b"", {}),
        (b"", b'{"a":1}', {"a": 1}),
        (b"application/vnd.shop+json", b'"x"', {"data": "x"}),
    ],
)
def test_the_data_of_a_binary_event_is_its_body(kind: bytes, body: bytes, properties: dict[str, Any]) -> None:
    headers = {**HEADERS, b"content-type": kind, b"ce-userid": b"ann"}
    assert touchpoint(cloudevents.translate(asked(body, headers=headers))).properties == properties


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({b"ce-subject": b"%C0%A0"}, b"{}", "invalid_utf8"),
        ({}, b'"\xff"', "invalid_utf8"),
        ({}, b"{", "invalid_json"),
        ({b"ce-specversion": b"0.3"}, b"{}", "bad_specversion"),
        ({b"ce-id": b""}, b"{}", "missing_attribute"),
        ({b"content-type": b"application/cloudevents+avro"}, b"{}", "bad_content_type"),
        ({b"content-type": b"application/cloudevents-batch+protobuf"}, b"{}", "bad_content_type"),
    ],
)
def test_a_binary_event_that_is_none_is_refused(headers: dict[bytes, bytes], body: bytes, code: str) -> None:
    assert taken(cloudevents.translate(asked(body, headers={**HEADERS, **headers}))) == [code]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"specversion": "0.3"}, "bad_specversion"),
        ({"specversion": 1.0}, "bad_specversion"),
        ({"id": None}, "missing_attribute"),
        ({"id": 7}, "missing_attribute"),
        ({"source": ""}, "missing_attribute"),
        ({"type": ["x"]}, "missing_attribute"),
        ({"id": "x" * 101}, "bad_message_id"),
        ({"time": "yesterday"}, "bad_timestamp"),
        ({"data_base64": "%"}, "bad_base64"),
        ({"data_base64": base64.b64encode(b"{").decode()}, "invalid_json"),
        ({"data": {"userId": "ann", "context": 5}}, "bad_context"),
        ({"data": {"userId": "ann", "properties": 5}}, "bad_properties"),
    ],
)
def test_a_structured_event_that_is_none_is_refused(more: dict[str, Any], code: str) -> None:
    assert taken(structured(**more)) == [code]


def test_times_are_those_of_rfc_3339() -> None:
    for time in ("2018-04-05t17:31:00z", "2018-04-05T17:31:00.123456789Z", "2018-04-05T19:31:00+02:00"):
        assert touchpoint(structured(time=time)).occurred_at.isoformat()[:19] == "2018-04-05T17:31:00"


def test_a_batch_is_as_many_calls_each_looked_at_alone() -> None:
    batch = [EVENT, {**EVENT, "specversion": "0.3"}, 5, {**EVENT, "id": "second"}]
    translated = cloudevents.translate(asked(batch, headers=BATCHED))
    assert isinstance(translated, Translated)
    assert refused(translated) == [None, "bad_specversion", "not_an_object", None]
    assert [json.loads(sent) for _, sent in translated.calls if sent] == batch[1:3]
    assert [call["messageId"] for call in calls_of(translated)] == ["C234-1234-1234", "second"]
    assert taken(cloudevents.translate(asked({}, headers=BATCHED))) == ["bad_batch"]
    assert taken(cloudevents.translate(asked([0] * 10_001, headers=BATCHED))) == ["too_many_calls"]


def test_an_empty_batch_is_stored() -> None:
    assert cloudevents.translate(asked([], headers=BATCHED)) == Translated([])
    shown = cloudevents.show(refuse(Refused("empty_batch", "")), asked())
    assert (shown.status, shown.content) == (200, STORED)
    assert cloudevents.show(refuse(Refused("bad_batch", "")), asked()).status == 400
    assert cloudevents.show(ALL_STORED, asked()).status == 200


def test_a_media_type_that_was_forgotten_is_guessed() -> None:
    assert cloudevents.translate(asked(EVENT)) == structured()
    assert len(calls_of(cloudevents.translate(asked([EVENT, EVENT], headers={})))) == 2


def test_what_the_cloudevents_sdk_for_python_writes_is_read() -> None:
    # Both forms of one event, as cloudevents 2.2.0 writes them.
    data = b'{"order_id": "1001", "total": "9.90", "city": "Z\\u00fcrich"}'
    binary = {
        b"ce-id": b"A234-1234-1234", b"ce-source": b"https://shop.example/orders", b"ce-type": b"com.shop.OrderCompleted",
        b"ce-subject": b"K%C3%A4ufer%20%2242%22%20100%25", b"ce-time": b"2026-06-01T12:00:00.123000Z",
        b"content-type": b"application/json", b"ce-userid": b"ann", b"ce-specversion": b"1.0",
    }  # fmt: skip
    whole = (
        b'{"id": "A234-1234-1234", "source": "https://shop.example/orders", "type": "com.shop.OrderCompleted", '
        b'"subject": "K\\u00e4ufer \\"42\\" 100%", "time": "2026-06-01T12:00:00.123000Z", '
        b'"datacontenttype": "application/json", "userid": "ann", "specversion": "1.0", "data": ' + data + b"}"
    )
    found = touchpoint(cloudevents.translate(asked(data, headers=binary)))
    again = touchpoint(cloudevents.translate(asked(whole, headers=STRUCTURED)))
    assert found == again
    assert (found.event, found.people[0].value, found.properties["city"]) == ("Order Completed", "ann", "Zürich")


attributes = st.sampled_from(["specversion", "id", "source", "type", "time", "subject", "userid", "datacontenttype", "data",
                              "data_base64", "x"])  # fmt: skip
good = st.sampled_from(
    ["1.0", "Order Completed", "identify", "group", "ann", "application/json", "e30=", "2018-04-05T17:31:00Z"]
)
told = st.dictionaries(
    st.sampled_from(["userId", "anonymousId", "properties", "context", "traits", "order_id", "email", "name"]),
    values | good,
)


@settings(max_examples=100, deadline=None)
@given(
    event=st.dictionaries(attributes, values | good | told | deep, max_size=9),
    body=st.binary(max_size=30) | told.map(lambda data: json.dumps(data).encode()),
    kind=st.sampled_from([b"", b"application/json", b"text/plain", b"application/cloudevents+json"]),
    value=st.binary(max_size=12) | st.sampled_from([b'"\\', b'"%FF"', b"%", b"1.0"]),
)
def test_anything_is_translated_or_refused(event: dict[str, Any], body: bytes, kind: bytes, value: bytes) -> None:
    whole = {"specversion": "1.0", "id": "1", "source": "/", "type": "x", **event}
    taken(cloudevents.translate(asked(json.dumps(whole).encode(), headers=STRUCTURED)))
    taken(cloudevents.translate(asked(json.dumps([whole, event]).encode(), headers=BATCHED)))
    taken(cloudevents.translate(asked(body, headers={**HEADERS, b"ce-any": value, b"content-type": kind})))
    taken(cloudevents.translate(asked(body, headers={b"content-type": kind})))
    taken(cloudevents.translate(asked(body, headers=BATCHED)))
