"""From what was sent to the core's touchpoint: which names count, which channel, whose it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.contracts.reading import NAME_LENGTH, Unreadable, to_touchpoint
from pathline.domain.identifiers import PERSON_KINDS, THING_KINDS
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import CALL_TYPES, CHANNELS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(call: dict[str, Any], *, shared: dict[str, Any] | None = None, **envelope: Any) -> Touchpoint:
    given_too: dict[str, Any] = {
        "source": "shop", "namespace": "default", "trusted": True, "library": "server", "received_at": NOW,
        "occurred_at": NOW, "message_id": "m1",
    }  # fmt: skip
    raw = None if shared is None else orjson.dumps(shared)
    return to_touchpoint(accepted.decode(accepted.encode(orjson.dumps(call), shared=raw, **(given_too | envelope))))


def names(touchpoint: Touchpoint) -> dict[str, str]:
    return {name.kind: name.value for name in touchpoint.people}


def test_every_kind_of_identifier_is_found_strongest_first() -> None:
    one = read(
        {
            "type": "identify", "userId": 42, "anonymousId": "browser",
            "traits": {"email": "Ann@Example.com", "phone": "+1 202 555 0101"}, "context": {"device": {"id": "phone"}},
        }
    )  # fmt: skip
    assert [(name.kind, name.value) for name in one.people] == [
        ("user_id", "42"),
        ("email", "ann@example.com"),
        ("phone", "+12025550101"),
        ("anonymous_id", "browser"),
        ("device_id", "phone"),
    ]


def test_of_two_of_one_kind_the_first_place_counts_and_one_that_cannot_be_used_does_not() -> None:
    places: dict[str, Any] = {
        "traits": {"email": "own@x"},
        "context": {"traits": {"email": "context@x"}},
        "properties": {"email": "properties@x"},
    }
    assert names(read({"type": "track", "event": "E", **places}))["email"] == "own@x"
    places["traits"]["email"] = "null"
    assert names(read({"type": "track", "event": "E", **places}))["email"] == "context@x"
    places["context"]["traits"]["email"] = 5
    assert names(read({"type": "track", "event": "E", **places}))["email"] == "properties@x"


@pytest.mark.parametrize(
    "where",
    [
        {"context": {"location": {"country": "DE"}}},
        {"context": {"locale": "de-DE"}},
        {"traits": {"address": {"country": "DE"}}},
        {"properties": {"address": {"country": "DE"}}},
    ],
)
def test_a_number_without_a_prefix_is_of_the_country_that_the_call_tells(where: dict[str, Any]) -> None:
    call: dict[str, Any] = {"type": "identify", "userId": "ann", **where}
    call["traits"] = {**call.get("traits", {}), "phone": "030 901820"}
    assert names(read(call))["phone"] == "+4930901820"


@pytest.mark.parametrize(
    ("call", "library", "channel"),
    [
        ({"event": "E", "properties": {"channel": "phone"}, "context": {"channel": "chat"}}, "web", "phone"),
        ({"event": "E", "context": {"channel": "chat"}}, "web", "chat"),
        ({"event": "E", "properties": {"channel": "pigeon"}, "context": {"channel": "CHAT"}}, "web", "chat"),
        ({"event": "E", "properties": {"channel": "mobile"}}, "web", "app"),
        ({"event": "E", "context": {"channel": "browser"}}, "server", "web"),
        ({"event": "Shipment Scanned", "properties": {"order_id": "1"}}, "server", "delivery"),
        ({"event": "Payment Failed", "properties": {"order_id": "1"}}, "server", "payment"),
        ({"event": "Survey Answered"}, "web", "survey"),
        ({"event": "E"}, "web", "web"),
        ({"event": "E"}, "app", "app"),
        ({"event": "E"}, "server", "server"),
        ({"event": "E"}, "toaster", "other"),
        ({"event": "E", "properties": {"channel": ["web"]}}, "app", "app"),
        ({"type": "page", "name": "Shipment Scanned"}, "web", "web"),
    ],
)
def test_the_channel(call: dict[str, Any], library: str, channel: str) -> None:
    assert read({"type": "track", "userId": "ann", **call}, library=library).channel == channel


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ({"type": "track", "event": "Order Completed"}, "Order Completed"),
        ({"type": "page", "name": "Home"}, "Home"),
        ({"type": "screen", "name": "Home"}, "Home"),
        ({"type": "page"}, "page"),
        ({"type": "identify", "event": "Order Completed"}, "identify"),
        ({"type": "track", "event": None}, "track"),
        ({"type": "track", "event": ""}, "track"),
        ({"type": "track", "event": 5}, "track"),
        ({"type": "track", "event": "x" * 999}, "x" * NAME_LENGTH),
        ({"type": "track", "event": "a\0b"}, "a\ufffdb"),
    ],
)
def test_the_name_of_what_happened(call: dict[str, Any], event: str) -> None:
    assert read({"userId": "ann", **call}).event == event


def test_things_are_named_by_track_calls_only_in_the_order_in_which_a_report_belongs_to_them() -> None:
    properties = {
        "order_id": 1001, "tracking_number": "p", "case_id": "k", "checkout_id": "c", "invoice_id": "i", "dispute_id": "d",
    }  # fmt: skip
    one = read({"type": "track", "event": "Something Else", "properties": properties})
    assert tuple(thing.kind for thing in one.things) == THING_KINDS
    assert one.named("order") == ("default", "order", "1001")
    assert read({"type": "page", "userId": "ann", "properties": properties}).things == ()
    assert read({"type": "track", "userId": "ann", "properties": {"order_id": "null"}}).things == ()


def test_a_reply_of_the_customer_is_an_act() -> None:
    reply: dict[str, Any] = {"type": "track", "event": "Contact Replied", "properties": {"case_id": "k", "by": "agent"}}
    assert read(reply).report
    reply["properties"]["by"] = "customer"
    assert not read({**reply, "userId": "ann"}).report


def test_the_traits_of_a_group_are_the_accounts_and_name_nobody() -> None:
    one = read({"type": "group", "userId": "ann", "groupId": "acme", "traits": {"email": "info@acme", "name": "Acme"}})
    assert (one.account, names(one), one.traits) == ("acme", {"user_id": "ann"}, {})
    assert orjson.loads(one.body)["name"] == "Acme"
    assert read({"type": "page", "userId": "ann", "context": {"groupId": "acme"}}).account == "acme"


def test_the_context_of_the_batch_stands_behind_that_of_the_call() -> None:
    shared = {"channel": "chat", "device": {"id": "phone"}}
    one = read({"type": "track", "userId": "ann", "context": {"channel": "phone"}}, shared=shared)
    assert (one.channel, names(one)["device_id"]) == ("phone", "phone")


def test_previous_id_is_read_of_an_alias_only() -> None:
    assert read({"type": "alias", "userId": "ann", "previousId": "bob"}).previous_id == "bob"
    assert read({"type": "alias", "userId": "ann", "previousId": "null"}).previous_id is None
    assert read({"type": "identify", "userId": "ann", "previousId": "bob"}).previous_id is None


def test_the_envelope_is_kept() -> None:
    one = read({"type": "page", "userId": "ann"}, trusted=False, historical=True, namespace="n", source="s")
    assert (one.trusted, one.historical, one.namespace, one.source) == (False, True, "n", "s")
    assert (one.occurred_at, one.received_at, one.message_id) == (NOW, NOW, "m1")


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ({"type": "track", "properties": {"a": 1}, "traits": {"b": 2}}, '{"a":1}'),
        ({"type": "identify", "properties": {"a": 1}, "traits": {"b": 2}}, '{"b":2}'),
        ({"type": "track"}, "{}"),
        ({"type": "track", "properties": None}, "{}"),
    ],
)
def test_what_is_shown_of_it(call: dict[str, Any], body: str) -> None:
    assert read({"userId": "ann", **call}).body == body


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("a\0b\0\0", "a\ufffdb\ufffd\ufffd"),
        ("\\u0000", "\\u0000"),
        ("\\\0", "\\\ufffd"),
        ("\\\\u0000\0", "\\\\u0000\ufffd"),
    ],
)
def test_a_nul_is_not_shown_and_what_only_looks_like_one_is(told: str, shown: str) -> None:
    one = read({"type": "page", "userId": "ann", "properties": {told: told}})
    assert orjson.loads(one.body) == {shown: shown}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"type": "shout", "userId": "ann"}, "unknown_type"),
        ({"type": "track", "event": "E"}, "no_subject"),
        ({"type": "track", "event": "E", "userId": "null", "anonymousId": " "}, "no_subject"),
        ({"type": "track", "event": "Shipment Scanned", "anonymousId": "courier"}, "no_subject"),
        ({"type": "page", "properties": {"order_id": "1"}}, "no_subject"),
        ({"type": "group", "groupId": "acme", "traits": {"email": "info@acme"}}, "no_subject"),
    ],
)
def test_what_cannot_be_used_is_told_with_a_code(call: dict[str, Any], code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(call)
    assert refused.value.code == code


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
PROPERTY_NAMES = ("email", "phone", "channel", "order_id", "tracking_number", "case_id", "by", "address")
fields = st.dictionaries(st.sampled_from(PROPERTY_NAMES) | texts, anything, max_size=4) | anything
calls = st.fixed_dictionaries(
    {"type": st.sampled_from(CALL_TYPES)},
    optional={
        "event": st.sampled_from(("Order Completed", "Contact Replied", "Shipment Scanned")) | anything,
        "name": anything, "userId": anything, "anonymousId": anything, "previousId": anything, "groupId": anything,
        "properties": fields, "traits": fields, "context": fields,
    },
)  # fmt: skip


@given(calls, st.none() | st.dictionaries(texts, anything, max_size=2))
def test_any_json_gives_a_sound_touchpoint_or_a_code(call: dict[str, Any], shared: dict[str, Any] | None) -> None:
    try:
        one = read(call, shared=shared)
    except Unreadable as refused:
        code = refused.code
    else:
        assert sound(one)
        return
    assert code == "no_subject"


def sound(one: Touchpoint) -> bool:
    """Whether the core can take it: names usable and in order, nothing that no database stores."""
    kinds = [PERSON_KINDS.index(name.kind) for name in one.people]
    assert one.channel in CHANNELS
    assert one.subject is not None
    assert len(one.event) <= NAME_LENGTH and "\0" not in one.event
    assert kinds == sorted(set(kinds))
    assert "\\u0000" not in one.body.replace("\\\\", "")
    return orjson.loads(one.body) is not None


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"timestamp": "2025-12-31T23:00:00.5+01:00"}, datetime(2025, 12, 31, 22, 0, 0, 500_000, tzinfo=UTC)),
        ({"originalTimestamp": "2025-12-31T22:00:00"}, datetime(2025, 12, 31, 22, tzinfo=UTC)),
        ({"timestamp": "1970-01-01", "originalTimestamp": "2025-12-31"}, datetime(1970, 1, 1, tzinfo=UTC)),
        ({"timestamp": NOW.isoformat()}, None),
        ({}, None),
        ({"timestamp": None}, None),
        ({"timestamp": 5}, None),
        ({"timestamp": "yesterday"}, None),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, None),
        ({"timestamp": "9999-12-31T23:59:59Z"}, None),
    ],
)
def test_a_browsers_own_time_is_kept_where_another_counts(call: dict[str, Any], told: datetime | None) -> None:
    sent = {"type": "track", "event": "E", "userId": "ann", **call}
    one = read(sent, trusted=False, clamped=True)
    assert (one.told_at, one.clamped, one.occurred_at) == (told, True, NOW)
    assert not read(sent, trusted=False).clamped
    assert read(sent, trusted=True).told_at is None, "a server's word stands as it is"
