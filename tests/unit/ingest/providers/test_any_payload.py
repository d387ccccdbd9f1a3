"""Whatever JSON stands behind a right signature: a translation or a refusal, never an exception, always within bounds."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.calls import MESSAGE_ID_MAX
from services.ingest.codes import CALL_CODES, Refused
from services.ingest.providers import PROVIDERS, Delivery, Translation, aftership, easypost, shippo, shopify, stripe
from tests.support.webhooks import PAYLOADS

NAMES = sorted(PROVIDERS)
HEADERS = {
    "shopify": (b"x-shopify-topic", [*shopify.TOPICS, *shopify.PRIVACY, "", "odd"]),
    "woocommerce": (b"x-wc-webhook-topic", ["order.created", "order.updated", "customer.created", "order.deleted", ""]),
}
DOCUMENTED = {path.stem: json.loads(path.read_text("utf-8")) for path in PAYLOADS.glob("*.json")}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20),
    st.sampled_from(["2026-11-23T10:00:00Z", "0001-01-01", "9999-12-31T23:59:59-14:00", "#", "#1001", "٣", "-0", "1e9", "NaN"]),
    st.sampled_from([0, -1, 10**18, 10**40, 253402300800]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)  # fmt: skip


def names_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in names_of(inner)}
    return {name for inner in value for name in names_of(inner)} if isinstance(value, list) else set()


FIELDS = sorted(set().union(*map(names_of, DOCUMENTED.values())))
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6), max_leaves=20
)  # fmt: skip
TYPES = st.sampled_from(
    [*stripe.TOPICS, *aftership.EVENTS, *easypost.EVENTS, *shippo.EVENTS, "shipment.scanned", "track", "x"]
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A documented payload in which some values are others."""
    value = json.loads(json.dumps(draw(st.sampled_from(list(DOCUMENTED.values())))))
    for _ in range(draw(st.integers(1, 4))):
        place = value
        while True:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(ODD)
            break
    return value


def check(provider: str, raw: bytes, topic: str) -> None:
    header = {HEADERS[provider][0]: topic.encode()} if provider in HEADERS else {}
    made = PROVIDERS[provider].translate(Delivery(raw, header))
    if isinstance(made, Refused):
        assert made.code in CALL_CODES
        return
    assert isinstance(made, Translation)
    again = PROVIDERS[provider].translate(Delivery(raw, header))
    assert isinstance(again, Translation)
    assert list(again.calls) == list(made.calls)
    for call in made.calls:
        told = msgspec.json.decode(call, type=dict[str, msgspec.Raw])
        told_as = msgspec.json.decode(told["messageId"])
        assert isinstance(told_as, str)
        assert 0 < len(told_as) <= MESSAGE_ID_MAX


@given(provider=st.sampled_from(NAMES), body=st.one_of(JSON, ODD, damaged()), kind=TYPES, data=st.data())
def test_a_translation_never_raises(provider: str, body: Any, kind: str, data: st.DataObject) -> None:
    if isinstance(body, dict) and data.draw(st.booleans()):
        body = {**body, "type": kind, "event": kind, "description": kind}
    topic = data.draw(st.sampled_from(HEADERS[provider][1])) if provider in HEADERS else ""
    check(provider, json.dumps(body).encode(), topic)


WRONG: list[Any] = [[], {}, [[]], {"id": []}, -1, 10**18, True, None, "", "x" * 2_000]
"""What may stand at any place where the documents have something else."""
HUGE = b"1" * 5_000
"""A number that Python would not even write."""

PROVIDER_OF = {name: next(one for one in NAMES if name.startswith(one)) for name in DOCUMENTED}
SEGMENT = {"type": "track", "event": "Order Updated", "messageId": "m", "properties": {"order_id": "1"}}
SCANNED = {
    "type": "shipment.scanned",
    "timestamp": "t",
    "data": {"status": "x", "user_id": 1, "email": "a", "country": "DE"},
}
BODIES: list[tuple[str, Any]] = [
    *((PROVIDER_OF[name], told) for name, told in DOCUMENTED.items() if name != "shopify_order"),
    ("standard", SEGMENT), ("standard", SCANNED),
    ("shopify", {**DOCUMENTED["shopify_order"], "refunds": [DOCUMENTED["shopify_refund"]],
                 "fulfillments": [DOCUMENTED["shopify_fulfillment"]]}),
]  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every object or list with each of its names or places, the whole tree down."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [found for key in keys for found in ((value, key), *places(value[key]))]


def topics_of(provider: str, body: Any) -> list[tuple[str, Any]]:
    """The body under each topic that its provider tells of in a way of its own."""
    if provider == "shopify":
        return [(topic, body) for topic in {tell: topic for topic, tell in shopify.TOPICS.items()}.values()]
    if provider in HEADERS:
        return [(topic, body) for topic in HEADERS[provider][1]]
    if provider == "stripe":
        return [("", {**body, "type": topic}) for topic in stripe.TOPICS]
    return [("", body)]


@pytest.mark.parametrize(("provider", "body"), BODIES)
def test_whatever_stands_at_one_place_of_a_payload_is_translated(provider: str, body: Any) -> None:
    told = json.loads(json.dumps(body))
    for holder, key in places(told):
        kept = holder[key]
        for wrong in [*WRONG, "HUGE"]:
            holder[key] = wrong
            for topic, whole in topics_of(provider, told):
                raw = json.dumps(whole).encode().replace(b'"HUGE"', HUGE)
                header = {HEADERS[provider][0]: topic.encode()} if provider in HEADERS else {}
                assert PROVIDERS[provider].translate(Delivery(raw, header))
        holder[key] = kept


@given(provider=st.sampled_from(NAMES), raw=st.binary(max_size=60))
def test_bytes_that_are_no_json_are_refused(provider: str, raw: bytes) -> None:
    check(provider, raw, "orders/create")


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"), (b"[]", "not_an_object"), (b"null", "not_an_object"), (b'"x"', "not_an_object"),
        (b'{"a":1} x', "invalid_json"), (b'{"a":"\xff"}', "invalid_utf8"), (b'{"a":"\\ud800"}', "bad_character"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "too_deep"),
    ],
)  # fmt: skip
def test_nonsense_has_the_code_of_a_call(provider: str, raw: bytes, code: str) -> None:
    made = PROVIDERS[provider].translate(Delivery(raw, {}))
    assert isinstance(made, Refused)
    assert made.code == code
