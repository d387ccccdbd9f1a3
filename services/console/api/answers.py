"""What the routes of the API share: how an answer is written, what a parameter may be, what OpenAPI says of both."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from services.console.errors import ApiError

MAX_BODY: Final = 65_536
"""Bytes of a request's body."""

MAX_WORDS: Final = 50
"""Words of one parameter."""

Responses = dict[int | str, dict[str, Any]]


def answer(value: msgspec.Struct) -> Response:
    """200 with this as JSON."""
    return Response(msgspec.json.encode(value), media_type="application/json")


def described(kind: type, words: str, *codes: str) -> Responses:
    """What OpenAPI says of a route's answers: `kind` when it works, and these codes besides the usual ones."""
    content = {"application/json": {"schema": api.ref(kind)}}
    error = {"application/json": {"schema": api.ref(api.Error)}}
    listed = "; ".join(f"`{code}`: {api.CODES[code]}" for code in (*codes, "unauthorized", "unavailable"))
    return {
        200: {"description": words, "content": content},
        "default": {"description": f"An error. {listed}", "content": error},
    }


def limit_of(limit: str | None) -> int:
    """How many items are asked for: 100 unless given, at most 1,000. Raises ApiError."""
    if limit is None:
        return api.DEFAULT_LIMIT
    if not limit.isascii() or not limit.isdigit() or not limit.strip("0"):
        code = "bad_parameter"
        raise ApiError(code, "limit is a whole number from 1")
    return min(int(limit[:10]), api.MAX_LIMIT)


def one_of(name: str, given: str | None, allowed: Collection[str] | None = None) -> list[str] | None:
    """A parameter that is a list with commas; None when it is absent or empty. Raises ApiError for an unknown word."""
    words = [word.strip() for word in text_of(name, given).split(",") if word.strip()]
    if len(words) > MAX_WORDS:
        code = "bad_parameter"
        raise ApiError(code, f"{name} has at most {MAX_WORDS} words")
    unknown = [] if allowed is None else [word for word in words if word not in allowed]
    if unknown:
        code = "bad_parameter"
        raise ApiError(code, f"{name} is any of {', '.join(allowed or ())}")
    return words or None


def text_of(name: str, given: str | None) -> str:
    """A parameter that is text; empty when it is absent. Raises ApiError for what no name contains."""
    if given and "\0" in given:
        code = "bad_parameter"
        raise ApiError(code, f"{name} contains a NUL")
    return given or ""


def id_of(text: str, code: str) -> UUID:
    """An opaque id. One that can't be any is not found. Raises ApiError `code`."""
    try:
        return UUID(text)
    except ValueError:
        raise ApiError(code, "there is none of that id") from None


async def body_of(request: Request, kind: type[Any], codes: Sequence[tuple[str, str]] = ()) -> Any:
    """The body as `kind`; an empty one is `{}`.

    Args:
        request: with the body.
        kind: a msgspec struct.
        codes: (field, code) of fields whose absence or shape has a code of its own.

    Raises:
        ApiError: it is too large, or not of that kind.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            code = "body_too_large"
            raise ApiError(code, f"a body has at most {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        code = next(
            (named for field, named in codes if f"`{field}`" in str(error) or f"$.{field}" in str(error)), "bad_body"
        )
        raise ApiError(code, str(error)) from None
    except msgspec.DecodeError as error:
        code = "bad_body"
        raise ApiError(code, f"the body is not JSON: {error}") from None
