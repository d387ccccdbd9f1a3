from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.contracts.accepted import VERSION, Accepted, NewerRecordError
from services.ingest.calls import Receipt, Record, take
from tests.unit.contracts import version_1

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
objects = st.dictionaries(texts, anything, max_size=4)
times = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
heads = st.fixed_dictionaries(
    {
        "source": texts, "namespace": texts, "trusted": st.booleans(), "library": texts, "received_at": times,
        "occurred_at": times, "message_id": texts.filter(bool),
    },
    optional={"clamped": st.booleans(), "historical": st.booleans()},
)  # fmt: skip
calls = st.fixed_dictionaries(
    {"type": texts},
    optional={
        "event": anything, "name": anything, "userId": anything, "anonymousId": anything, "previousId": anything,
        "groupId": anything, "properties": objects, "traits": objects, "context": anything, "somethingElse": anything,
    },
)  # fmt: skip


@given(heads, calls, st.none() | objects)
def test_what_is_written_is_read(head: dict[str, Any], call: dict[str, Any], shared: dict[str, Any] | None) -> None:
    raw = None if shared is None else orjson.dumps(shared)
    record = accepted.decode(accepted.encode(orjson.dumps(call), shared=raw, **head))
    assert {name: getattr(record, name) for name in head} == head
    assert record.v == VERSION
    assert record.shared == shared
    assert record.call.type == call["type"]
    for field, name in (
        ("event", "event"),
        ("user_id", "userId"),
        ("anonymous_id", "anonymousId"),
        ("context", "context"),
    ):
        assert getattr(record.call, field) == call.get(name)
    assert orjson.loads(bytes(record.call.properties)) == call.get("properties", {})
    assert orjson.loads(bytes(record.call.traits)) == call.get("traits", {})


@given(heads, calls, st.none() | objects)
def test_what_is_written_is_read_by_a_reader_of_version_1(
    head: dict[str, Any], call: dict[str, Any], shared: dict[str, Any] | None
) -> None:
    """An older stitcher beside newer collectors, and one that an upgrade was taken back from."""
    raw = None if shared is None else orjson.dumps(shared)
    record = version_1.decode(accepted.encode(orjson.dumps(call), shared=raw, privacy_signal=True, **head))
    assert {name: getattr(record, name) for name in head} == head
    assert record.v == 1
    assert record.shared == shared
    assert record.call.type == call["type"]
    assert orjson.loads(bytes(record.call.properties)) == call.get("properties", {})


@pytest.mark.parametrize("told", [{}, {"timestamp": "2026-01-01T00:00:00Z"}], ids=["untimed", "timed"])
@pytest.mark.parametrize("message_id", ["m", 7, None], ids=["text", "number", "none"])
def test_what_the_collector_makes_of_a_call_is_read_by_a_reader_of_version_1(
    told: dict[str, Any], message_id: Any
) -> None:
    now = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    envelope = accepted.Envelope(source="s", namespace="n", trusted=True, received_at=now)
    call = {"type": "track", "event": "Bought", "userId": "ann", "messageId": message_id, **told}
    made = take(orjson.dumps(call), Receipt(envelope, "n", True, now, 10_000, "server"))  # noqa: FBT003 - as it is made
    assert isinstance(made, Record)
    old, new = version_1.decode(made.value), accepted.decode(made.value)
    assert (old.message_id, old.occurred_at) == (new.message_id, new.occurred_at)
    assert new.occurred_at == (now - timedelta(seconds=1) if told else now)


def test_a_record_of_version_2_is_read() -> None:
    """It says nothing twice: neither a message id that stands in the call nor a time that is the one of receipt."""
    value = (
        b'{"v":2,"source":"s","namespace":"n","trusted":true,"received_at":"2026-01-01T00:00:00Z","library":"web",'
        b'"call":{"type":"track","messageId":"m"}}'
    )
    record = accepted.decode(value)
    assert (record.message_id, record.occurred_at) == ("m", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(msgspec.DecodeError):
        accepted.decode(value.replace(b'"messageId":"m"', b'"messageId":7'))


@pytest.mark.parametrize(
    "fields",
    [
        b'"when":5',
        b'"trusted":true,"library":"web","received_at":"2026-01-01T00:00:01Z","message_id":"m","call":{"type":"page"}',
    ],
    ids=["other fields", "the same fields"],
)
def test_a_record_of_a_newer_version_is_not_read(fields: bytes) -> None:
    value = b'{"v":%d,"source":"s","namespace":"n",%b}' % (accepted.READABLE + 1, fields)
    with pytest.raises(NewerRecordError, match="version 3"):
        accepted.decode(value)


@pytest.mark.parametrize(
    "value", [b'{"v":3}', b'{"v":"3","source":"s","namespace":"n"}', b'{"v":3,"source":"s","namespace":"n"']
)
def test_what_is_no_record_is_none_of_a_newer_version(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        accepted.decode(value)
    assert not isinstance(raised.value, NewerRecordError)


def test_a_record_of_version_1_is_read_as_it_was() -> None:
    value = (
        b'{"v":1,"source":"s","namespace":"n","trusted":true,"library":"web","received_at":"2026-01-01T00:00:01Z",'
        b'"occurred_at":"2026-01-01T00:00:00Z","message_id":"m","clamped":true,"call":{"type":"page","messageId":7}}'
    )
    record = accepted.decode(value)
    assert record.v == 1
    assert record.message_id == "m"
    assert record.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.received_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert record.clamped


def test_the_call_stays_as_it_was_sent_byte_by_byte() -> None:
    call = b'{ "type":"track", "properties":{"total":10.50,"\\u0061":1e3} }'
    now = datetime(2026, 1, 1, tzinfo=UTC)
    value = accepted.encode(
        call,
        source="s",
        namespace="n",
        trusted=True,
        library="web",
        received_at=now,
        occurred_at=now,
        message_id="m",
    )
    assert value.endswith(b'"call":' + call + b"}")
    assert bytes(accepted.decode(value).call.properties) == b'{"total":10.50,"\\u0061":1e3}'


@given(heads, calls, st.none() | objects)
def test_an_envelope_writes_what_encode_writes(
    head: dict[str, Any], call: dict[str, Any], shared: dict[str, Any] | None
) -> None:
    raw = None if shared is None else orjson.dumps(shared)
    common = {
        name: head[name] for name in ("source", "namespace", "trusted", "received_at", "historical") if name in head
    }
    own = {name: value for name, value in head.items() if name not in common}
    around = accepted.Envelope(shared=raw, **common).around(orjson.dumps(call), **own)
    assert orjson.loads(around) == orjson.loads(accepted.encode(orjson.dumps(call), shared=raw, **head))


@pytest.mark.parametrize(
    "value", [b"", b"null", b"[]", b"{}", b"\xff", b'{"v":1}', b'{"v":1,"source":"s"', b'{"v":"one","source":"s"}']
)
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        accepted.decode(value)


def test_a_record_of_a_newer_writer_with_more_fields_can_be_read() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    value = accepted.encode(
        b"{}", source="s", namespace="n", trusted=True, library="web", received_at=now, occurred_at=now, message_id="m"
    )
    more: Accepted = accepted.decode(b'{"more":{"x":1},' + value[1:])
    assert more.message_id == "m"
