"""Why a connection is turned away at the door, and what is said then."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

RETRY_AFTER_SECONDS: Final = 2
"""What one who is turned away for want of room is asked to wait."""


class Refusal(NamedTuple):
    """Why a connection is turned away."""

    code: str
    status: HTTPStatus
    message: str

    def raw(self) -> bytes:
        """A whole HTTP answer."""
        content = orjson.dumps({"success": False, "code": self.code, "message": self.message})
        again = self.status is HTTPStatus.SERVICE_UNAVAILABLE
        retry = f"retry-after: {RETRY_AFTER_SECONDS}\r\n" if again else ""
        head = f"content-type: application/json\r\ncontent-length: {len(content)}\r\n{retry}connection: close\r\n\r\n"
        return STATUS_LINE[self.status] + head.encode() + content


BAD_REQUEST: Final = Refusal("bad_request", HTTPStatus.BAD_REQUEST, "this is no HTTP request")
TOO_SLOW: Final = Refusal("body_timeout", HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")
HEADERS_TOO_LARGE: Final = Refusal(
    "headers_too_large",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request line and headers are larger than is read here",
)
TOO_MANY: Final = Refusal(
    "too_many_connections", HTTPStatus.SERVICE_UNAVAILABLE, "as many connections are open as may be; try again"
)
