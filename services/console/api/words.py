"""`/customers/{id}/split`, `merge`, `take-back`, `history`: an operator's word on who is whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from pathline.contracts.words import KinHistory, MergeBody, NameIn, SplitBody, TakeBackBody, WordOut
from pathline.domain import identifiers
from pathline.domain.identifiers import PERSON_KINDS, Identifier
from pathline.domain.people import Person
from pathline.domain.words import MAX_REASON, ActKind, Impossible, Said
from pathline.storage import people, words
from pathline.storage.stitching import lock_joins
from pathline.storage.words import Outcome
from services.console import kin
from services.console.api.answers import answer, body_of, described, id_of, limit_of
from services.console.api.customers import NOT_FOUND, CustomerId, root_of
from services.console.context import Context, caller_of, context_of
from services.console.errors import ApiError
from services.console.sessions import one_line

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(prefix="/customers", tags=["who is whom"])

ATTEMPTS: Final = 3
"""Turns of a word that the database broke off because of another one."""

MAX_ACT: Final = 2**63 - 1
MAX_DIGITS: Final = 18
"""Of the cursor of a history, which is the number of an act."""

Work = Callable[["Db", Said], Awaitable[tuple[Outcome, UUID]]]
"""Says something in a transaction: what became of it, and the identifier that it was about."""

_COMMON: Final = (NOT_FOUND, "missing_reason", "bad_body", "body_too_large", "forbidden")


def _takes(kind: type) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": api.ref(kind)}}}}


@router.get(
    "/{customer_id}/history", responses=described(KinHistory, "Who is whom, and why.", NOT_FOUND, "bad_parameter")
)
async def history(
    request: Request,
    customer_id: CustomerId,
    limit: Annotated[str | None, Query(description="Acts: 100 unless given, at most 1,000.")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """Say why each identifier is this customer's, what touchpoints say of it, and what operators did about them."""
    size = limit_of(limit)
    before = act_number(cursor) if cursor else None
    async with context_of(request).database.connection() as db:
        family = await people.family(db, await root_of(db, customer_id))
        return answer(await kin.history(db, family, before=before, limit=size))


@router.post(
    "/{customer_id}/split",
    responses=described(
        WordOut, "What became of it.", "identifier_not_found", "bad_identifier", "nothing_to_split",
        "parent_not_stronger", "other_namespace", *_COMMON,
    ),
    openapi_extra=_takes(SplitBody),
)  # fmt: skip
async def split(request: Request, customer_id: CustomerId) -> Response:
    """Take an identifier from this customer, with what hangs on it. It outranks what touchpoints say until taken back.

    Said again it is 200 and changes nothing.
    """
    body: SplitBody = await body_of(
        request, SplitBody, [("reason", "missing_reason"), ("identifier", "bad_identifier"), ("to", "bad_identifier")]
    )
    return answer(await say_split(request, customer_id, body))


async def say_split(request: Request, customer_id: str, body: SplitBody) -> WordOut:
    """Split as the body asks. Raises ApiError."""

    async def work(db: Db, said: Said) -> tuple[Outcome, UUID]:
        root = await root_of(db, customer_id)
        namespace = (await people.load(db, [root]))[root].identifier.namespace
        name = _name(namespace, body.identifier, "identifier")
        to = None if body.to is None else _name(namespace, body.to, "to").id
        known = (await people.load(db, [name.id])).get(name.id)
        mine = (await people.roots_of(db, [name.id]))[name.id] == root
        if known is None or not (mine or _is_said(known, to)):
            code = "identifier_not_found"
            raise ApiError(code, "the identifier is not one of this customer's")
        return await words.split(db, name.id, to, said), name.id

    return await _say(request, "split", customer_id, body.reason, work)


@router.post(
    "/{customer_id}/merge",
    responses=described(
        WordOut, "What became of it.", "merge_needs_stronger", "other_namespace", "join_too_large", *_COMMON
    ),
    openapi_extra=_takes(MergeBody),
)
async def merge(request: Request, customer_id: CustomerId) -> Response:
    """Make one customer of this and another one. It holds whatever touchpoints say, until it is taken back.

    Said again, or where the two are one already, it is 200 and changes nothing.
    """
    body: MergeBody = await body_of(
        request, MergeBody, [("reason", "missing_reason"), ("customer_id", "customer_not_found")]
    )
    return answer(await say_merge(request, customer_id, body))


async def say_merge(request: Request, customer_id: str, body: MergeBody) -> WordOut:
    """Merge as the body asks. Raises ApiError."""

    async def work(db: Db, said: Said) -> tuple[Outcome, UUID]:
        for given in (customer_id, body.customer_id):
            await root_of(db, given)
        one, other = id_of(customer_id, NOT_FOUND), id_of(body.customer_id, NOT_FOUND)
        return await words.merge(db, one, other, said), other

    return await _say(request, "merge", customer_id, body.reason, work)


@router.post(
    "/{customer_id}/take-back",
    responses=described(WordOut, "What became of it.", "act_not_found", "not_in_force", "join_too_large", *_COMMON),
    openapi_extra=_takes(TakeBackBody),
)
async def take_back(request: Request, customer_id: CustomerId) -> Response:
    """Take back what an act of this customer's history said; what touchpoints say holds again, as it is by now."""
    body: TakeBackBody = await body_of(request, TakeBackBody, [("reason", "missing_reason"), ("act", "act_not_found")])
    return answer(await say_take_back(request, customer_id, body))


async def say_take_back(request: Request, customer_id: str, body: TakeBackBody) -> WordOut:
    """Take back what the body names. Raises ApiError."""

    async def work(db: Db, said: Said) -> tuple[Outcome, UUID]:
        root = await root_of(db, customer_id)
        act = await words.find(db, body.act) if 0 < body.act <= MAX_ACT else None
        if act is None or root not in (await people.roots_of(db, act.moved)).values():
            code = "act_not_found"
            raise ApiError(code, "there is no such act about this customer")
        return await words.take_back(db, act.id, said), act.subject

    return await _say(request, "take_back", customer_id, body.reason, work)


async def _say(request: Request, kind: ActKind, customer_id: str, reason: str, work: Work) -> WordOut:
    context, caller = context_of(request), caller_of(request)
    text = one_line(reason)
    if not 0 < len(text) <= MAX_REASON:
        context.metrics.words.labels(kind, "refused").inc()
        code = "missing_reason"
        raise ApiError(code, f"reason must have 1 to {MAX_REASON} characters")
    said = Said(caller.name, "api" if caller.session is None else "console", text)
    try:
        outcome, about = await _attempt(context, work, said)
    except ApiError as error:
        context.metrics.words.labels(kind, "not_found" if error.code.endswith("not_found") else "refused").inc()
        raise
    if isinstance(outcome, Impossible):
        context.metrics.words.labels(kind, "conflict").inc()
        raise ApiError(outcome.code, outcome.message)
    context.metrics.words.labels(kind, "repeated" if outcome.act is None else "done").inc()
    async with context.database.connection() as db:
        roots = await people.roots_of(db, [id_of(customer_id, NOT_FOUND), about])
        told = None if outcome.act is None else (await kin.acts_out(db, [outcome.act]))[0]
    one, other = roots[id_of(customer_id, NOT_FOUND)], roots[about]
    return WordOut(told is not None, str(one), str(other), told)


async def _attempt(context: Context, work: Work, said: Said) -> tuple[Outcome, UUID]:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with context.database.transaction() as db:
                # Before the work looks whose the identifier is: another operator may be moving it.
                await lock_joins(db)
                return await work(db, said)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


def _is_said(known: Person, to: UUID | None) -> bool:
    """Whether that is what an operator says already, so that the same request made twice finds it done."""
    return known.word is not None and known.word.parent == to


def _name(namespace: str, given: NameIn, field: str) -> Identifier:
    name = identifiers.person(namespace, given.kind, given.value) if given.kind in PERSON_KINDS else None
    if name is None:
        code = "bad_identifier"
        raise ApiError(code, f"{field}.kind is one of {', '.join(PERSON_KINDS)}, {field}.value a usable one")
    return name


def act_number(cursor: str) -> int:
    """The number of an act out of a text. Raises ApiError `bad_cursor`."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > MAX_DIGITS:
        code = "bad_cursor"
        raise ApiError(code, "the cursor is not one that an answer gave")
    return int(cursor)
