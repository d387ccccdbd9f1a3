"""`/map`: the journey map of a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from pathline.storage import fences
from services.console import cursors
from services.console.api.answers import answer, described, text_of
from services.console.context import Context, context_of
from services.console.errors import ApiError
from services.console.maps import Maps

router = APIRouter(tags=["map"])

USUAL = timedelta(days=7)
"""The window where none is given."""

_YEAR_TWO = datetime(2, 1, 1, tzinfo=UTC)
"""Before it there is no room for a window."""


@router.get("/map", responses=described(api.JourneyMap, "The map.", "bad_parameter"))
async def journey_map(
    request: Request,
    begin: Annotated[str | None, Query(alias="from", description="RFC 3339; a week before `to` unless given.")] = None,
    to: Annotated[str | None, Query(description="RFC 3339; now unless given.")] = None,
    segment: Annotated[str | None, Query(description="Only customers of this segment.", max_length=200)] = None,
) -> Response:
    """Count customers by stage over the touchpoints received from `from` until `to`.

    At most the first 50,000 touchpoints of the window are counted; `complete` says whether that was all.
    """
    context = context_of(request)
    first, last = await window_of(context, begin, to)
    maps: Maps = request.app.state.maps
    return answer(await maps.get(context, first, last, text_of("segment", segment) or None))


async def window_of(
    context: Context, begin: str | None, to: str | None, *, days: int | None = None
) -> tuple[datetime, datetime]:
    """The window that two parameters mean; of so many `days`, a week, where no begin is given.

    Raises:
        ApiError: `bad_parameter`.
    """
    last = _time("to", to)
    if last is None:
        async with context.database.connection() as db:
            # To the minute, so that people who look at the same time are shown the same map.
            last = (await fences.clock(db)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    longest = timedelta(days=context.settings.console_map_days)
    first = _time("from", begin) or max(last, _YEAR_TWO) - min(USUAL if days is None else timedelta(days=days), longest)
    if not timedelta() < last - first <= longest:
        code = "bad_parameter"
        raise ApiError(code, f"`from` lies before `to`, by at most {context.settings.console_map_days} days")
    return first, last


def _time(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return cursors.utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        code = "bad_parameter"
        raise ApiError(code, f"`{name}` is a time with a zone, as in 2026-01-31T12:00:00Z") from None
