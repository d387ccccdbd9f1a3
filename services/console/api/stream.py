"""`/stream`: what happens, as server-sent events."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pathline.contracts.api import CODES
from pathline.storage import customers
from services.console.api.answers import id_of, one_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.hub import HEARTBEAT, RESET, Frame, Stream, frame, to_json
from services.console.metrics import EVENTS

router = APIRouter(tags=["stream"])

RETRY_MS: Final = 2_000
"""How long a browser waits before it comes back."""

CATCH_UP_SECONDS: Final = 5
"""How long a stream that resumes waits for a process that has just begun to read."""


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": (
                "Server-sent events: `touchpoint` (TouchpointEvent), `journey` (JourneyEvent), `alert` (AlertEvent), "
                "`heartbeat`, and `reset` where more was missed than is remembered: read everything again. "
                "After a break an event may come twice, and none is missed."
            ),
            "content": {"text/event-stream": {}},
        },
        "default": {"description": f"An error. `too_many_streams`: {CODES['too_many_streams']}"},
    },
)
async def stream(
    request: Request,
    customer: Annotated[str | None, Query(description="Only what concerns this customer.")] = None,
    events: Annotated[str | None, Query(description=f"Any of {', '.join(EVENTS)}, with commas; none: all.")] = None,
    last_event_id: Annotated[str | None, Header(description="`id` of the last event seen, to go on from.")] = None,
    last_id: Annotated[str | None, Query(description="The same, for a client that can't set headers.")] = None,
) -> StreamingResponse:
    """Tell what happens, from now on or from `Last-Event-ID` on."""
    context = context_of(request)
    names = frozenset(one_of("events", events, EVENTS) or EVENTS)
    given = id_of(customer, "customer_not_found") if customer else None
    whose = None if given is None else await _names_of(context, given)
    last = last_event_id or last_id
    if last:
        await context.hub.wait(CATCH_UP_SECONDS)
    joined = context.hub.join(last)
    if joined is None:
        code = "too_many_streams"
        raise ApiError(code, "no more streams can be served now")
    opened, late = joined
    session = caller_of(request).session
    until = math.inf if session is None else session.until
    told = _tell(context, opened, names, given, whose, late=late, until=until)
    return _Told(told, lambda: context.hub.leave(opened))


class _Told(StreamingResponse):
    """A stream's answer. It leaves the hub whatever happens, also where its first byte was never asked for."""

    media_type = "text/event-stream"

    def __init__(self, told: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(told, headers={"x-accel-buffering": "no"})
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _tell(
    context: Context,
    opened: Stream,
    names: frozenset[str],
    given: UUID | None,
    whose: set[UUID] | None,
    *,
    late: bool,
    until: float,
) -> AsyncIterator[bytes]:
    """Everything for one stream, until it, its session (`until`, Unix time) or the process ends."""
    yield b"retry: %d\n\n" % RETRY_MS + _sign(RESET if late else HEARTBEAT, opened.place)
    while not opened.ended and (left := until - context.wall_seconds()) > 0:
        taken = await opened.take(min(context.settings.console_heartbeat_seconds, left))
        place = opened.place
        wire = []
        for one in taken:
            if whose is not None and given is not None and one.event.moved and one.event.customers & whose:
                whose |= await _names_of(context, given)
            if _concerns(one, names, whose):
                wire.append(one.wire)
        # A quiet filter is told the place, too, so that it resumes from where it has looked.
        yield b"".join(wire) or _sign(HEARTBEAT, place)


def _concerns(one: Frame, names: frozenset[str], whose: set[UUID] | None) -> bool:
    return one.event.name in names and (whose is None or bool(one.event.customers & whose))


def _sign(name: str, place: str) -> bytes:
    return frame(name, to_json({"at": datetime.now(UTC)}), place)


async def _names_of(context: Context, given: UUID) -> set[UUID]:
    """The id that was given, and the customer it is now."""
    async with context.database.connection() as db:
        return {given, await customers.resolve(db, given) or given}
