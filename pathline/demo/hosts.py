"""Which names the shop answers to. A page of another site whose name was turned to this machine is not one of them."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - told from an address one can go to, not listened on


class Hosts:
    """Refuses requests to another name, before anything else looks at them."""

    def __init__(self, app: ASGIApp, configured: str) -> None:
        """Let requests through to `app` that go to this machine or to the host that is `configured`."""
        self._app = app
        self._configured = configured.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or self.takes(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        said = {"success": False, "code": "foreign_host", "message": "the shop does not answer to that name"}
        answer = Response(orjson.dumps(said), HTTPStatus.FORBIDDEN, media_type="application/json")
        await answer(scope, receive, send)

    def takes(self, header: str) -> bool:
        """Whether this `Host` header names the shop. An address cannot be turned elsewhere, as a name can."""
        try:
            host = urlsplit(f"//{header}").hostname or ""
            if host in {"localhost", self._configured}:
                return True
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self._configured in EVERYWHERE
