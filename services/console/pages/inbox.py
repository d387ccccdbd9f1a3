"""The inbox: alerts, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pathline.domain.alerts import SEVERITIES
from pathline.storage import alerts, fences, inbox, rhythms
from services.console import cursors
from services.console.api.answers import id_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.pages.listing import VIEW_WORDS, Filter, filter_of, page_of, rows_of
from services.console.pages.render import page
from services.console.pages.signing import needs_name

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(include_in_schema=False)

MAX_ASKED: Final = 100
"""Changed alerts that a page asks for at a time; after more it reads the list again."""


@router.get("/")
async def show(
    request: Request, view: str | None = None, severity: str | None = None, detector: str | None = None
) -> Response:
    """Show the inbox."""
    context = context_of(request)
    wanted = filter_of(caller_of(request).name, view, severity, detector)
    async with context.database.connection() as db:
        listed = await page_of(db, wanted, None)
        values = await _around(db, context, wanted)
        known = bool(listed.rows or await alerts.list_alerts(db, limit=1))
    return page(
        request, "inbox.html", listed=listed, ever=known, collector=context.settings.collector,
        ask_name=needs_name(wanted.me), **values,
    )  # fmt: skip


@router.get("/inbox/more")
async def more(
    request: Request, cursor: str, view: str | None = None, severity: str | None = None, detector: str | None = None
) -> Response:
    """The next page of the list, to be put in place of the button that asked for it."""
    wanted = filter_of(caller_of(request).name, view, severity, detector)
    place = cursors.from_text(cursor)
    async with context_of(request).database.connection() as db:
        listed = await page_of(db, wanted, place)
        now = await fences.clock(db)
    return page(request, "parts/rows.html", listed=listed, wanted=wanted, now=now)


@router.get("/inbox/live")
async def live(
    request: Request,
    ids: str = "",
    view: str | None = None,
    severity: str | None = None,
    detector: str | None = None,
) -> Response:
    """What changed: these alerts as they stand, or without ids the first page; and the counts."""
    context = context_of(request)
    wanted = filter_of(caller_of(request).name, view, severity, detector)
    asked = _asked(ids)
    async with context.database.connection() as db:
        if asked:
            rows = await rows_of(db, await inbox.again(db, asked), wanted)
        else:
            rows = (await page_of(db, wanted, None)).rows
        values = await _around(db, context, wanted)
    return page(request, "parts/inbox_live.html", rows=rows, **values)


def _asked(ids: str) -> list[UUID]:
    """The alerts that a page names, with commas. Raises ApiError."""
    named = [one for one in ids.split(",") if one]
    if len(named) > MAX_ASKED:
        code = "bad_parameter"
        raise ApiError(code, f"ids are at most {MAX_ASKED}")
    return [id_of(one, "bad_parameter") for one in named]


async def _around(db: Db, context: Context, wanted: Filter) -> dict[str, Any]:
    """What the filters show, and the clock."""
    counts = await inbox.counts(db, wanted.me)
    return {
        "wanted": wanted,
        "now": await fences.clock(db),
        "counts": counts,
        "detectors": sorted({*context.detectors.files, *counts.detectors}),
        "severities": SEVERITIES[::-1],
        "views": VIEW_WORDS,
        "silent": [one for one in await rhythms.listed(db) if one.silent_since is not None],
    }
