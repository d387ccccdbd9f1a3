"""`/sources`: who sends, and who is silent."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from pathline.storage import rhythms
from services.console.api.answers import answer, described
from services.console.context import context_of

router = APIRouter(tags=["sources"])


@router.get("/sources", responses=described(api.SourceList, "The sources."))
async def sources(request: Request) -> Response:
    """List who was heard, when last, and who is silent for longer than they ever are."""
    async with context_of(request).database.connection() as db:
        found = await rhythms.listed(db)
    items = [
        api.SourceOut(
            source=one.rhythm.source,
            heard_since=one.rhythm.since,
            heard_at=one.rhythm.heard_at,
            longest_silence_seconds=one.rhythm.longest.total_seconds(),
            silent_since=one.silent_since,
        )
        for one in found
    ]
    return answer(api.SourceList(items))
