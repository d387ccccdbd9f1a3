"""Whatever is acked can be read: by the record's decoder, by the core, by PostgreSQL, by whoever shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.vocabulary import CALL_TYPES, THING_PROPERTIES, VOCABULARY
from services.ingest import calls, text
from services.ingest.calls import Item, Receipt, Record
from services.ingest.codes import CALL_CODES, Refused

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

ODD_TEXTS = ("", "0", "null", "a\u0000b", "\u202eabc", "e\u0301", "x" * 201, "é" * 101, "'; DROP", "\r\n{}", "[object Object]",
             "00000", " 42 ", "\\u0000", "😀", "+1 202 555 0101", "ann@example.com", "__proto__")  # fmt: skip
ODD_NUMBERS = (0, -1, 42, 2**63, 2**64, 10**4_000, 1.5, -0.0, 1e308, 5e-324)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=20),
    st.integers(),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    *THING_PROPERTIES.values(),
    "email",
    "phone",
    "status",
    "by",
    "channel",
    "survey",
    "score",
    "promised_at",
    "total",
)
objects = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), values, max_size=5)
TIMES = ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00+14:00", "1970-01-01", "2199-12-31T23:59:59.999999Z", "20260601T1200",
         "2026-W01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-06-01T24:00:00Z")  # fmt: skip
times = scalars | st.sampled_from(TIMES)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "traits": objects | values, "device": st.fixed_dictionaries({"id": values}) | values, "locale": scalars,
        "location": st.fixed_dictionaries({"country": scalars}), "library": values, "channel": scalars, "groupId": values,
    },
)  # fmt: skip
call = st.fixed_dictionaries(
    {"type": st.sampled_from(CALL_TYPES) | scalars},
    optional={
        "event": st.sampled_from(tuple(VOCABULARY)) | scalars, "name": values, "userId": values, "anonymousId": values,
        "previousId": values, "groupId": values, "messageId": values, "timestamp": times, "originalTimestamp": times,
        "sentAt": times, "properties": objects | values, "traits": objects | values, "context": contexts | values,
        "writeKey": scalars, "integrations": values,
    },
)  # fmt: skip
BOUGHT: dict[str, Any] = {"type": "track", "event": "Bought", "userId": "ann"}
WRECKS = (
    (b'"', b'\\"'), (b"1", b"1e400"), (b"1", b"1" * 5_000), (b"a", b"\\ud800"), (b"a", b"\xff"), (b"a", b"\xc0\xaf"), (b"e", b"\\u0000"),
    (b"{", b'{"a":' * 40 + b"{"), (b"[", b"[" * 1_200), (b"}", b""), (b":", b": \x00"), (b"null", b"NaN"), (b"t", b"\xed\xa0\x80"),
    (b"true", b"Infinity"), (b":", b":1e131071,"), (b",", b",,"), (b'":', b'":"x","type":'), (b"\\", b"\\\\"),
)  # fmt: skip


def receipt(*, trusted: bool, shared: bytes | None, context: Any) -> Receipt:
    envelope = accepted.Envelope(source="shop", namespace="default", trusted=trusted, received_at=NOW, shared=shared)
    return Receipt(envelope, "default", trusted, NOW, 32_768, "server", None, context or {})


def check(raw: bytes, kind: str | None, *, trusted: bool, shared: bytes | None = None) -> None:
    """Take a call; if it is taken, read it as the stitcher, the database and the console do."""
    context = None
    if shared is not None:
        context = calls.read_context(shared, 32_768)
        if isinstance(context, Refused):
            assert context.code in CALL_CODES
            return
    where = receipt(trusted=trusted, shared=shared, context=context)
    item = calls.read(raw, 32_768)
    got = calls.record(raw, item, item.type if kind is None else kind, where) if isinstance(item, Item) else item
    if isinstance(got, Refused):
        assert got.code in CALL_CODES
        assert raw[:200].decode("utf-8", "replace") not in got.message or len(raw) < 10
        return
    assert isinstance(got, Record)
    record = accepted.decode(got.value)
    touchpoint = to_touchpoint(record)
    assert touchpoint.subject is not None
    assert b"\\u0000" not in got.value.replace(b"\\\\", b"")
    body = json.loads(touchpoint.body)
    assert isinstance(body, dict)
    assert "\0" not in json.dumps(body, ensure_ascii=False)
    json.dumps(body, ensure_ascii=False).encode()
    assert text.depth(got.value) <= 2 * text.DEPTH_MAX
    assert "\0" not in record.message_id and 0 < len(record.message_id) <= calls.MESSAGE_ID_MAX
    assert record.source == "shop" and record.trusted is trusted
    assert got.key.decode().startswith("default/")


@settings(max_examples=200, deadline=None)
@given(sent=call, trusted=st.booleans(), kind=st.sampled_from((None, *CALL_TYPES)), shared=st.none() | contexts)
def test_whatever_is_taken_can_be_read(
    sent: dict[str, Any], kind: str | None, shared: dict[str, Any] | None, *, trusted: bool
) -> None:
    raw = json.dumps(sent, ensure_ascii=len(sent) % 2 == 0).encode()
    check(raw, kind, trusted=trusted, shared=None if shared is None else json.dumps(shared).encode())


@settings(max_examples=300, deadline=None)
@given(sent=call, trusted=st.booleans(), wreck=st.sampled_from(WRECKS), where=st.integers(min_value=0, max_value=6))
@example(sent={**BOUGHT, "properties": {"a": 1}}, trusted=True, wreck=WRECKS[1], where=1)
@example(sent={**BOUGHT, "context": {"a": 1}}, trusted=True, wreck=WRECKS[1], where=1)
@example(sent=BOUGHT, trusted=True, wreck=WRECKS[16], where=1)
def test_a_wrecked_call_is_refused_or_can_be_read(
    sent: dict[str, Any], wreck: tuple[bytes, bytes], where: int, *, trusted: bool
) -> None:
    parts = json.dumps(sent).encode().split(wreck[0])
    where = min(where, len(parts) - 1)
    raw = wreck[0].join(parts[:where]) + (wreck[1] if where else b"") + wreck[0].join(parts[where:])
    check(raw, None, trusted=trusted)


@settings(max_examples=200, deadline=None)
@given(sent=st.lists(call, min_size=1, max_size=3), wreck=st.sampled_from(WRECKS), where=st.integers(0, 6))
@example(sent=[BOUGHT, {**BOUGHT, "properties": []}], wreck=WRECKS[0], where=0)
@example(sent=[BOUGHT] * 2, wreck=WRECKS[6], where=1)
def test_a_batch_is_read_in_one_go_as_it_would_be_one_by_one(
    sent: list[dict[str, Any]], wreck: tuple[bytes, bytes], where: int
) -> None:
    raw = json.dumps({"batch": sent}).encode()
    parts = raw.split(wreck[0])
    where = min(where, len(parts) - 1)
    whole = wreck[0].join(parts[:where]) + (wreck[1] if where else b"") + wreck[0].join(parts[where:])
    try:
        alone = [bytes(one) for one in msgspec.json.decode(whole, type=dict[str, list[msgspec.Raw]])["batch"]]
    except (ValueError, KeyError, RecursionError):
        return
    if alone:
        one_by_one = [calls.read(one, 32_768) for one in alone]
        assert calls.read_all(whole, alone, 32_768) == one_by_one


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_can_be_read(raw: bytes) -> None:
    check(raw, "page", trusted=True)
    check(b'{"userId":"42","traits":' + raw + b"}", "identify", trusted=True)


@given(values)
def test_the_depth_is_what_a_parser_finds(value: Any) -> None:
    def deep(one: Any) -> int:
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else None
        return 0 if inner is None else 1 + max(map(deep, inner), default=0)

    assert text.depth(json.dumps(value).encode()) == deep(value)
    assert text.depth(json.dumps([value, ']]}}{{[\\"'], ensure_ascii=False).encode("utf-8", "replace")) == 1 + deep(
        value
    )


@given(st.text())
def test_half_a_character_is_found_and_nothing_else(chars: str) -> None:
    whole = json.dumps(chars).encode()
    assert not text.has_half_character(whole)
    assert text.marked(whole) == whole
    halved = json.dumps(chars + "\ud800x").encode()
    assert text.has_half_character(halved)
    assert orjson.loads(text.marked(halved)) == chars + "\0x"
