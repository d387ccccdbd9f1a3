from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.contracts.accepted import VERSION, Accepted

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


def test_a_record_says_nothing_twice() -> None:
    """Neither a message id that stands in the call nor a time of occurrence that is the one of receipt."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    given: dict[str, Any] = {
        "source": "s", "namespace": "n", "trusted": True, "library": "web", "received_at": now, "occurred_at": now,
    }  # fmt: skip
    call = b'{"type":"track","messageId":"m"}'
    value = accepted.encode(call, message_id=None, **given)
    assert b"occurred_at" not in value
    assert b"message_id" not in value
    record = accepted.decode(value)
    assert (record.message_id, record.occurred_at) == ("m", now)
    made_up = accepted.decode(accepted.encode(call, message_id="h-1", **given))
    assert made_up.message_id == "h-1"
    with pytest.raises(msgspec.DecodeError):
        accepted.decode(accepted.encode(b'{"type":"track"}', message_id=None, **given))


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
