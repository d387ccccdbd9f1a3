"""`GET /v1/projects/{key}/settings` and `GET /sourceConfig/`: asked once by each SDK that starts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send

from pathline.kit.exchange import send_reply
from services.ingest import answers
from services.ingest.answers import Answer, HeaderMap, refuse
from services.ingest.codes import Refused
from services.ingest.dialects import settings
from services.ingest.keyring import MISSING, UNKNOWN, Keyring, is_local, key_in_query
from services.ingest.passes import Pass, Peer

PATHS: Final = ("/v1/projects/{key}/settings", "/sourceConfig/", "/sourceConfig")
METHODS: Final = ("GET", "HEAD")
_ALLOWED: Final = (b"allow", b"GET, HEAD, OPTIONS")
_HEADERS: Final = [answers.JSON, (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_NO_METHOD: Final = Refused("method_not_allowed", "the address takes GET")


class SdkSettings:
    """Answers both addresses, with what pages of other origins need."""

    def __init__(self, keyring: Keyring, public: str | None) -> None:
        """Tell holders of a key of `keyring` to send to `public`, or where they asked."""
        self._keyring = keyring
        self._public = public

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if "key" in scope["path_params"]:
            await self._segment(scope, send)
        else:
            await self._rudder(scope, send)

    async def _segment(self, scope: Scope, send: Send) -> None:
        """Segment's settings. A project that nobody knows is not found."""
        shown = str(scope["path_params"]["key"])
        place = settings.place_of(dict(scope["headers"]), scope["scheme"], self._public)
        told = place if isinstance(place, Refused) else settings.segment(shown, place)
        await self._answer(scope, send, self._keyring.by_text(shown), told, HTTPStatus.NOT_FOUND)

    async def _rudder(self, scope: Scope, send: Send) -> None:
        """RudderStack's configuration: its SDKs show the key as Basic user, some in the query too."""
        header = dict(scope["headers"]).get(b"authorization")
        key = MISSING if header is None else self._keyring.by_header(header)
        if key is MISSING:
            key = self._keyring.by_text(key_in_query(scope["query_string"]))
        await self._answer(scope, send, key, settings.RUDDER, HTTPStatus.UNAUTHORIZED)

    async def _answer(
        self, scope: Scope, send: Send, key: Pass | Refused, told: bytes | Refused, unknown: HTTPStatus
    ) -> None:  # fmt: skip
        headers: HeaderMap = dict(scope["headers"])
        origin = headers.get(b"origin")
        if scope["method"] == "OPTIONS":
            known = origin is not None and self._keyring.is_origin(origin)
            await answers.preflight(METHODS, origin if known else None, send)
            return
        told = _barred(scope, headers, key) or told
        if isinstance(told, Refused):
            answer = refuse(told)
            own = [*_HEADERS, _ALLOWED] if told == _NO_METHOD else _HEADERS
            status = unknown if told == UNKNOWN else answer.status
            await send_reply(answers.reply_as(answer, status, answer.content, own, origin), send)
            return
        await send_reply(answers.reply_as(Answer(HTTPStatus.OK, told), HTTPStatus.OK, told, _HEADERS, origin), send)


def _barred(scope: Scope, headers: HeaderMap, key: Pass | Refused) -> Refused | None:
    """Why nothing is told to one who shows this key from there."""
    if scope["method"] not in METHODS:
        return _NO_METHOD
    if isinstance(key, Refused):
        return key
    return key.bars(Peer(is_local(scope, headers), headers.get(b"origin")))
