"""The addresses that take touchpoints: receive within bounds, take, and answer when Kafka holds what was sent.

A plain ASGI program in front of the framework, whose own middleware costs as much as taking a call does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Coroutine
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from pathline.kit import logging
from pathline.kit.exchange import Answering, Reply, Whole, send_reply
from services.ingest import answers
from services.ingest.answers import ALL_STORED, Answer, HeaderMap, refuse
from services.ingest.body import Body, GoneError, Held
from services.ingest.codes import Refused
from services.ingest.desk import Desk, Request
from services.ingest.dialects import Asked, Bounds, Dialect
from services.ingest.keyring import MISSING, Keyring, is_local, key_in_query
from services.ingest.letters import DeadLetters
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass, Peer
from services.ingest.routes import ROUTES, SDK_METRICS, WEBHOOK, Route, route_of, source_named
from services.ingest.settings import IngestSettings
from services.ingest.sources import Source
from services.ingest.store import Store
from services.ingest.webhooks import Webhooks

log = logging.get_logger(__name__)

_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

EVENT_TIMES: Final = 2
"""An event of another dialect may be so many times as large as a call: it shrinks as it becomes one."""

_EMPTY: Final = Refused("empty_body", "the body is empty")
_NO_LOG: Final = Refused("log_unavailable", "Kafka cannot be written now; try again")
_BROKEN: Final = Refused("internal", "something is wrong with Pathline; the log has it")
_STOPPING: Final = Refused("stopping", "the collector is stopping; send again")
_NO_METHOD: Final = Refused("method_not_allowed", "the address does not take this method")


class Collector:
    """Answers the addresses that take touchpoints. One for a process."""

    def __init__(self, settings: IngestSettings, keyring: Keyring, store: Store, metrics: IngestMetrics) -> None:
        """Put what `keyring` admits into `store`, within the bounds of `settings`."""
        self._body_bytes_max = settings.body_bytes_max
        self._unkeyed_bytes_max = settings.unkeyed_body_bytes_max
        self._bounds = Bounds(settings.batch_calls_max, EVENT_TIMES * settings.call_bytes_max)
        self._keyring = keyring
        self._store = store
        self._metrics = metrics
        self._held = Held(settings.bytes_in_flight_max, metrics)
        self._desk = Desk(settings, keyring, metrics, DeadLetters(settings, store, metrics))
        self._webhooks = Webhooks(self._desk, settings, metrics)

    async def handle(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        method = scope["method"]
        origin = headers.get(b"origin")
        if method == "OPTIONS":
            await self._preflight(route, origin, send)
            return
        if method not in route.methods:
            answer = refuse(_NO_METHOD)
            self._metrics.answered(route.name, answer.status, answer.code)
            allowed = (b"allow", ", ".join((*route.methods, "OPTIONS")).encode())
            reply = answers.reply_as(answer, answer.status, answer.content, (answers.JSON, allowed), origin)
            await send_reply(reply, send)
            return
        try:
            reply = await self.reply(route, scope, headers, receive)
        except GoneError:
            return
        await send_reply(reply, send)

    async def reply(self, route: Route, scope: Scope, headers: HeaderMap, given: Receive | bytes) -> Reply:
        """The reply to a request by one of the route's methods.

        Args:
            route: what its address takes.
            scope: of this the method, the path, the query string and the client.
            headers: of the request.
            given: its body, or what receives that.

        Raises:
            GoneError: the sender went away before all of it was received.
        """
        found = self._source(scope) if route is WEBHOOK else self._shown(scope, headers)
        # A webhook shows no key: its calls are taken under its source's.
        shown = found.key if isinstance(found, Source) else found
        own_most = self._unkeyed_bytes_max if isinstance(shown, Refused) else shown.body_bytes_max
        body = Body(self._held, min(own_most or self._body_bytes_max, self._body_bytes_max))
        origin = headers.get(b"origin")
        show = None if route.dialect is None else route.dialect.show
        unread = None if show is None else _unread(scope, headers)
        work = self._answer(route, scope, headers, given, body, shown)
        # Not kept until the ack, here and in all that this awaits: of hundreds of requests it is cold memory by then.
        del scope, headers, given
        try:
            answer, asked = await work
        except GoneError:
            raise
        except asyncio.CancelledError:
            # Only the end of the process cancels a request, when its time to drain is over.
            answer, asked = refuse(_STOPPING, close=True), None
        except Exception:
            # A fault of ours: the sender gets the error's shape, the log the fault.
            log.exception("a request was not answered", route=route.name)
            answer, asked = refuse(_BROKEN), None
        finally:
            body.release()
        self._metrics.answered(route.name, answer.status, answer.code)
        if show is None or unread is None:
            return answers.reply(answer, origin)
        told = show(answer, asked or unread)
        return answers.reply_as(answer, told.status, told.content, told.headers, origin)

    def short_cuts(self) -> dict[bytes, Answering]:
        """How each address is answered without ASGI, by its path."""
        return {
            path.encode(): partial(self._short, path, route)
            for path, route in ROUTES.items()
            if "POST" in route.methods
        }

    def _short(self, path: str, route: Route, whole: Whole) -> Coroutine[Any, None, Reply]:
        scope = {"method": "POST", "path": path, "query_string": whole.query, "client": whole.client}
        return self.reply(route, scope, whole.headers, whole.body)

    async def _preflight(self, route: Route, origin: bytes | None, send: Send) -> None:
        """A preflight carries no key: whoever may use some key may ask, and the request is judged by its own."""
        known = origin is not None and self._keyring.is_origin(origin)
        await answers.preflight(route.methods, origin if known else None, send)

    async def _answer(
        self, route: Route, scope: Scope, headers: HeaderMap, given: Receive | bytes, body: Body, shown: Pass | Refused
    ) -> tuple[Answer, Asked | None]:
        """The answer, and what a dialect was asked."""
        lanes = self._store.lanes
        peer = Peer(is_local(scope, headers), headers.get(b"origin"), headers.get(b"sec-gpc") == b"1")
        # One without a good key, or while nothing can be stored, is read to its end and held nowhere.
        refused = shown.bars(peer) if isinstance(shown, Pass) else None if _may_show(route, shown) else shown
        if lanes is None:
            refused = _NO_LOG
        raw = body.whole(given, refused) if isinstance(given, bytes) else await body.receive(given, refused)
        if isinstance(raw, Refused):
            return refuse(raw, close=not body.ended), None
        assert lanes is not None
        if route is SDK_METRICS:
            return ALL_STORED, None
        begun = time.perf_counter()
        plain = body.plain(raw, headers.get(b"content-encoding", b""))
        if isinstance(plain, Refused):
            return self._desk.misread(Request(raw, shown, body, lanes), plain), None
        work = self._taken(route, Request(plain, shown, body, lanes, _traced(headers), peer), scope, headers)
        del scope, headers, given, raw, plain
        answer, asked = await work
        if answer.status == HTTPStatus.OK:
            self._metrics.acked_seconds.observe(time.perf_counter() - begun)
        return answer, asked

    async def _taken(
        self, route: Route, request: Request, scope: Scope, headers: HeaderMap
    ) -> tuple[Answer, Asked | None]:  # fmt: skip
        if route.dialect is not None:
            secrets = shown.secrets if isinstance(shown := request.shown, Pass) else ()
            asked = Asked(
                scope["method"], scope["path"], scope["query_string"], headers, request.raw, secrets, self._bounds
            )
            return await self._translated(route.dialect, asked, request), asked
        if route is WEBHOOK:
            return await self._delivered(request, scope, headers), None
        if not request.raw:
            return self._desk.misread(request, _EMPTY), None
        work = self._desk.take_batch(request) if route.kind is None else self._desk.take_one(request, route.kind)
        del request, scope, headers
        return await work, None

    async def _translated(self, dialect: Dialect, asked: Asked, request: Request) -> Answer:
        translated = dialect.translate(asked)
        if isinstance(translated, Refused):
            return self._desk.misread(request, translated)
        return await self._desk.take_translated(request, translated)

    async def _delivered(self, request: Request, scope: Scope, headers: HeaderMap) -> Answer:
        # Looked for once more: it may have been revoked while the body came in.
        source = self._source(scope)
        if isinstance(source, Refused):
            return refuse(source)
        return await self._webhooks.take(source, request, headers, scope["query_string"])

    def _source(self, scope: Scope) -> Source | Refused:
        """The source of webhooks whose address this is."""
        return self._keyring.sources.named(source_named(scope["path"]), fresh=self._keyring.fresh)

    def _shown(self, scope: Scope, headers: HeaderMap) -> Pass | Refused:
        """The key by header or query; MISSING where the content must say."""
        header = headers.get(b"authorization")
        if header is not None and (shown := self._keyring.by_header(header)) is not MISSING:
            return shown
        # None, or of a scheme that is not ours: a proxy's, or a shop's before its launch.
        query = scope["query_string"]
        return self._keyring.by_text(key_in_query(query)) if query else MISSING


class HotRoutes:
    """ASGI middleware: the addresses that must be quick are answered before any routing, the others by `app`."""

    def __init__(self, app: ASGIApp, collector: Collector) -> None:
        """Stand before `app`."""
        self._app = app
        self._collector = collector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        route = route_of(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
        else:
            await self._collector.handle(route, scope, receive, send)


def _may_show(route: Route, shown: Refused) -> bool:
    """Whether the content may still show a key where header and query show none."""
    return shown is MISSING and (route.dialect is None or route.dialect.keyed)


def _traced(headers: HeaderMap) -> list[tuple[str, bytes]]:
    trace = headers.get(b"traceparent")
    return [("traceparent", trace)] if trace is not None and _TRACEPARENT.fullmatch(trace) else []


def _unread(scope: Scope, headers: HeaderMap) -> Asked:
    """What a dialect was asked in a request that it never saw."""
    return Asked(scope["method"], scope["path"], scope["query_string"], headers, b"")
