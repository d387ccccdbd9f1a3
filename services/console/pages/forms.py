"""Forms, read within bounds."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from services.console.api.answers import MAX_BODY
from services.console.errors import ApiError

MAX_FIELDS: Final = 20
"""Fields of a form."""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of several of one name the last. Raises ApiError when there is too much of it."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            code = "body_too_large"
            raise ApiError(code, f"a form has at most {MAX_BODY} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        code = "bad_body"
        raise ApiError(code, "the form cannot be read") from None
