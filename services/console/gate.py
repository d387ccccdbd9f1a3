"""The gate: every request passes it, none without a token or a session but what `OPEN` lists.

It also puts the security headers on every answer and counts it.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.context import Caller, Context
from services.console.errors import ApiError
from services.console.sessions import API_NAME, Session, clean_name

API: Final = "/api/"
OPEN: Final = frozenset(
    {"/health/live", "/health/ready", "/metrics", "/sign-in", "/api/v1/openapi.json", "/favicon.ico"}
)
"""Paths that need no sign-in; and everything under STATIC."""
STATIC: Final = "/static/"

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ACTOR: Final = "pathline-actor"
"""For whom a program with the token acts."""
CSRF: Final = "x-csrf-token"

NOBODY: Final = Caller("")
"""Who asks for an open path without having signed in."""

MAX_URL: Final = 16_384
"""Bytes of a path with its query."""

PREFIX: Final = "/api/v1"
STREAM: Final = f"{PREFIX}/stream"

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. Scripts and styles come from here alone, so none can be written into a page."""


class Gate:
    """ASGI middleware, outermost."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        """Guard `app`."""
        self.app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith(STATIC):
                    headers["cache-control"] = "no-store"
            await send(message)

        try:
            refusal = self._admit(scope)
            await (self.app if refusal is None else refusal)(scope, receive, answer)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self._context.metrics.requests.labels(route, str(status)).inc()
        if route != STREAM:
            self._context.metrics.request_seconds.labels(route).observe(seconds)

    def _admit(self, scope: Scope) -> Response | None:
        """Note who asks; or the answer for one who may not."""
        headers = Headers(scope=scope)
        path: str = scope["path"]
        session = self._session(headers)
        try:
            caller = self._caller(headers, session)
            if path in OPEN or path.startswith(STATIC):
                scope["pathline.caller"] = caller or NOBODY
                scope["pathline.session"] = session
                return None
            self._check(scope, headers, caller)
        except ApiError as error:
            return self._refusal(scope, headers, error)
        scope["pathline.caller"] = caller
        return None

    def _caller(self, headers: Headers, session: Session | None) -> Caller | None:
        scheme, _space, given = headers.get("authorization", "").partition(" ")
        if scheme:
            # A wrong token is said to be wrong, also where a cookie would have done.
            if scheme.lower() != "bearer" or not self._context.sessions.is_token(given.strip()):
                return None
            return Caller(clean_name(_text(headers[ACTOR])) if headers.get(ACTOR) else API_NAME)
        return None if session is None else Caller(session.name, session)

    def _session(self, headers: Headers) -> Session | None:
        jar = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return None
        morsel = jar.get(self._context.sessions.cookie)
        return None if morsel is None else self._context.sessions.read(morsel.value, self._context.wall_seconds())

    def _check(self, scope: Scope, headers: Headers, caller: Caller | None) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL:
            code = "bad_parameter"
            raise ApiError(code, f"an address has at most {MAX_URL} bytes")
        if caller is None:
            code = "unauthorized"
            raise ApiError(code, "sign in, or send the API token as `Authorization: Bearer TOKEN`")
        if caller.session is not None and scope["method"] not in SAFE:
            self._check_form(headers, caller.session)

    def _check_form(self, headers: Headers, session: Session) -> None:
        if not self._context.sessions.is_csrf(session, headers.get(CSRF, "")):
            code = "forbidden"
            raise ApiError(code, "the request does not come from a page of this session; reload the page")

    @staticmethod
    def _refusal(scope: Scope, headers: Headers, error: ApiError) -> Response:
        if scope["path"].startswith(API) or error.code != "unauthorized":
            return error.response()
        where = "/sign-in"
        if scope["method"] in SAFE and "hx-request" not in headers:
            query = scope.get("query_string", b"").decode("ascii", "replace")
            back = scope["path"] + (f"?{query}" if query else "")
            if back != "/":
                where += f"?next={quote(back, safe='')}"
            return RedirectResponse(where, HTTPStatus.SEE_OTHER)
        refusal = error.response()
        refusal.headers["hx-redirect"] = where
        return refusal


def _route(scope: Scope) -> str:
    """The route that matched, for metrics: never the path itself, which anyone can make up."""
    if scope["path"].startswith(STATIC):
        return STATIC
    if scope["path"] in OPEN:
        return str(scope["path"])
    route = getattr(scope.get("route"), "path", None)
    if route is None:
        return "unmatched"
    # FastAPI names a route as its own router does, without the prefix it was included under.
    prefix = PREFIX if scope["path"].startswith(PREFIX) and not route.startswith(PREFIX) else ""
    return f"{prefix}{route}"


def _text(header: str) -> str:
    """A header's text: UTF-8 where it is that, else as HTTP means it."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return header
