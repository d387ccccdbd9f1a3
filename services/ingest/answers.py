"""What is answered, and the headers that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.types import Send

from pathline.kit.exchange import Reply, send_reply
from services.ingest.codes import RETRY_AFTER_SECONDS, STORED, Refused, refusal

HeaderMap = dict[bytes, bytes]
Header = tuple[bytes, bytes]

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
_STORED_REPLY: Final = Reply(HTTPStatus.OK, (JSON,), STORED)
"""Nearly every reply: as it stays the same object, it is encoded once."""


KEPT: Final = 256
"""Refusals that are put together once: there are not many more, and who is refused often is refused for the same."""

KEPT_BYTES: Final = 1_024
"""Of an answer that is kept; those that list what was refused are longer, and of one batch."""


@lru_cache(maxsize=KEPT)
def refuse(refused: Refused, *, close: bool = False, retry_after: int | None = None) -> Answer:
    """The answer to a request that is refused."""
    status = refused.status
    if retry_after is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = RETRY_AFTER_SECONDS
    return Answer(status, refusal(refused), close, retry_after, refused.code)


def reply(answer: Answer, origin: bytes | None) -> Reply:
    """It as JSON, with what a page of another origin needs to read it."""
    if origin is not None:
        return reply_as(answer, answer.status, answer.content, (JSON,), origin)
    if answer is ALL_STORED:
        return _STORED_REPLY
    return _bare(answer) if len(answer.content) <= KEPT_BYTES else _bare.__wrapped__(answer)


@lru_cache(maxsize=KEPT)
def _bare(answer: Answer) -> Reply:
    """It as JSON, to who is no page."""
    return reply_as(answer, answer.status, answer.content, (JSON,), None)


def reply_as(answer: Answer, status: int, content: bytes, own: Sequence[Header], origin: bytes | None) -> Reply:
    """It in another form, with headers of its own."""
    headers = list(own)
    if answer.retry_after is not None:
        headers.append((b"retry-after", str(answer.retry_after).encode()))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    if origin is not None:
        headers += _for_origin(origin)
    return Reply(int(status), tuple(headers), content, answer.close)


def _for_origin(origin: bytes) -> tuple[Header, ...]:
    """Beacons carry cookies: the answer names the exact origin, never `*`."""
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after, x-pathline-code"),
        (b"vary", b"origin"),
    )


async def preflight(methods: tuple[str, ...], origin: bytes | None, send: Send) -> None:
    """Answer OPTIONS. A preflight carries no key; `origin` is None where no key may be used from there."""
    allowed = ", ".join((*methods, "OPTIONS")).encode()
    headers: list[Header] = [(b"allow", allowed)]
    if origin is not None:
        headers += [
            (b"access-control-allow-methods", allowed),
            (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
            *_for_origin(origin),
        ]
    await send_reply(Reply(HTTPStatus.OK, tuple(headers), b""), send)
