"""The calls of a batch are recorded in one loop as they would be one by one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.storage.keys import Addresses
from services.ingest import calls, together
from services.ingest.calls import Item, Receipt
from services.ingest.codes import Refused
from services.ingest.subject import NOTHING
from tests.support.together import as_taken
from tests.unit.ingest.test_readable import NOW, call, contexts

PAGE: dict[str, Any] = {"type": "page", "messageId": "m", "context": {"library": {"name": "analytics.js"}}}
SEEN: dict[str, Any] = {**PAGE, "type": "track", "event": "Product Viewed", "userId": "ann"}
SPREAD: dict[str, Any] = {"traits": {"email": "ann@example.com"}, "device": {"id": "d-1"}}

usual = st.fixed_dictionaries(
    {"type": st.sampled_from(("track", "page", "screen", "identify")), "messageId": st.sampled_from(("m-1", "", "x" * 101, 7, '\u00e9"'))},
    optional={
        "event": st.sampled_from(("Product Viewed", "Order Completed", "Shipment Scanned", "Made Up", "", "x" * 101, [], 5)),
        "userId": st.sampled_from(("ann", " ann ", "null", 42, "e\u0301", "", None, [], "x" * 201)),
        "anonymousId": st.sampled_from(("v-1", "guest", 7, None, {}, "'0'")),
        "properties": st.sampled_from(({}, {"email": "bob@example.com"}, {"order_id": "o-1"}, None)),
        "traits": st.sampled_from(({}, {"phone": "+12025550101"}, None)),
        "context": st.sampled_from(({}, PAGE["context"], SPREAD, {"ip": "192.0.2.1"}, None, [])),
        "timestamp": st.sampled_from(("2026-06-01T12:00:00Z", None, "", 5)),
        "originalTimestamp": st.sampled_from(("2026-06-01T12:00:00Z", None, False)),
        "sentAt": st.sampled_from(("2026-06-01T12:00:00Z", None, 0)),
        "writeKey": st.sampled_from(("k", None, "")),
    },
)  # fmt: skip


def receipt(
    context: dict[str, Any] | None, *, trusted: bool, events: frozenset[str] | None, keep: Addresses
) -> Receipt:
    shared = None if context is None else msgspec.json.encode(context)
    envelope = accepted.Envelope(source="shop", namespace="default", trusted=trusted, received_at=NOW, shared=shared)
    return Receipt(envelope, "default", trusted, NOW, 32_768, "server", None, context or NOTHING, events, keep)


@settings(max_examples=500, deadline=None)
@given(
    sent=st.lists(usual | call, min_size=1, max_size=6),
    context=st.none() | st.just(SPREAD) | contexts,
    trusted=st.booleans(),
    events=st.sampled_from((None, None, frozenset({"Product Viewed"}))),
    keep=st.sampled_from(("full", "truncated", "none")),
)
@example(sent=[SEEN, SEEN, {**PAGE, "anonymousId": "v-1"}], context=None, trusted=True, events=None, keep="full")
@example(sent=[SEEN, {**SEEN, "messageId": ""}], context=None, trusted=True, events=None, keep="full")
@example(sent=[SEEN, {**SEEN, "sentAt": 0}], context=None, trusted=True, events=None, keep="full")
@example(sent=[SEEN, {**SEEN, "timestamp": "2026-06-01"}], context=None, trusted=True, events=None, keep="full")
@example(
    sent=[PAGE, {**PAGE, "anonymousId": "v", "traits": {"email": "b@example.com"}}],
    context=None,
    trusted=True,
    events=None,
    keep="full",
)
@example(sent=[SEEN, {**SEEN, "originalTimestamp": False}], context=None, trusted=False, events=None, keep="full")
@example(sent=[SEEN, {**SEEN, "writeKey": "k"}], context=None, trusted=True, events=None, keep="full")
@example(sent=[{**PAGE, "anonymousId": "v"}] * 2, context=SPREAD, trusted=True, events=None, keep="full")
@example(
    sent=[SEEN, {**SEEN, "userId": None, "anonymousId": "v", "properties": {"email": "b@example.com"}}],
    context=None,
    trusted=True,
    events=None,
    keep="full",
)
@example(
    sent=[{**SEEN, "context": {"ip": "192.0.2.1"}}] * 3, context=None, trusted=False, events=None, keep="truncated"
)
@example(
    sent=[SEEN, {**SEEN, "event": "Made Up"}],
    context=None,
    trusted=True,
    events=frozenset({"Product Viewed"}),
    keep="full",
)
@example(sent=[{**SEEN, "event": "Contact Replied"}] * 2, context=None, trusted=False, events=None, keep="full")
def test_a_batch_is_recorded_as_its_calls_would_be(
    sent: list[dict[str, Any]],
    context: dict[str, Any] | None,
    events: frozenset[str] | None,
    keep: Addresses,
    *,
    trusted: bool,
) -> None:
    raws = [json.dumps(one).encode() for one in sent]
    items: list[Item | Refused] = [calls.read(raw, 32_768) for raw in raws]
    one_by_one = [
        item if isinstance(item, Refused) else calls.record(raw, item, item.type, receipt(context, trusted=trusted, events=events, keep=keep))
        for raw, item in zip(raws, items, strict=True)
    ]  # fmt: skip
    taken = together.take(raws, items, receipt(context, trusted=trusted, events=events, keep=keep))
    assert taken == as_taken(one_by_one)
