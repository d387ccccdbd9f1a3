"""The hot routes as a plain ASGI program: check, decode once, hand to Kafka, answer when it holds what was sent."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from pathline.storage.keys import WriteKey
from services.ingest import calls, clock, text
from services.ingest.body import TOO_LARGE, Body, GoneError, Held
from services.ingest.calls import Receipt, Record
from services.ingest.codes import RETRY_AFTER_SECONDS, STORED, Refused, Rejected, refusal, stored_but
from services.ingest.keyring import LOCAL, MISSING, Keyring, is_loopback, key_in_query
from services.ingest.lanes import Headers, Lanes, NotStoredError
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.store import Store


class Route(NamedTuple):
    """What an address takes. `kind` is the type of a single call; None: a batch."""

    name: str
    kind: str | None


_BATCH: Final = Route("batch", None)
SDK_METRICS: Final = Route("sdk_metrics", None)
"""What SDKs tell about themselves: taken and dropped."""

ROUTES: Final[dict[str, Route]] = {
    **{f"/v1/{kind}": Route(kind, kind) for kind in ("identify", "track", "page", "screen", "group", "alias")},
    **{f"/v1/{kind[0]}": Route(kind, kind) for kind in ("identify", "track", "page", "screen", "group", "alias")},
    "/v1/batch": _BATCH,
    "/v1/b": _BATCH,
    "/v1/import": _BATCH,
    "/beacon/v1/batch": Route("beacon", None),
    "/v1/m": SDK_METRICS,
}

ALLOWED_HEADERS: Final = (
    "authorization, content-type, content-encoding, x-retry-count, anonymousid, sentat, rsa-recovered, "
    "rsa-retry-attempt, rsa-since-last-attempt, rsa-since-first-attempt, rsa-retry-reason, traceparent"
)
"""What SDKs send from browsers; `*` does not cover Authorization."""

PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser keeps a preflight's answer: Chromium's cap."""

SPREAD_TIMES: Final = 4
"""The context of a batch is written with each of its calls: so many times the most of a body, at most."""

_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_JSON: Final = (b"content-type", b"application/json")

_EMPTY: Final = Refused("empty_body", "the body is empty")
_NO_BATCH: Final = Refused("bad_batch", "the body of a batch is an object with an array `batch`")
_EMPTY_BATCH: Final = Refused("empty_batch", "the batch holds no calls")
_NONE: Final = Refused("none_accepted", "every call of the batch was refused")
_NO_HISTORY: Final = Refused("needs_server_key", "only a server key sends history")
_NO_LOG: Final = Refused("log_unavailable", "Kafka cannot be written now; try again")
_NO_ACK: Final = Refused("not_acknowledged", "Kafka did not acknowledge in time; try again")
_NO_METHOD: Final = Refused("method_not_allowed", "the address takes POST")


class _Batch(msgspec.Struct, rename="camel", gc=False):
    """The body of a batch, its calls left as they were sent."""

    batch: list[msgspec.Raw]
    context: msgspec.Raw = msgspec.Raw(b"")
    sent_at: Any = None
    write_key: Any = None
    historical: Any = None


_batch: Final = msgspec.json.Decoder(_Batch)


class Answer(NamedTuple):
    """What is answered. `close` ends the connection."""

    status: int
    content: bytes
    close: bool = False


_STORED: Final = Answer(HTTPStatus.OK, STORED)
_STORED_HEADERS: Final = [_JSON, (b"content-length", str(len(STORED)).encode())]


class Collector:
    """Takes calls. One for a process."""

    def __init__(self, settings: IngestSettings, keyring: Keyring, store: Store, metrics: IngestMetrics) -> None:
        """Put what `keyring` admits into `store`, within the bounds of `settings`."""
        self._settings = settings
        self._keyring = keyring
        self._store = store
        self._metrics = metrics
        self._held = Held(settings.bytes_in_flight_max, metrics)

    async def handle(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to a hot route."""
        headers = dict(scope["headers"])
        method = scope["method"]
        if method == "POST":
            body = Body(self._held, self._settings.body_bytes_max)
            try:
                answer = await self._answer(route, scope, headers, receive, body)
            except GoneError:
                return
            finally:
                body.release()
        elif method == "OPTIONS":
            await _preflight(headers, send)
            return
        else:
            answer = _refused(_NO_METHOD)
        self._metrics.answered(route.name, answer.status)
        await _respond(answer, headers.get(b"origin"), send)

    async def _answer(
        self, route: Route, scope: Scope, headers: dict[bytes, bytes], receive: Receive, body: Body
    ) -> Answer:
        raw = await body.receive(receive)
        if isinstance(raw, Refused):
            return _refused(raw)._replace(close=True)
        if route is SDK_METRICS:
            return _STORED
        lanes = self._store.lanes
        if lanes is None:
            return _refused(_NO_LOG)
        shown = self._shown(scope, headers)
        if shown is not MISSING and isinstance(shown, Refused):
            return _refused(shown)
        if not raw:
            return _refused(_EMPTY)
        plain = body.plain(raw, headers.get(b"content-encoding", b""))
        if isinstance(plain, Refused):
            return _refused(plain)
        begun = time.perf_counter()
        trace = headers.get(b"traceparent")
        traced = [("traceparent", trace)] if trace is not None and _TRACEPARENT.fullmatch(trace) else []
        local = _is_local(scope, headers)
        try:
            if route.kind is None:
                answer = await self._take_batch(plain, shown, lanes, traced, body, local=local)
            else:
                answer = await self._take_one(plain, route.kind, shown, lanes, traced, local=local)
        except NotStoredError:
            return _refused(_NO_ACK)
        if answer.status == HTTPStatus.OK:
            self._metrics.acked_seconds.observe(time.perf_counter() - begun)
        return answer

    def _shown(self, scope: Scope, headers: dict[bytes, bytes]) -> WriteKey | Refused:
        """The key by header or query; MISSING where the body must say."""
        header = headers.get(b"authorization")
        if header is not None:
            return self._keyring.by_header(header)
        query = scope["query_string"]
        return self._keyring.by_text(key_in_query(query)) if query else MISSING

    def _admitted(self, shown: WriteKey | Refused, in_body: object, *, local: bool) -> WriteKey | Refused:
        """The key that counts, if it may be used from where the request comes."""
        key = self._keyring.by_text(in_body) if shown is MISSING else shown
        if isinstance(key, Refused) or local or not key.loopback_only:
            return key
        return LOCAL

    async def _take_one(
        self, raw: bytes, kind: str, shown: WriteKey | Refused, lanes: Lanes, traced: Headers, *, local: bool
    ) -> Answer:
        item = calls.read(raw, self._settings.call_bytes_max)
        if isinstance(item, Refused):
            return self._one_refused(item)
        key = self._admitted(shown, item.write_key, local=local)
        if isinstance(key, Refused):
            return _refused(key)
        receipt, now = self._receipt(key)
        if item.historical is True:
            if not receipt.trusted:
                return self._one_refused(_NO_HISTORY)
            receipt.historical = True
        record = calls.record(raw, item, kind, receipt)
        if isinstance(record, Refused):
            return self._one_refused(record)
        self._note(record, now)
        try:
            await lanes.lane_of(record.key).add(record.key, record.value, int(now * 1_000), traced)
        except NotStoredError:
            self._metrics.unstored.inc()
            raise
        self._metrics.accepted.inc()
        return _STORED

    async def _take_batch(
        self, raw: bytes, shown: WriteKey | Refused, lanes: Lanes, traced: Headers, body: Body, *, local: bool
    ) -> Answer:
        batch = _read_batch(raw)
        if isinstance(batch, Refused):
            return _refused(batch)
        key = self._admitted(shown, batch.write_key, local=local)
        if isinstance(key, Refused):
            return _refused(key)
        receipt, now = self._receipt(key)
        refused = self._common(batch, receipt, body)
        if refused is not None:
            return _refused(refused)
        rejected: list[Rejected] = []
        acks = set()
        timestamp_ms = int(now * 1_000)
        first: Record | None = None
        try:
            for index, call in enumerate(batch.batch):
                record = calls.take(bytes(call), receipt)
                if type(record) is Refused:
                    rejected.append(Rejected(index, record.code, record.message))
                    self._metrics.touchpoints.labels(record.code).inc()
                    continue
                assert isinstance(record, Record)
                first = first or record
                if record.clamped:
                    self._metrics.clamped.inc()
                acks.add(lanes.lane_of(record.key).add(record.key, record.value, timestamp_ms, traced))
            for ack in acks:
                await ack
        except NotStoredError:
            self._metrics.unstored.inc(len(batch.batch) - len(rejected))
            raise
        if first is None:
            return Answer(HTTPStatus.BAD_REQUEST, refusal(_NONE, rejected))
        self._note(first, now)
        self._metrics.accepted.inc(len(batch.batch) - len(rejected))
        return Answer(HTTPStatus.OK, stored_but(rejected)) if rejected else _STORED

    def _common(self, batch: _Batch, receipt: Receipt, body: Body) -> Refused | None:
        """Put what the calls of a batch have in common on the receipt, or say why none can be taken."""
        count = len(batch.batch)
        if count == 0:
            return _EMPTY_BATCH
        if count > self._settings.batch_calls_max:
            return Refused("too_many_calls", f"a batch holds at most {self._settings.batch_calls_max} calls")
        if batch.historical is True:
            if not receipt.trusted:
                return _NO_HISTORY
            receipt.historical = True
        if batch.sent_at is not None:
            try:
                receipt.sent_at = clock.parse(batch.sent_at)
            except ValueError:
                return Refused("bad_timestamp", "sentAt of the batch is text in ISO 8601")
        shared = bytes(batch.context)
        if shared in {b"", b"null", b"{}"}:
            return None
        context = calls.read_context(shared, self._settings.call_bytes_max)
        if isinstance(context, Refused):
            return context
        receipt.shared, receipt.context = shared, context
        spread = len(shared) * count
        return TOO_LARGE if spread > SPREAD_TIMES * self._settings.body_bytes_max else body.hold(spread)

    def _receipt(self, key: WriteKey) -> tuple[Receipt, float]:
        """What is noted of calls received now, and the time in seconds.

        The time is taken where nothing is awaited before the records are in their lanes: a partition's times rise.
        """
        now = time.time()
        receipt = Receipt(
            source=key.name,
            namespace=key.namespace,
            trusted=key.kind == "server",
            received_at=datetime.fromtimestamp(now, UTC),
            call_bytes_max=self._settings.call_bytes_max,
        )
        return receipt, now

    def _note(self, record: Record, now: float) -> None:
        if record.clamped:
            self._metrics.clamped.inc()
        if record.sent_at is not None:
            self._metrics.sent_seconds.observe(max(0.0, now - record.sent_at.timestamp()))

    def _one_refused(self, refused: Refused) -> Answer:
        self._metrics.touchpoints.labels(refused.code).inc()
        return _refused(refused)


class HotRoutes:
    """ASGI middleware: the addresses that must be quick are answered before any routing, the others by `app`."""

    def __init__(self, app: ASGIApp, collector: Collector) -> None:
        """Stand before `app`."""
        self._app = app
        self._collector = collector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        route = ROUTES.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
        else:
            await self._collector.handle(route, scope, receive, send)


def _read_batch(raw: bytes) -> _Batch | Refused:
    """Take a batch apart. Half a character in one call must not spoil the others: it is marked, and refused alone."""
    try:
        return _batch.decode(raw)
    except msgspec.ValidationError as problem:
        said = str(problem)
        if "`batch`" in said or "$.batch" in said:
            return _NO_BATCH
        if "out of range" in said:
            return Refused("bad_number", "a number is out of range")
        return Refused("not_an_object", "a batch is a JSON object")
    except msgspec.DecodeError:
        if text.has_half_character(raw):
            return _read_batch(text.marked(raw))
        return Refused("invalid_json", "the body is no JSON")
    except UnicodeDecodeError:
        return Refused("invalid_utf8", "the bytes are not UTF-8")
    except RecursionError:
        return Refused("too_deep", f"a call is nested deeper than {text.DEPTH_MAX}")


def _is_local(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether the peer itself is on this machine; what a proxy says of somebody else is not believed."""
    client = scope["client"]
    return (
        client is not None
        and is_loopback(client[0])
        and b"x-forwarded-for" not in headers
        and b"forwarded" not in headers
    )


def _refused(refused: Refused) -> Answer:
    return Answer(refused.status, refusal(refused))


async def _respond(answer: Answer, origin: bytes | None, send: Send) -> None:
    if answer is _STORED:
        headers = _STORED_HEADERS
    else:
        headers = [_JSON, (b"content-length", str(len(answer.content)).encode())]
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
        elif answer.status == HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b"Bearer"))
        elif answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"POST, OPTIONS"))
        if answer.close:
            headers.append((b"connection", b"close"))
    if origin is not None:
        headers = [*headers, *_for_origin(origin)]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})


def _for_origin(origin: bytes) -> list[tuple[bytes, bytes]]:
    """Beacons carry cookies: the answer names the exact origin, never `*`."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"origin"),
    ]


async def _preflight(headers: dict[bytes, bytes], send: Send) -> None:
    """A preflight carries no key: every origin may ask, the POST is judged by its key."""
    said = [
        (b"content-length", b"0"),
        (b"access-control-allow-methods", b"POST, OPTIONS"),
        (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        *_for_origin(headers.get(b"origin", b"*")),
    ]
    await send({"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": said})
    await send({"type": "http.response.body", "body": b""})
