"""Detectors: what runs, how good it is, and the button that sends one live."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pathline.storage import fences
from pathline.storage.detectors import MODES
from services.console import detecting
from services.console.api.detectors import read, switch
from services.console.context import caller_of, context_of
from services.console.errors import ApiError
from services.console.pages.forms import form_of
from services.console.pages.render import fragment, page, toast

router = APIRouter(prefix="/detectors", include_in_schema=False)

DONE = {
    "live": "It is live: alerts are sent from now on.",
    "shadow": "It is on trial: nobody is told of new episodes.",
}


@router.get("")
async def show(request: Request) -> Response:
    """Show all detectors."""
    async with context_of(request).database.connection() as db:
        found = await detecting.overview(db)
        now = await fences.clock(db)
    return page(request, "detectors.html", found=found, now=now)


@router.get("/{name}")
async def one(request: Request, name: str) -> Response:
    """Show one."""
    context = context_of(request)
    found = await read(context, name)
    async with context.database.connection() as db:
        now = await fences.clock(db)
    return page(request, "detector.html", d=found, now=now)


@router.post("/{name}/{mode}")
async def act(request: Request, name: str, mode: str) -> Response:
    """Send one live or on trial, and answer with the page as it stands then."""
    chosen = next((known for known in MODES if known == mode), None)
    if chosen is None:
        code = "not_found"
        raise ApiError(code, "a detector is live or in shadow")
    await form_of(request)
    context = context_of(request)
    await switch(context, name, chosen, caller_of(request).name, "console")
    found = await read(context, name)
    async with context.database.connection() as db:
        now = await fences.clock(db)
    return HTMLResponse(fragment(request, "parts/detector_body.html", d=found, now=now), headers=toast(DONE[chosen]))
