"""What calls cost those who send them, and what they may cost us, before they are judged."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from pathline.contracts import accepted
from pathline.storage.keys import Kind
from services.ingest import arrays, batches, passes
from services.ingest.codes import Refused
from services.ingest.collector import Collector
from services.ingest.dialects import Asked, cloudevents, snowplow
from services.ingest.keyring import Keyring
from services.ingest.metrics import IngestMetrics
from services.ingest.routes import ROUTES
from services.ingest.settings import IngestSettings
from tests.support.taken import BORN, Taken, key_of

MEBIBYTE = 1_048_576
ZEROS = b"[" + b"0," * MEBIBYTE + b"0]"
OBJECTS = b"[" + b"{}," * MEBIBYTE + b"{}]"
TP2 = "/com.snowplowanalytics.snowplow/tp2"
GZIP = {b"content-encoding": b"gzip"}
CALL = {"type": "track", "event": "Product Viewed", "userId": "ann", "messageId": "m1"}


class Rig:
    """A collector with one key, `k`."""

    def __init__(self, kind: Kind = "server", room: int = 64 * MEBIBYTE, **policy: Any) -> None:
        self.taken = Taken()
        metrics = IngestMetrics(CollectorRegistry(), "t")
        keyring = Keyring(metrics, room)
        keyring.replace([key_of(kind, **policy).key])
        store: Any = SimpleNamespace(lanes=self.taken, letters=None, topic="t")
        self._collector = Collector(IngestSettings(), keyring, store, metrics)

    async def send(self, path: str, body: Any, headers: dict[bytes, bytes] | None = None, key: str = "k") -> Any:
        """The status, and the code if there is one."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        shown = {b"authorization": b"Bearer " + key.encode()} if key else {}
        scope = {"method": "POST", "path": path, "query_string": b"", "client": ("127.0.0.1", 1)}
        reply = await self._collector.reply(ROUTES[path], scope, {**shown, **(headers or {})}, raw)
        told = orjson.loads(reply.content) if reply.content != b"ok" else {}
        return reply.status, told.get("code")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "time", SimpleNamespace(monotonic=lambda: 100.0))


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes of memory that it needed, at most."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [ZEROS, OBJECTS])
def test_too_many_calls_are_refused_before_anything_is_made_of_them(array: bytes) -> None:
    """They took two hundred megabytes, and a sixth of a second for everyone, from a few kilobytes on the wire."""
    refused = batches.too_many(2_500)
    for read in (
        lambda: batches.read(b'{"batch":%b}' % array, 2_500),
        lambda: cloudevents.translate(_asked(array)),
        lambda: snowplow.translate_post(_asked(b'{"data":%b}' % array)),
        lambda: batches.read(b'{"batch":["\\ud800",%b}' % array[1:], 2_500),
    ):
        assert read() == refused
        assert peak_of(read) < 6 * len(array)


def _asked(raw: bytes) -> Asked:
    asked = Asked("POST", "/", b"", {b"content-type": b"application/json"}, raw)
    return asked._replace(bounds=asked.bounds._replace(calls=2_500))


@pytest.mark.parametrize("field", ["sentAt", "writeKey", "historical", "context", "other"])
def test_what_stands_around_a_batch_is_not_made_into_anything_before_it_is_asked_for(field: str) -> None:
    raw = b'{"%b":%b,"batch":[{}]}' % (field.encode(), OBJECTS)

    def read() -> Any:
        read = batches.read(raw, 2_500)
        assert not isinstance(read, Refused)
        batch, _ = read
        return batch.key(), batch.is_historical(), batch.sent()

    assert peak_of(read) < 3 * len(raw)


@pytest.mark.parametrize(
    ("translate", "raw", "code"),
    [
        (cloudevents.translate, b'{"specversion":"1.0","data":%b}' % OBJECTS, "call_too_large"),
        (cloudevents.translate, b'[{"specversion":"1.0","data":%b}]' % OBJECTS, "call_too_large"),
        (snowplow.translate_post, b'{"data":[{"e":"pv","x":%b}]}' % OBJECTS, "call_too_large"),
    ],
)
def test_an_event_of_another_dialect_is_no_larger_than_what_becomes_a_call(
    translate: Callable[[Asked], Any], raw: bytes, code: str
) -> None:
    told = translate(_asked(raw))
    refused = told if hasattr(told, "code") else told.calls[0].call
    assert refused.code == code
    assert peak_of(lambda: translate(_asked(raw))) < 4 * len(raw)


@pytest.mark.parametrize("length", [2_499, 2_500, 2_501])
def test_the_length_of_an_array_is_told_as_it_is(length: int) -> None:
    padded = b",".join([b'{"a":[1,2,{"b":[]}],"c":"],[,"}' + b" " * 20] * length)
    assert len(padded) > arrays.LOOKED_AT
    for raw, field in ((b"[%b]" % padded, None), (b'{"x":1,"batch":[%b]}' % padded, "batch")):
        assert arrays.exceeds(raw, 2_500, field) is (length > 2_500)


async def test_a_body_that_alone_shows_the_key_is_smaller_than_others() -> None:
    rig = Rig()
    for size, status in ((400_000, 200), (600_000, 413)):
        batch = {
            "batch": [
                {**CALL, "messageId": f"m{n}", "properties": {"text": "x" * 20_000}} for n in range(size // 20_000)
            ]
        }
        for body, headers in (
            (orjson.dumps({**batch, "writeKey": "k"}), {}),
            (gzip.compress(orjson.dumps({**batch, "writeKey": "k"})), GZIP),
        ):
            assert (await rig.send("/v1/batch", body, headers, key=""))[0] == status
            assert (await rig.send("/v1/batch", body, headers))[0] == 200


async def test_where_no_content_can_show_a_key_none_is_read_for_one() -> None:
    assert await Rig().send("/v1/cloudevents", b"no gzip", GZIP, key="") == (401, "missing_key")


MISREAD = [
    ("/v1/track", b"{", {}, "invalid_json"),
    ("/v1/track", {**CALL, "properties": 5}, {}, "bad_properties"),
    ("/v1/track", b"x", GZIP, "bad_gzip"),
    ("/v1/track", b"", {}, "empty_body"),
    ("/v1/batch", b"{", {}, "invalid_json"),
    ("/v1/batch", {"batch": 7}, {}, "bad_batch"),
    ("/v1/batch", b'{"batch":%b}' % ZEROS, {}, "too_many_calls"),
    ("/v1/cloudevents", {"specversion": "0.3"}, {}, "bad_specversion"),
    (TP2, {"data": 7}, {}, "bad_payload"),
    ("/v1/merge", {"mergeProperties": []}, {}, "bad_merge"),
]


@pytest.mark.parametrize(("path", "body", "headers", "code"), MISREAD)
@pytest.mark.usefixtures("still")
async def test_what_cannot_be_read_costs_a_known_key_a_call_of_its_rate(
    path: str, body: Any, headers: dict[bytes, bytes], code: str
) -> None:
    rig = Rig(calls_per_second=1, burst=1)
    status, told = await rig.send(path, body, headers)
    assert told == code and 400 <= status < 429
    assert await rig.send(path, body, headers) == (429, "rate_limited")
    # Whoever shows an unknown key, or none, takes nothing from anyone.
    assert (await rig.send(path, body, headers, key="other"))[1] == "unknown_key"


@pytest.mark.parametrize(("path", "body", "headers", "code"), MISREAD)
async def test_what_cannot_be_read_needs_room_of_a_known_key(
    path: str, body: Any, headers: dict[bytes, bytes], code: str
) -> None:
    expected = (503, "key_overloaded") if body else (400, code)
    assert await Rig(room=0).send(path, body, headers) == expected


TWICE = b'{"ip":"198.51.100.9","ip":null,"locale":"de"}'


@pytest.mark.parametrize(
    "context", [TWICE, b'{"ip":["198.51.100.9"],"locale":"de"}', TWICE.replace(b'"ip"', b'"\\u0069p"')]
)
async def test_an_address_that_may_not_stay_does_not_hide_behind_another_value(context: bytes) -> None:
    rig = Rig("browser")
    own = orjson.dumps(CALL)[:-1] + b',"context":%b}' % context
    bodies = (
        ("/v1/track", own),
        ("/v1/batch", b'{"batch":[%b]}' % own),
        ("/v1/batch", b'{"batch":[%b],"context":%b}' % (orjson.dumps(CALL), context)),
    )
    for path, body in bodies:
        assert await rig.send(path, body) == (200, None)
    assert len(rig.taken.records) == len(bodies)
    for record in rig.taken.records:
        assert b"198.51" not in record.value
        read = accepted.decode(record.value)
        assert b'"locale":"de"' in record.value and read.received_at > BORN


async def test_one_event_alone_is_answered_for_the_request_and_one_of_a_batch_as_a_batch() -> None:
    rig = Rig()
    nobody = {"specversion": "1.0", "id": "1", "source": "s", "type": "page"}
    kinds = (
        (b"application/cloudevents+json", nobody, "no_subject"),
        (b"application/cloudevents-batch+json", [nobody], "none_accepted"),
    )
    for kind, body, code in kinds:
        assert await rig.send("/v1/cloudevents", body, {b"content-type": kind}) == (400, code)
    assert await rig.send(TP2, {"data": [{"e": "pv"}]}) == (400, "none_accepted")


async def test_the_key_of_a_header_is_not_stored_as_the_name_of_an_app() -> None:
    rig = Rig()
    view = {"e": "pv", "eid": "1", "duid": "d", "url": "https://shop.example/"}
    for name in ("k", "shop-app"):
        assert (await rig.send(TP2, {"data": [{**view, "aid": name}]}))[0] == 200
    first, second = rig.taken.records
    assert b'"aid"' not in first.value and b'"aid":"shop-app"' in second.value
