"""A refused call judged once more becomes the very record that the collector would have made of it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from pathline.contracts import accepted
from pathline.contracts.letters import Around
from pathline.storage.keys import Kind
from services.ingest.again import again
from services.ingest.body import Body, Held
from services.ingest.calls import Record
from services.ingest.codes import Refused
from services.ingest.desk import Desk, Request
from services.ingest.keyring import Keyring
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass, Peer
from services.ingest.settings import IngestSettings
from tests.support.taken import BORN, Taken, key_of

MOST = 32_768
SENT_AT = "2026-11-24T09:30:00Z"


def take(key: Pass, body: Any, kind: str | None = None, *, private: bool = False) -> Taken:
    """What a desk makes of a request."""
    metrics, taken = IngestMetrics(CollectorRegistry(), "t"), Taken()
    desk = Desk(IngestSettings(), Keyring(metrics, 1_000_000), metrics, taken)  # type: ignore[arg-type]
    raw = orjson.dumps(body)
    held = Body(Held(1_000_000, metrics), 1_000_000)
    request = Request(raw, key, held, taken, peer=Peer(local=True, private=private))  # type: ignore[arg-type]
    asyncio.run(desk.take_batch(request) if kind is None else desk.take_one(request, kind))
    return taken


CALLS: list[dict[str, Any]] = [
    {"type": "track", "event": "Product Viewed", "userId": "ann"},
    {"type": "track", "event": "Seen", "anonymousId": "v", "timestamp": "2026-11-24T09:00:00Z", "context": {"ip": "192.0.2.7"}},
    {"type": "identify", "anonymousId": "v", "traits": {"email": "a@shop.example"}, "messageId": "m"},
    {"type": "page", "userId": "ann", "context": {"library": {"name": "analytics-node"}}, "writeKey": "k"},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["server", "browser"])
@pytest.mark.parametrize("call", CALLS)
def test_of_a_batch_with_its_context_and_times(kind: Kind, call: dict[str, Any]) -> None:
    key = key_of(kind)
    common = {"sentAt": SENT_AT, "context": {"locale": "de-DE", "ip": "198.51.100.9"}, "historical": kind == "server"}
    # One of the batch is refused, and shows what goes with a letter.
    taken = take(key, {"batch": [call, {"type": "track"}], **common}, private=True)
    ((_, _, around),) = taken.refused
    (record,) = taken.records
    received_at = accepted.decode(record.value).received_at
    once_more = again(orjson.dumps(call), around, key, MOST, namespace="uk", received_at=received_at)
    assert isinstance(once_more, Record)
    assert (once_more.value, once_more.key, once_more.hash) == (record.value, record.key, record.hash)


@pytest.mark.parametrize("kind", ["server", "browser"])
@pytest.mark.parametrize("call", CALLS)
def test_of_a_single_call_whose_address_says_its_type(kind: Kind, call: dict[str, Any]) -> None:
    key = key_of(kind)
    single = {name: value for name, value in call.items() if name != "type"} | {"historical": kind == "server"}
    (record,) = take(key, single, call["type"], private=True).records
    ((_, _, around),) = take(key, {"nobody": 1}, call["type"], private=True).refused
    received_at = accepted.decode(record.value).received_at
    once_more = again(orjson.dumps(single), around, key, MOST, namespace="uk", received_at=received_at)
    assert isinstance(once_more, Record) and once_more.value == record.value


@pytest.mark.parametrize(
    ("raw", "around", "key", "code"),
    [
        (b"{", Around("track"), key_of("server"), "invalid_json"),
        (b'{"type":"track","userId":"a"}', Around(), key_of("server"), "missing_event"),
        (b'{"userId":"a"}', Around(), key_of("server"), "unknown_type"),
        (b'{"type":"page","userId":"a"}', Around(None, "yesterday"), key_of("server"), "bad_timestamp"),
        (b'{"type":"page","userId":"a"}', Around(historical=True), key_of("browser"), "needs_server_key"),
        (b'{"userId":"a","historical":true}', Around("page"), key_of("browser"), "needs_server_key"),
        (b'{"type":"page","userId":"a"}', Around(context=b"7"), key_of("server"), "bad_context"),
        (b'{"type":"page","userId":"%b"}' % (b"a" * 99), Around(), key_of("server", call_bytes_max=99), "call_too_large"),
        (b'{"type":"track","event":"X","userId":"a"}', Around(), key_of("server", events=("Y",)), "event_not_allowed"),
    ],
)  # fmt: skip
def test_what_is_still_not_taken_says_why(raw: bytes, around: Around, key: Pass, code: str) -> None:
    refused = again(raw, around, key, MOST, namespace="uk", received_at=BORN)
    assert isinstance(refused, Refused) and refused.code == code
