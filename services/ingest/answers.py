"""What is answered, and the headers that go with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.types import Send

from services.ingest.codes import RETRY_AFTER_SECONDS, STORED, Refused, refusal

HeaderMap = dict[bytes, bytes]
Headers = list[tuple[bytes, bytes]]

ALLOWED_HEADERS: Final = (
    "authorization, content-type, content-encoding, x-retry-count, anonymousid, sentat, rsa-recovered, "
    "rsa-retry-attempt, rsa-since-last-attempt, rsa-since-first-attempt, rsa-retry-reason, traceparent, sp-anonymous, "
    "ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject, ce-userid, ce-anonymousid"
)
"""What SDKs send from browsers; `*` does not cover Authorization."""

PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser keeps a preflight's answer: Chromium's cap."""


class Answer(NamedTuple):
    """What is answered. `close` ends the connection; `retry_after` is in seconds."""

    status: int
    content: bytes
    close: bool = False
    retry_after: int | None = None
    code: str | None = None
    """Of a refusal, for those who cannot read JSON."""


ALL_STORED: Final = Answer(HTTPStatus.OK, STORED)

JSON: Final = (b"content-type", b"application/json")
_STORED_HEADERS: Final = [JSON, (b"content-length", str(len(STORED)).encode())]


def refuse(refused: Refused, *, close: bool = False, retry_after: int | None = None) -> Answer:
    """The answer to a request that is refused."""
    status = refused.status
    if retry_after is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = RETRY_AFTER_SECONDS
    return Answer(status, refusal(refused), close, retry_after, refused.code)


async def respond(answer: Answer, origin: bytes | None, send: Send) -> None:
    """Send it as JSON."""
    headers = _STORED_HEADERS if answer is ALL_STORED else _headers(answer, [JSON], len(answer.content))
    await deliver(answer.status, headers, answer.content, origin, send)


async def respond_as(
    answer: Answer, status: int, content: bytes, own: Headers, origin: bytes | None, send: Send
) -> None:  # fmt: skip
    """Send it in another form, with headers of its own."""
    await deliver(status, _headers(answer, own, len(content)), content, origin, send)


async def deliver(status: int, headers: Headers, content: bytes, origin: bytes | None, send: Send) -> None:
    """Send a status, headers and a body, and what a page of another origin needs to read them."""
    if origin is not None:
        headers = [*headers, *_for_origin(origin)]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _headers(answer: Answer, own: Headers, length: int) -> Headers:
    headers = [*own, (b"content-length", str(length).encode())]
    if answer.retry_after is not None:
        headers.append((b"retry-after", str(answer.retry_after).encode()))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    if answer.close:
        headers.append((b"connection", b"close"))
    return headers


def _for_origin(origin: bytes) -> Headers:
    """Beacons carry cookies: the answer names the exact origin, never `*`."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after, x-pathline-code"),
        (b"vary", b"origin"),
    ]


async def preflight(methods: tuple[str, ...], origin: bytes | None, send: Send) -> None:
    """Answer OPTIONS. A preflight carries no key; `origin` is None where no key may be used from there."""
    allowed = ", ".join((*methods, "OPTIONS")).encode()
    headers: Headers = [(b"content-length", b"0"), (b"allow", allowed)]
    if origin is not None:
        headers += [
            (b"access-control-allow-methods", allowed),
            (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        ]
    await deliver(HTTPStatus.OK, headers, b"", origin, send)
