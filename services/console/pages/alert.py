"""An alert's page, and what people do to alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pathline.contracts.customer import ShipmentOut
from pathline.domain.alerts import Acknowledge, Alert, Assign, Move, Note, Resolve, Snooze
from pathline.domain.detectors.view import Story
from pathline.domain.story import OrderStory
from pathline.storage import alerts, customers, detectors, fences, stories, touchpoints
from pathline.storage.touchpoints import Stored
from services.console import things
from services.console.api.alerts import NOT_FOUND, do
from services.console.api.answers import id_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.pages import words
from services.console.pages.forms import form_of
from services.console.pages.listing import Filter, Row, rows_of, shown_in
from services.console.pages.render import fragment, page, toast
from services.console.pages.timeline import draw
from services.console.sessions import one_line

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(prefix="/alerts", include_in_schema=False)

MAX_AROUND: Final = 40
"""Touchpoints that an alert's page draws around it."""
MAX_EVENTS: Final = 200
"""Entries of an alert's history that are shown, the newest."""
CURRENT_URL: Final = "hx-current-url"
"""The header in which htmx says on which page somebody acts."""
LATER: Final = timedelta(hours=12)
"""How much of what came after an alert opened is drawn with it."""


@router.get("/{alert_id}")
async def show(request: Request, alert_id: str) -> Response:
    """Show an alert."""
    return page(request, "alert.html", **(await _values(request, id_of(alert_id, NOT_FOUND))))


@router.get("/{alert_id}/live")
async def live(request: Request, alert_id: str) -> Response:
    """The page as it stands now, without its frame."""
    return page(request, "parts/alert_body.html", **(await _values(request, id_of(alert_id, NOT_FOUND))))


def _resolve(form: dict[str, str]) -> Move:
    return Resolve(form.get("reason", "fixed"))


def _snooze(form: dict[str, str]) -> Move:
    try:
        until = datetime.fromisoformat(form.get("until", ""))
    except ValueError:
        code = "bad_until"
        raise ApiError(code, "until is a time with a zone") from None
    return Snooze(until)


MOVES: Final[dict[str, Callable[[dict[str, str]], Move]]] = {
    "acknowledge": lambda _form: Acknowledge(),
    "assign": lambda form: Assign(one_line(form.get("assignee", ""))),
    "release": lambda _form: Assign(None),
    "snooze": _snooze,
    "resolve": _resolve,
    "note": lambda form: Note(form.get("text", "")),
}
"""What a form asks for, by the last word of its address."""

DONE: Final = {
    "acknowledge": "You have it.", "assign": "Handed over.", "release": "It is everyone's again.", "snooze": "Snoozed.",
    "resolve": "Resolved.", "note": "Noted.",
}  # fmt: skip


@router.post("/{alert_id}/{move}")
async def act(request: Request, alert_id: str, move: str) -> Response:
    """Do what a person asks for, and answer with the row or the page as it stands then."""
    make = MOVES.get(move)
    if make is None:
        code = "not_found"
        raise ApiError(code, "alerts know no such move")
    form = await form_of(request)
    one = id_of(alert_id, NOT_FOUND)
    context, me = context_of(request), caller_of(request).name
    try:
        await do(context, one, make(form), me)
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        said = await _conflict(context, one, error)
        return await _answer(request, one, form, toast(said, wrong=True), conflict=said)
    return await _answer(request, one, form, toast(DONE[move]), conflict=None)


async def _conflict(context: Context, alert_id: UUID, error: ApiError) -> str:
    """Why a move was not made, with who was first."""
    if error.code == "alert_held":
        return f"{error.holder} has it."
    async with context.database.connection() as db:
        history = await alerts.events(db, alert_id)
    last = next((event for event in reversed(history) if event.kind in {"resolve", "resolved"}), None)
    if last is None:
        return "It is over; it takes only notes."
    return f"{words.actor(last.actor)} {words.done(last)}. It takes only notes now."


async def _answer(
    request: Request, alert_id: UUID, form: dict[str, str], told: dict[str, str], conflict: str | None
) -> Response:
    if form.get("from") == "row":
        return HTMLResponse(await _row(request, alert_id, conflict), headers=told)
    values = await _values(request, alert_id, conflict)
    return HTMLResponse(fragment(request, "parts/alert_body.html", **values), headers=told)


async def _row(request: Request, alert_id: UUID, conflict: str | None) -> str:
    me = caller_of(request).name
    async with context_of(request).database.connection() as db:
        found = await _get(db, alert_id)
        (row,) = await rows_of(db, [found], shown_in(request.headers.get(CURRENT_URL, ""), me), conflict=conflict)
        now = await fences.clock(db)
    return fragment(request, "parts/row_answer.html", row=row, now=now)


async def _get(db: Db, alert_id: UUID) -> Alert:
    found = await alerts.get(db, alert_id)
    if found is None:
        raise ApiError(NOT_FOUND, "there is no alert of that id")
    return found


async def _values(request: Request, alert_id: UUID, conflict: str | None = None) -> dict[str, Any]:
    context = context_of(request)
    async with context.database.connection() as db:
        alert = await _get(db, alert_id)
        (row,) = await rows_of(db, [alert], conflict=conflict)
        story = await _story(db, context, alert)
        causes, around = await _around(db, alert, row, story)
        history = await alerts.events(db, alert.id, MAX_EVENTS)
        now = await fences.clock(db)
        detector = await detectors.get(db, alert.detector)
    order = None if story is None else story.purchase
    drawn = list({one.id: one for one in (*causes, *around)}.values())
    return {
        "alert": alert,
        "row": row,
        "advice": (None if detector is None else detector.advice) or context.advice(alert.detector),
        "order": None if order is None else things.order_out(order),
        "zone": None if order is None else str(order.zone),
        "parcels": _parcels(order),
        "causes": causes,
        "lost_causes": len(set(alert.why) - {one.message_id for one in causes}),
        "timeline": draw(drawn, [alert], set(alert.why)),
        "history": [event for event in history if event.kind != "note"],
        "notes": [event for event in history if event.kind == "note"],
        "customer_id": None if row.who is None else str(row.who.id),
        "now": now,
        "wanted": Filter(caller_of(request).name),
    }


async def _story(db: Db, context: Context, alert: Alert) -> Story | None:
    """The story the alert is judged in; that of its order where a parcel has met it since."""
    gathered = await stories.gather(db, [alert.story_id], context.zone)
    elsewhere = gathered.elsewhere.get(alert.story_id)
    if elsewhere is not None:
        gathered = await stories.gather(db, [elsewhere], context.zone)
    return next(iter(gathered.stories.values()), None)


async def _around(db: Db, alert: Alert, row: Row, story: Story | None) -> tuple[list[Stored], list[Stored]]:
    """The touchpoints that caused an alert, and those of the customer around it."""
    things = () if story is None else story.things
    states = [thing.state for thing in things]
    if story is not None and story.strand is not None:
        states.append(story.strand.state)
    subjects = {thing.id for thing in things}
    if row.who is not None:
        whole = await customers.whole(db, row.who.id)
        subjects |= set(whole.subjects)
    causes = await customers.causes(db, alert, subjects, states)
    until = alert.opened_at + LATER
    around = await touchpoints.newest(db, subjects, (until, touchpoints.GREATEST_ID), MAX_AROUND)
    return causes, around


def _parcels(order: OrderStory | None) -> list[ShipmentOut]:
    return [] if order is None else things.shipments(order)
