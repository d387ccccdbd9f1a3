"""Finding a customer by anything they, or a thing of theirs, go by."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pathline.domain.identifiers import PERSON_KINDS, THING_KINDS
from pathline.storage import alerts, customers
from pathline.storage.customers import Caller
from services.console.api.answers import text_of
from services.console.context import context_of
from services.console.errors import ApiError
from services.console.pages.render import page

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(include_in_schema=False)

MAX_QUERY: Final = 1_000
"""Characters of what is searched for."""


class Hit(msgspec.Struct, frozen=True):
    """A customer, and as what the searched text is known."""

    caller: Caller
    kinds: list[str]


@router.get("/search")
async def show(request: Request, q: str = "") -> Response:
    """Show who goes by a text; the one, at once, where there is only one."""
    text = text_of("q", q).strip()
    if len(text) > MAX_QUERY:
        code = "bad_parameter"
        raise ApiError(code, f"q has at most {MAX_QUERY} characters")
    hits: list[Hit] = []
    if text:
        async with context_of(request).database.connection() as db:
            where = await _by_id(db, text)
            hits = [] if where else await hits_of(db, text)
        if len(hits) == 1:
            where = f"/customers/{hits[0].caller.id}"
        if where:
            return RedirectResponse(where, HTTPStatus.SEE_OTHER)
    return page(request, "search.html", query=text, hits=hits, kinds=(*PERSON_KINDS, *THING_KINDS))


async def _by_id(db: Db, text: str) -> str | None:
    """The page of an id of ours."""
    try:
        one = UUID(text)
    except ValueError:
        return None
    if await alerts.get(db, one) is not None:
        return f"/alerts/{one}"
    root = await customers.resolve(db, one)
    return None if root is None else f"/customers/{root}"


async def hits_of(db: Db, text: str) -> list[Hit]:
    """Who goes by a text, of any kind."""
    found: dict[UUID, list[str]] = {}
    for spelling in dict.fromkeys((text, text.removeprefix("#").strip())):
        for kind in (*PERSON_KINDS, *THING_KINDS):
            root = await customers.lookup(db, kind, spelling) if spelling else None
            if root is not None and kind not in found.setdefault(root, []):
                found[root].append(kind)
    callers = await customers.callers(db, found)
    return [Hit(callers[root], kinds) for root, kinds in found.items() if root in callers]
