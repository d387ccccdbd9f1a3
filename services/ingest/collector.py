"""The hot routes as a plain ASGI program: receive within bounds, take, and answer when Kafka holds what was sent."""

from __future__ import annotations

import asyncio
import re
import time
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from pathline.kit import logging
from pathline.storage.keys import WriteKey
from services.ingest.body import Body, GoneError, Held
from services.ingest.codes import RETRY_AFTER_SECONDS, STORED, Refused
from services.ingest.desk import ALL_STORED, Answer, Desk, Request, refuse
from services.ingest.keyring import MISSING, Keyring, is_loopback, key_in_query
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.store import Store

log = logging.get_logger(__name__)

HeaderMap = dict[bytes, bytes]


class Route(NamedTuple):
    """What an address takes. `kind` is the type of a single call; None: a batch."""

    name: str
    kind: str | None


_SINGLE: Final = ("identify", "track", "page", "screen", "group", "alias")
_BATCH: Final = Route("batch", None)
SDK_METRICS: Final = Route("sdk_metrics", None)
"""What SDKs tell about themselves: taken and dropped."""

ROUTES: Final[dict[str, Route]] = {
    **{f"/v1/{kind}": Route(kind, kind) for kind in _SINGLE},
    **{f"/v1/{kind[0]}": Route(kind, kind) for kind in _SINGLE},
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

_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_JSON: Final = (b"content-type", b"application/json")
_STORED_HEADERS: Final = [_JSON, (b"content-length", str(len(STORED)).encode())]

_EMPTY: Final = Refused("empty_body", "the body is empty")
_NO_LOG: Final = Refused("log_unavailable", "Kafka cannot be written now; try again")
_BROKEN: Final = Refused("internal", "something is wrong with Pathline; the log has it")
_STOPPING: Final = Refused("stopping", "the collector is stopping; send again")
_NO_METHOD: Final = Refused("method_not_allowed", "the address takes POST")


class Collector:
    """Answers the hot routes. One for a process."""

    def __init__(self, settings: IngestSettings, keyring: Keyring, store: Store, metrics: IngestMetrics) -> None:
        """Put what `keyring` admits into `store`, within the bounds of `settings`."""
        self._body_bytes_max = settings.body_bytes_max
        self._keyring = keyring
        self._store = store
        self._metrics = metrics
        self._held = Held(settings.bytes_in_flight_max, metrics)
        self._desk = Desk(settings, keyring, metrics)

    async def handle(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        method = scope["method"]
        if method == "OPTIONS":
            await _preflight(headers, send)
            return
        if method == "POST":
            body = Body(self._held, self._body_bytes_max)
            try:
                answer = await self._answer(route, scope, headers, receive, body)
            except GoneError:
                return
            except asyncio.CancelledError:
                # Only the end of the process cancels a request, when its time to drain is over.
                answer = refuse(_STOPPING, close=True)
            except Exception:
                # A fault of ours: the sender gets the error's shape, the log the fault.
                log.exception("a request was not answered", route=route.name)
                answer = refuse(_BROKEN)
            finally:
                body.release()
        else:
            answer = refuse(_NO_METHOD)
        self._metrics.answered(route.name, answer.status)
        await _respond(answer, headers.get(b"origin"), send)

    async def _answer(self, route: Route, scope: Scope, headers: HeaderMap, receive: Receive, body: Body) -> Answer:
        raw = await body.receive(receive)
        if isinstance(raw, Refused):
            return refuse(raw, close=True)
        if route is SDK_METRICS:
            return ALL_STORED
        begun = time.perf_counter()
        request = self._opened(raw, scope, headers, body)
        if type(request) is Refused:
            return refuse(request)
        assert isinstance(request, Request)
        if route.kind is None:
            answer = await self._desk.take_batch(request, body)
        else:
            answer = await self._desk.take_one(request, route.kind)
        if answer.status == HTTPStatus.OK:
            self._metrics.acked_seconds.observe(time.perf_counter() - begun)
        return answer

    def _opened(self, raw: bytes, scope: Scope, headers: HeaderMap, body: Body) -> Request | Refused:
        """The request with its body inflated, or why nobody looks into it."""
        lanes = self._store.lanes
        if lanes is None:
            return _NO_LOG
        shown = self._shown(scope, headers)
        if shown is not MISSING and isinstance(shown, Refused):
            return shown
        if not raw:
            return _EMPTY
        plain = body.plain(raw, headers.get(b"content-encoding", b""))
        if isinstance(plain, Refused):
            return plain
        trace = headers.get(b"traceparent")
        traced = [("traceparent", trace)] if trace is not None and _TRACEPARENT.fullmatch(trace) else []
        return Request(plain, shown, _is_local(scope, headers), traced, lanes)

    def _shown(self, scope: Scope, headers: HeaderMap) -> WriteKey | Refused:
        """The key by header or query; MISSING where the body must say."""
        header = headers.get(b"authorization")
        if header is not None:
            return self._keyring.by_header(header)
        query = scope["query_string"]
        return self._keyring.by_text(key_in_query(query)) if query else MISSING


class HotRoutes:
    """ASGI middleware: the addresses that must be quick are answered before any routing, the others by `app`.

    It stands before FastAPI's own middleware, which costs as much as taking a call does.
    """

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


def _is_local(scope: Scope, headers: HeaderMap) -> bool:
    """Whether the peer itself is on this machine; what a proxy says of somebody else is not believed."""
    client = scope["client"]
    return (
        client is not None
        and is_loopback(client[0])
        and b"x-forwarded-for" not in headers
        and b"forwarded" not in headers
    )


async def _respond(answer: Answer, origin: bytes | None, send: Send) -> None:
    if answer is ALL_STORED:
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


async def _preflight(headers: HeaderMap, send: Send) -> None:
    """A preflight carries no key: every origin may ask, the POST is judged by its key."""
    origin = headers.get(b"origin")
    said = [
        (b"content-length", b"0"),
        (b"allow", b"POST, OPTIONS"),
        (b"access-control-allow-methods", b"POST, OPTIONS"),
        (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        *(_for_origin(origin) if origin is not None else ()),
    ]
    await send({"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": said})
    await send({"type": "http.response.body", "body": b""})
