"""`/alerts`: the list, and what people do to them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from pathline.domain.alerts import (
    SEVERITIES,
    STATES,
    Acknowledge,
    Alert,
    Assign,
    Conflict,
    Move,
    Moved,
    Note,
    Refused,
    Resolve,
    Snooze,
)
from pathline.storage import alerts, customers, fences
from services.console import cursors, shapes
from services.console.api.answers import answer, body_of, described, id_of, limit_of, one_of, text_of
from services.console.api.customers import root_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.sessions import one_line

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(prefix="/alerts", tags=["alerts"])

NOT_FOUND = "alert_not_found"
ATTEMPTS = 3
"""Turns of a move that the database broke off because of another one."""

AlertId = Annotated[str, Path(description="Of the alert.")]


@router.get(
    "", responses=described(api.AlertPage, "A page of alerts.", "bad_parameter", "bad_cursor", "customer_not_found")
)
async def listed(
    request: Request,
    state: Annotated[str | None, Query(description=f"Any of {', '.join(STATES)}, with commas; none: all.")] = None,
    severity: Annotated[str | None, Query(description=f"Any of {', '.join(SEVERITIES)}, with commas.")] = None,
    detector: Annotated[str | None, Query(description="Names of detectors, with commas.")] = None,
    customer: Annotated[str | None, Query(description="Id of a customer: alerts of all that is theirs.")] = None,
    assignee: Annotated[str | None, Query(description="Whose.")] = None,
    shadow: Annotated[str | None, Query(description="`true`: those of detectors on trial, instead.")] = None,
    limit: Annotated[str | None, Query(description="100 unless given, at most 1,000.")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """List alerts, newest first."""
    size = limit_of(limit)
    place = cursors.from_text(cursor) if cursor else None
    in_shadow = one_of("shadow", shadow, ("true", "false")) == ["true"]
    states, severities = one_of("state", state, STATES), one_of("severity", severity, SEVERITIES)
    async with context_of(request).database.connection() as db:
        subjects = None
        if customer:
            subjects = (await customers.whole(db, await root_of(db, customer))).alertable
        found = await alerts.list_alerts(
            db,
            state=states,
            severity=severities,
            detector=one_of("detector", detector),
            subjects=subjects,
            assignee=text_of("assignee", assignee) or None,
            shadow=in_shadow,
            limit=size + 1,
            cursor=place,
        )
        owners = await customers.of_alerts(db, found[:size])
    following = cursors.to_text(alerts.cursor_of(found[size - 1])) if len(found) > size else None
    return answer(api.AlertPage([shapes.alert(one, owners) for one in found[:size]], following))


@router.get("/{alert_id}", responses=described(api.AlertOut, "The alert.", NOT_FOUND))
async def one(request: Request, alert_id: AlertId) -> Response:
    """Read an alert."""
    async with context_of(request).database.connection() as db:
        found = await alerts.get(db, id_of(alert_id, NOT_FOUND))
        if found is None:
            raise ApiError(NOT_FOUND, "there is no alert of that id")
        return await _out(db, found)


_MOVES = ("alert_not_found", "alert_resolved", "alert_held", "bad_body", "body_too_large", "forbidden")


@router.post("/{alert_id}/acknowledge", responses=described(api.AlertOut, "The alert, yours.", *_MOVES))
async def acknowledge(request: Request, alert_id: AlertId) -> Response:
    """Claim an alert. Again what you hold is 200; what somebody else holds is 409 `alert_held`."""
    await body_of(request, dict)
    return await _moved(request, alert_id, Acknowledge())


@router.post(
    "/{alert_id}/assign",
    responses=described(api.AlertOut, "The alert.", "bad_assignee", *_MOVES),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": api.ref(api.AssignBody)}}}},
)
async def assign(request: Request, alert_id: AlertId) -> Response:
    """Say whose an alert is; null gives it back to everyone."""
    body: api.AssignBody = await body_of(request, api.AssignBody, [("assignee", "bad_assignee")])
    return await _moved(request, alert_id, Assign(None if body.assignee is None else one_line(body.assignee)))


@router.post(
    "/{alert_id}/snooze",
    responses=described(api.AlertOut, "The alert, asleep.", "bad_until", *_MOVES),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": api.ref(api.SnoozeBody)}}}},
)
async def snooze(request: Request, alert_id: AlertId) -> Response:
    """Put an alert off; it opens again by itself."""
    body: api.SnoozeBody = await body_of(request, api.SnoozeBody, [("until", "bad_until")])
    return await _moved(request, alert_id, Snooze(body.until))


@router.post(
    "/{alert_id}/resolve",
    responses=described(api.AlertOut, "The alert, over.", "bad_reason", *_MOVES),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": api.ref(api.ResolveBody)}}}},
)
async def resolve(request: Request, alert_id: AlertId) -> Response:
    """End an alert. It stays so until a new cause opens a new episode."""
    body: api.ResolveBody = await body_of(request, api.ResolveBody, [("reason", "bad_reason")])
    return await _moved(request, alert_id, Resolve(body.reason))


@router.post(
    "/{alert_id}/note",
    responses=described(api.AlertOut, "The alert.", "bad_note", *_MOVES),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": api.ref(api.NoteBody)}}}},
)
async def note(request: Request, alert_id: AlertId) -> Response:
    """Write something down for the next one; a resolved alert takes it, too."""
    body: api.NoteBody = await body_of(request, api.NoteBody, [("text", "bad_note")])
    return await _moved(request, alert_id, Note(body.text))


async def _moved(request: Request, alert_id: str, move: Move) -> Response:
    moved = await do(context_of(request), id_of(alert_id, NOT_FOUND), move, caller_of(request).name)
    async with context_of(request).database.connection() as db:
        return await _out(db, moved.alert)


async def do(context: Context, alert_id: UUID, move: Move, actor: str) -> Moved:
    """Do what a person asks for, in one transaction. Raises ApiError when it can't be done."""
    kind = str(move.__struct_config__.tag)
    outcome = await _attempt(context, alert_id, move, actor)
    match outcome:
        case None:
            context.metrics.moves.labels(kind, "not_found").inc()
            raise ApiError(NOT_FOUND, "there is no alert of that id")
        case Refused(code, message):
            context.metrics.moves.labels(kind, "refused").inc()
            raise ApiError(code, message)
        case Conflict():
            context.metrics.moves.labels(kind, "conflict").inc()
            raise ApiError(outcome.code, outcome.message, state=outcome.state, holder=outcome.holder)
        case Moved():
            context.metrics.moves.labels(kind, "done" if outcome.changed else "repeated").inc()
            return outcome


async def _attempt(context: Context, alert_id: UUID, move: Move, actor: str) -> Moved | Conflict | Refused | None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with context.database.transaction() as db:
                now: datetime = await fences.clock(db)
                return await alerts.move(db, alert_id, move, actor, now)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if attempt == ATTEMPTS:
                raise
    return None


async def _out(db: Db, alert: Alert) -> Response:
    return answer(shapes.alert(alert, await customers.of_alerts(db, [alert])))
