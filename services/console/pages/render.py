"""HTML out of templates: what each may ask, how an answer is written, what an error looks like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.console.context import caller_of, context_of
from services.console.errors import RETRY_AFTER_SECONDS, ApiError
from services.console.pages import words

FOLDER: Final = Path(__file__).parent.parent
STATIC: Final = FOLDER / "static"
VERSION: Final = "v"
"""The parameter of a static file's address that names its content."""
VERSION_CHARS: Final = 12

HTMX: Final = "hx-request"

MAX_TOAST_CHARS: Final = 300
"""Characters of a line at the edge of the page; it goes in a header."""

UNKNOWN: Final = Markup('<span class="muted">-</span>')
"""In the place of a time that nobody told."""

HEADLINES: Final = {
    "not_found": "There is no such page",
    "customer_not_found": "Nobody is known by that name",
    "alert_not_found": "There is no such alert",
    "detector_not_found": "There is no such detector",
    "account_not_found": "Nobody is known to belong there",
    "bad_cursor": "This link leads nowhere",
    "unavailable": "The database does not answer",
    "internal": "Something went wrong",
    "forbidden": "This page is out of date",
}
"""What a page of an error says first."""


@lru_cache(maxsize=256)
def asset(name: str) -> str:
    """The address of a static file; it changes with the content, so that no browser keeps an old one."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:VERSION_CHARS]
    return f"/static/{name}?{VERSION}={digest}"


def icon(name: str, *, label: str | None = None, css: str = "") -> Markup:
    """An icon of the sprite: with a label it is an image, without one it is decoration."""
    role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    title = Markup("<title>{}</title>").format(label) if label else ""
    where = asset("vendor/icons.svg")
    return Markup('<svg class="icon {}" {}>{}<use href="{}#{}"></use></svg>').format(css, role, title, where, name)


def relative(at: datetime | None, now: datetime) -> Markup:
    """A time as people say it, the exact one on hover."""
    if at is None:
        return UNKNOWN
    return Markup('<time datetime="{}" data-time="relative" title="{}">{}</time>').format(
        at.isoformat(), words.exact(at), words.ago(at, now)
    )


def moment(at: datetime | None) -> Markup:
    """A time to the second."""
    if at is None:
        return UNKNOWN
    return Markup('<time datetime="{}" data-time="short" title="{}">{}</time>').format(
        at.isoformat(), words.exact(at), words.short(at)
    )


def soon(at: datetime | None, now: datetime) -> Markup:
    """A time to come, to the minute; its day only where that is not clear."""
    if at is None:
        return UNKNOWN
    return Markup('<time datetime="{}" data-time="soon" title="{}">{}</time>').format(
        at.isoformat(), words.exact(at), words.soon(at, now)
    )


def foreign(text: object) -> Markup:
    """A text that somebody else wrote: isolated, so that its direction does not turn the rest around."""
    return Markup('<bdi dir="auto">{}</bdi>').format(text)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"asset": asset, "icon": icon, "words": words}
    made.globals |= {"relative": relative, "moment": moment, "soon": soon}
    made.filters |= {"foreign": foreign, "plain": words.plain}
    return made


_templates: Final = _environment()


def page(request: Request, template: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """A template's answer; it knows who asks."""
    return HTMLResponse(fragment(request, template, **values), status)


def fragment(request: Request, template: str, **values: Any) -> str:
    """What a template makes of these values."""
    context, caller = context_of(request), caller_of(request)
    known: Mapping[str, Any] = {
        "me": caller.name,
        "session": caller.session,
        "csrf": "" if caller.session is None else context.sessions.csrf(caller.session),
        "heartbeat_seconds": context.settings.console_heartbeat_seconds,
        "path": request.url.path,
        "now": None,
    }
    return _templates.get_template(template).render({**known, **values})


def toast(message: str, *, wrong: bool = False) -> dict[str, str]:
    """A line at the edge of the page: the header on which htmx tells the page's script to show it.

    After the swap, since what asked may be gone from the page by then; htmx tells the page itself in that case.
    """
    told = {"text": message[:MAX_TOAST_CHARS], "kind": "wrong" if wrong else "done"}
    return {"hx-trigger-after-swap": json.dumps({"toast": told})}


def error_page(request: Request, error: ApiError) -> Response:
    """The answer for a page that can't be shown: a line for a script's request, a page for a person's."""
    headers = {}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    if HTMX in request.headers:
        line = f"{sentence(error.message)} ({error.code})"
        return HTMLResponse("", error.status, {**headers, **toast(line, wrong=True), "hx-reswap": "none"})
    headline = HEADLINES.get(error.code, "That can't be shown")
    text = fragment(request, "error.html", error=error, headline=headline, sentence=sentence(error.message))
    return HTMLResponse(text, error.status, headers)


def sentence(message: str) -> str:
    """A message of the API as a sentence."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def safe_path(path: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site."""
    ours = path is not None and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if ours and path is not None else "/"
