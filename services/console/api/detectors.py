"""`/detectors`: what runs, how good it is, and whether people are told."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts.detectors import DetectorList, DetectorOut
from pathline.storage import detectors
from pathline.storage.detectors import Mode
from services.console import detecting
from services.console.api.answers import answer, body_of, described, text_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError

router = APIRouter(prefix="/detectors", tags=["detectors"])

NOT_FOUND = "detector_not_found"

Name = Annotated[str, Path(description="Of the detector.", max_length=200)]


@router.get("", responses=described(DetectorList, "All detectors."))
async def listed(request: Request) -> Response:
    """List detectors with short records, what is wrong with files, and how far the last change of them has come."""
    async with context_of(request).database.connection() as db:
        return answer(await detecting.overview(db))


@router.get("/{name}", responses=described(DetectorOut, "The detector.", NOT_FOUND))
async def one(request: Request, name: Name) -> Response:
    """Read a detector with its whole record and who switched it when."""
    return answer(await read(context_of(request), name))


@router.post("/{name}/live", responses=described(DetectorOut, "The detector, live.", NOT_FOUND, "forbidden"))
async def live(request: Request, name: Name) -> Response:
    """Tell people of its episodes from now on, those that are open in shadow among them. Again it is 200."""
    return await _switched(request, name, "live")


@router.post("/{name}/shadow", responses=described(DetectorOut, "The detector, on trial.", NOT_FOUND, "forbidden"))
async def shadow(request: Request, name: Name) -> Response:
    """Tell nobody of new episodes. What was told goes on to its end. Again it is 200."""
    return await _switched(request, name, "shadow")


async def _switched(request: Request, name: str, mode: Mode) -> Response:
    await body_of(request, dict)
    await switch(context_of(request), name, mode, caller_of(request).name, "api")
    return answer(await read(context_of(request), name))


async def read(context: Context, name: str) -> DetectorOut:
    """The detector. Raises ApiError where there is none."""
    async with context.database.connection() as db:
        found = await detecting.one(db, text_of("name", name))
    if found is None:
        raise ApiError(NOT_FOUND, "there is no detector of that name")
    return found


async def switch(context: Context, name: str, mode: Mode, actor: str, origin: str) -> None:
    """Send a detector live or on trial. Raises ApiError where there is none."""
    async with context.database.transaction() as db:
        changed = await detectors.set_mode(db, text_of("name", name), mode, actor, origin)
    if changed is None:
        raise ApiError(NOT_FOUND, "there is no detector of that name")
    context.metrics.moves.labels(f"detector_{mode}", "done" if changed else "repeated").inc()
