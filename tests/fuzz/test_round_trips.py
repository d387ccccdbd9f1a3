"""What goes out and comes in again is the same; what is sent in another way is judged the same (Hypothesis)."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.vocabulary import CALL_TYPES, VOCABULARY
from services.ingest import calls
from services.ingest.body import GZIP_MEMBERS_MAX, Body, Held, inflate
from services.ingest.calls import Item, Record
from services.ingest.metrics import IngestMetrics
from tests.fuzz.judge import BATCH, CALL_BYTES_MAX, NOW, TRUSTED, judge, receipt

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = (
    st.none() | st.booleans() | texts | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(st.sampled_from(["email", "phone", "order_id", "status", "by"]) | texts, values, max_size=4)
sent = st.fixed_dictionaries(
    {"type": st.sampled_from(CALL_TYPES)},
    optional={
        "event": st.sampled_from(tuple(VOCABULARY)) | texts, "name": values, "userId": values, "anonymousId": texts,
        "previousId": texts, "groupId": texts, "messageId": texts | st.none(), "properties": objects, "traits": objects,
        "context": objects | st.just({"library": {"name": "analytics-node"}}), "sentAt": st.just("2026-06-01T11:59:59Z"),
    },
)  # fmt: skip
instants = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds of naive times


@settings(deadline=None)
@given(
    call=sent, shared=st.none() | objects, message_id=texts.filter(bool), trusted=st.booleans(), historical=st.booleans(),
    clamped=st.booleans(), received_at=instants, occurred_at=instants, library=st.sampled_from(["web", "app", "server"]),
)  # fmt: skip
def test_a_record_is_read_as_it_was_written(
    call: dict[str, Any], shared: dict[str, Any] | None, **envelope: Any
) -> None:
    raw, common = msgspec.json.encode(call), None if shared is None else msgspec.json.encode(shared)
    value = accepted.encode(raw, source="shop", namespace="default", shared=common, **envelope)
    read = accepted.decode(value)
    assert {name: getattr(read, name) for name in envelope} == envelope
    assert read.shared == shared
    assert msgspec.json.decode(value)["call"] == call
    for name in ("properties", "traits"):
        assert msgspec.json.decode(getattr(read.call, name)) == call.get(name, {})


@settings(deadline=None)
@given(
    body=st.binary(max_size=2_000),
    cuts=st.lists(st.integers(0, 2_000), max_size=GZIP_MEMBERS_MAX - 1),
    level=st.integers(0, 9),
)
def test_what_was_zipped_in_any_members_comes_out(body: bytes, cuts: list[int], level: int) -> None:
    zipped = b"".join(gzip.compress(part, level) for part in _parts(body, cuts))
    assert inflate(zipped, len(body)) == body
    assert inflate(gzip.compress(zipped, level), len(zipped)) == zipped, "one layer, no more"


@settings(deadline=None)
@given(body=st.binary(max_size=500), cuts=st.lists(st.integers(0, 500), max_size=20))
async def test_a_body_is_the_same_in_any_pieces(body: bytes, cuts: list[int]) -> None:
    pieces = iter([*_parts(body, cuts), b""])
    left = len(cuts) + 2

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": next(pieces), "more_body": left > 0}

    held = Held(10_000, IngestMetrics(CollectorRegistry(), "t"))
    one = Body(held, 1_000)
    assert await one.receive(receive) == body
    assert held.now == len(body)
    one.release()
    assert held.now == 0


@settings(deadline=None)
@given(call=sent, trusted=st.booleans(), chance=st.integers(0, 2**32))
def test_the_order_of_keys_changes_nothing(call: dict[str, Any], chance: int, *, trusted: bool) -> None:
    one, other = (
        calls.take(_written(form), receipt(trusted=trusted)) for form in (call, _shuffled(call, random.Random(chance)))
    )
    if not isinstance(one, Record) or not isinstance(other, Record):
        assert one == other
        return
    assert (one.key, one.hash, one.when) == (other.key, other.hash, other.when)
    first, second = (to_touchpoint(accepted.decode(record.value)) for record in (one, other))
    assert orjson.loads(first.body) == orjson.loads(second.body)
    assert msgspec.structs.replace(first, body="") == msgspec.structs.replace(second, body="")


@settings(deadline=None)
@given(batch=st.lists(sent, min_size=1, max_size=4), trusted=st.booleans(), late=st.integers(0, 600))
def test_a_call_is_judged_in_a_batch_as_it_is_alone(batch: list[dict[str, Any]], late: int, *, trusted: bool) -> None:
    when = (NOW - timedelta(seconds=late)).isoformat()
    each = [_written({**call, "timestamp": when}) for call in batch]
    whole = b'{"batch":[' + b",".join(each) + b"]}"
    together, alone = receipt(trusted=trusted), [calls.take(one, receipt(trusted=trusted)) for one in each]
    items = calls.read_all(whole, each, CALL_BYTES_MAX)
    assert alone == [
        calls.record(one, item, item.type, together) if isinstance(item, Item) else item
        for one, item in zip(each, items, strict=True)
    ]
    judge(bytes([BATCH | TRUSTED]) + whole)


def _written(call: dict[str, Any]) -> bytes:
    return json.dumps(call, ensure_ascii=False).encode()


def _parts(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The body cut at these places: one part more than there are cuts."""
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    return [body[begin:end] for begin, end in itertools.pairwise(places)]


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(inner, chance) for inner in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: _shuffled(value[key], chance) for key in keys}
