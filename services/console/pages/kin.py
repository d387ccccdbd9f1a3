"""Who is whom of a customer, and why: the history, and an operator's split, merge and taking back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pathline.contracts.words import LinkOut, MergeBody, NameIn, SplitBody, TakeBackBody, WordOut
from pathline.domain.identifiers import PERSON_KINDS
from pathline.domain.words import MAX_REASON
from pathline.storage import customers, fences, people
from services.console import kin
from services.console.api.answers import limit_of, text_of
from services.console.api.customers import NOT_FOUND, root_of
from services.console.api.words import act_number, say_merge, say_split, say_take_back
from services.console.context import context_of
from services.console.errors import ApiError
from services.console.pages import words
from services.console.pages.forms import form_of
from services.console.pages.render import fragment, page, sentence, toast
from services.console.pages.search import MAX_QUERY, Hit, hits_of

if TYPE_CHECKING:
    from pathline.contracts.words import KinHistory
    from pathline.storage.connection import Db

router = APIRouter(prefix="/customers", include_in_schema=False)

Form = dict[str, str]
REFUSAL: Final = "find .refusal"
"""Where in a form its refusal is said."""


@router.get("/{customer_id}/kin")
async def show(request: Request, customer_id: str, before: str | None = None) -> Response:
    """Show who is whom; of acts those before one, for the older."""
    return page(request, "kin.html", **(await _values(request, customer_id, before)))


@router.get("/{customer_id}/kin/others")
async def others(request: Request, customer_id: str, q: str = "") -> Response:
    """Show whom a text means, to be merged with this customer."""
    text = text_of("q", q).strip()[:MAX_QUERY]
    async with context_of(request).database.connection() as db:
        root = await root_of(db, customer_id)
        found = await _meant(db, text) if text else []
    hits = [hit for hit in found if hit.caller.id != root]
    return page(
        request, "parts/kin_others.html", query=text, hits=hits, itself=len(hits) < len(found), customer_id=str(root),
        max_reason=MAX_REASON,
    )  # fmt: skip


async def _meant(db: Db, text: str) -> list[Hit]:
    try:
        root = await customers.resolve(db, UUID(text))
    except ValueError:
        return await hits_of(db, text)
    if root is None:
        return []
    return [Hit(caller, ["id"]) for caller in (await customers.callers(db, [root])).values()]


async def _split(request: Request, customer_id: str, form: Form) -> WordOut:
    to = NameIn(form.get("to_kind", ""), form["to_value"].strip()) if form.get("to_value", "").strip() else None
    name = NameIn(form.get("kind", ""), form.get("value", ""))
    return await say_split(request, customer_id, SplitBody(name, form.get("reason", ""), to))


async def _merge(request: Request, customer_id: str, form: Form) -> WordOut:
    return await say_merge(request, customer_id, MergeBody(form.get("with", ""), form.get("reason", "")))


async def _take_back(request: Request, customer_id: str, form: Form) -> WordOut:
    number = act_number(form.get("act", ""))
    return await say_take_back(request, customer_id, TakeBackBody(number, form.get("reason", "")))


_WORDS: Final[dict[str, Callable[[Request, str, Form], Awaitable[WordOut]]]] = {
    "split": _split,
    "merge": _merge,
    "take-back": _take_back,
}
"""What a form says, by the last word of its address."""


@router.post("/{customer_id}/kin/{word}")
async def say(request: Request, customer_id: str, word: str) -> Response:
    """Say it, and answer with the page as it stands then; or with why it can't be said, inside the form."""
    said = _WORDS.get(word)
    if said is None:
        code = "not_found"
        raise ApiError(code, "there is no such word about a customer")
    form = await form_of(request)
    try:
        outcome = await said(request, customer_id, form)
    except ApiError as error:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == NOT_FOUND:
            raise
        line = fragment(request, "parts/refusal.html", told=sentence(error.message), code=error.code)
        return HTMLResponse(line, error.status, {"hx-retarget": REFUSAL, "hx-reswap": "innerHTML"})
    values = await _values(request, customer_id, None, outcome)
    told = "Done. It can be taken back." if outcome.changed else "That is so already."
    return HTMLResponse(fragment(request, "parts/kin_body.html", **values), headers=toast(told))


async def _values(
    request: Request, customer_id: str, before: str | None, outcome: WordOut | None = None
) -> dict[str, Any]:
    number = act_number(before) if before else None
    async with context_of(request).database.connection() as db:
        root = await root_of(db, customer_id)
        history = await kin.history(db, await people.family(db, root), before=number, limit=limit_of(None))
        callers = await customers.callers(db, _met(history, outcome) | {root})
        now = await fences.clock(db)
    joined = {end.id for join in history.joins if join.holds for end in (join.a, join.b)}
    here = callers.get(root)
    return {
        "customer_id": str(root),
        "title": words.who(here),
        "links": [Shown(link, _stronger(link), link.parent is not None or link.identifier.id in joined)
                  for link in history.links],
        "history": history,
        "outcome": outcome,
        "callers": {str(one): caller for one, caller in callers.items()},
        "max_reason": MAX_REASON,
        "older": before is not None,
        "now": now,
    }  # fmt: skip


class Shown(msgspec.Struct, frozen=True):
    """An identifier of the customer as the page shows it."""

    link: LinkOut
    stronger: tuple[str, ...]
    """The kinds of identifiers it may be given to."""
    separable: bool
    """Whether it hangs on anything that it can be split from."""


def _stronger(link: LinkOut) -> tuple[str, ...]:
    kind = link.identifier.kind
    return PERSON_KINDS[: PERSON_KINDS.index(kind)] if kind in PERSON_KINDS else ()


def _met(history: KinHistory, outcome: WordOut | None) -> set[UUID]:
    """The customers that the page leads to."""
    ids = {UUID(one) for act in history.acts for one in (act.left, act.joined)}
    return ids if outcome is None else ids | {UUID(outcome.customer_id), UUID(outcome.other_id)}
