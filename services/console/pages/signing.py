"""Signing in and out, and the name that claims carry."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pathline.kit import signin
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.pages.forms import form_of
from services.console.pages.render import fragment, page, safe_path, toast
from services.console.sessions import DEFAULT_NAME, Session, clean_name

router = APIRouter(include_in_schema=False)

NAME_COOKIE: Final = "pathline-name"
"""Keeps a person's name between sessions, so that they give it once."""
NAME_SECONDS: Final = 31_536_000

TOO_OLD: Final = "This sign-in link is no longer good. `pathline sign-in` prints a new one."
NOT_IT: Final = "That is not the API token."


@router.get("/sign-in")
async def ask(request: Request, ticket: str | None = None, to: str | None = None, name: str | None = None) -> Response:
    """Open a session for who comes by a link; ask everybody else."""
    context = context_of(request)
    where = safe_path(request.query_params.get("next") or to)
    if ticket is None:
        if request.scope.get("pathline.session") is not None:
            return RedirectResponse(where, HTTPStatus.SEE_OTHER)
        return page(request, "sign_in.html", where=where, name=_remembered(request), wrong=None)
    if not signin.is_good(context.api_token, ticket, now_seconds=context.wall_seconds()):
        return page(
            request, "sign_in.html", HTTPStatus.UNAUTHORIZED, where=where, name=_remembered(request), wrong=TOO_OLD
        )
    return _opened(context, name or _remembered(request), where)


@router.post("/sign-in")
async def enter(request: Request) -> Response:
    """Open a session for who knows the API token."""
    context = context_of(request)
    form = await form_of(request)
    where, name = safe_path(form.get("next")), form.get("name", "")
    if not context.sessions.is_token(form.get("token", "").strip()):
        return page(request, "sign_in.html", HTTPStatus.UNAUTHORIZED, where=where, name=name, wrong=NOT_IT)
    return _opened(context, name, where)


@router.post("/sign-out")
async def leave(request: Request) -> Response:
    """End the session of this browser."""
    answer = Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": "/sign-in"})
    sessions = context_of(request).sessions
    answer.delete_cookie(sessions.cookie, path="/", secure=sessions.https, httponly=True, samesite="lax")
    return answer


@router.post("/name")
async def rename(request: Request) -> Response:
    """Go by another name."""
    session = caller_of(request).session
    if session is None:
        code = "forbidden"
        raise ApiError(code, "a program names itself with Pathline-Actor")
    name = (await form_of(request)).get("name", "")
    context = context_of(request)
    renamed = context.sessions.rename(session, name)
    menu = fragment(request, "parts/person.html", me=renamed.name, oob=True)
    answer = HTMLResponse(menu, headers=toast(f"You are {renamed.name} now. Claims and notes will say so."))
    _keep(answer, context, renamed)
    return answer


def needs_name(name: str) -> bool:
    """Whether a person has not said yet who they are."""
    return name == DEFAULT_NAME


def _opened(context: Context, name: str, where: str) -> Response:
    answer = RedirectResponse(where, HTTPStatus.SEE_OTHER)
    _keep(answer, context, context.sessions.open(name, context.wall_seconds()))
    return answer


def _keep(answer: Response, context: Context, session: Session) -> None:
    sessions = context.sessions
    left = max(1, session.until - int(context.wall_seconds()))
    answer.set_cookie(
        sessions.cookie, sessions.seal(session), max_age=left, path="/", secure=sessions.https, httponly=True,
        samesite="lax",
    )  # fmt: skip
    if not needs_name(session.name):
        answer.set_cookie(
            NAME_COOKIE, quote(session.name), max_age=NAME_SECONDS, path="/", secure=sessions.https, httponly=True,
            samesite="lax",
        )  # fmt: skip


def _remembered(request: Request) -> str:
    held = request.cookies.get(NAME_COOKIE)
    return "" if held is None else clean_name(unquote(held))
