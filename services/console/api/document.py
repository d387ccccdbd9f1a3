"""`/openapi.json`: the API as OpenAPI describes it, for programs that make clients."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from pathline.contracts import api
from services.console.gate import ACTOR, CSRF

router = APIRouter()

PATH: Final = "/openapi.json"

_WORDS: Final = f"""
Customers' journeys and the alerts about them. Errors are `{{"success": false, "code", "message"}}` with a stable code.

A program sends the API token, `Authorization: Bearer TOKEN`, and may say for whom it acts with `{ACTOR}: NAME`.
A page of the console sends its cookie, and with a POST the session's `{CSRF}`.
"""

_SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "The API token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "pathline", "description": "A console's session."},
}


@router.get(PATH, include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Describe the API; the one call that needs no token."""
    return Response(msgspec.json.encode(document(request.app.routes)), media_type="application/json")


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI document of these routes, with the schemas of pathline.contracts.api."""
    described = get_openapi(
        title="Pathline", version=importlib.metadata.version("pathline"), description=_WORDS, routes=routes
    )
    components = described.setdefault("components", {})
    components["schemas"] = api.components()
    components["securitySchemes"] = _SECURITY
    described["security"] = [{name: []} for name in _SECURITY]
    return described
