"""The journey map: the stages as a flow, what hurts and what is done at each, and the channels."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts.api import JourneyMap
from pathline.storage import fences
from services.console.api.answers import text_of
from services.console.api.map import window_of
from services.console.context import context_of
from services.console.maps import Maps
from services.console.pages.render import page

router = APIRouter(include_in_schema=False)

HEAT: Final = 4
"""Steps of shade in the table of channels, besides none."""

WINDOWS: Final = ((1, "24 hours"), (7, "7 days"), (30, "30 days"))
"""What is a click away; a longer one than the console allows is not offered."""

PER_HUNDRED: Final = 100


class Cell(msgspec.Struct, frozen=True):
    """Touchpoints of a channel in a stage, and how dark that is."""

    touchpoints: int
    heat: int


class Channel(msgspec.Struct, frozen=True):
    """A line of the table of channels: its cells are in the order of the stages."""

    name: str
    touchpoints: int
    cells: list[Cell]
    outside: int
    """Touchpoints in no stage."""


class Choice(msgspec.Struct, frozen=True):
    """A window that is a click away."""

    label: str
    path: str
    chosen: bool


@router.get("/map")
async def show(
    request: Request,
    days: str | None = None,
    begin: Annotated[str | None, Query(alias="from")] = None,
    to: str | None = None,
    segment: str | None = None,
) -> Response:
    """Show the map of a window: the last `days`, or `from` and `to` as the API takes them."""
    context = context_of(request)
    wanted = text_of("segment", segment).strip()
    last = int(days) if days in {str(number) for number, _ in WINDOWS} else None
    first, end = await window_of(context, begin, to, days=last)
    maps: Maps = request.app.state.maps
    made = await maps.get(context, first, end, wanted or None)
    async with context.database.connection() as db:
        now = await fences.clock(db)
    most = max((stage.customers for stage in made.stages), default=0)
    return page(
        request, "map.html", map=made, now=now, segment=wanted, channels=channels(made),
        stages=[(stage, share(stage.customers, most)) for stage in made.stages],
        choices=choices(last, context.settings.console_map_days, wanted, fixed=bool(begin or to)),
        chosen_days=last,
    )  # fmt: skip


def choices(days: int | None, longest: int, segment: str, *, fixed: bool) -> list[Choice]:
    """The windows that are a click away, with the segment kept."""
    given = {"segment": segment} if segment else {}
    chosen = None if fixed else days or 7
    return [
        Choice(label, f"/map?{urlencode({'days': number, **given})}", number == chosen)
        for number, label in WINDOWS
        if number <= longest
    ]


def channels(made: JourneyMap) -> list[Channel]:
    """The table of channels by stage, most touchpoints first."""
    most = max((count for stage in made.stages for count in stage.channels.values()), default=0)
    lines = []
    for name, total in made.channels.items():
        counts = [stage.channels.get(name, 0) for stage in made.stages]
        cells = [Cell(count, heat(count, most)) for count in counts]
        lines.append(Channel(name, total, cells, total - sum(counts)))
    return lines


def heat(count: int, most: int) -> int:
    """How dark a cell is: 0 for none, HEAT for the most."""
    return -(-count * HEAT // most) if most else 0


def share(part: int, whole: int) -> float:
    """A part in percent of a whole, 0 of none."""
    return round(PER_HUNDRED * part / whole, 1) if whole else 0.0
