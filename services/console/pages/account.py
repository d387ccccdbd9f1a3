"""A business: the customers who belong to it, seen together."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts.api import DEFAULT_LIMIT
from pathline.storage import accounts, fences
from services.console.api.accounts import NOT_FOUND
from services.console.api.answers import text_of
from services.console.context import context_of
from services.console.errors import ApiError
from services.console.pages.render import page
from services.console.pages.search import MAX_QUERY

router = APIRouter(include_in_schema=False)


@router.get("/accounts")
async def show(request: Request, value: str) -> Response:
    """Show who belongs to an account."""
    if len(text_of("value", value)) > MAX_QUERY:
        code = "bad_parameter"
        raise ApiError(code, f"value has at most {MAX_QUERY} characters")
    async with context_of(request).database.connection() as db:
        found = await accounts.lookup(db, value, DEFAULT_LIMIT)
        now = await fences.clock(db)
    if found is None:
        raise ApiError(NOT_FOUND, "nobody is known to belong to an account of that name")
    return page(request, "account.html", account=found, now=now)
