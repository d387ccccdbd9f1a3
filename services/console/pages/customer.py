"""A customer's page: who, what they bought, what hurts, and every touchpoint; live."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pathline.kit import kafka
from pathline.storage import customers, fences, touchpoints
from pathline.storage.touchpoints import Stored
from services.console import cursors
from services.console.api.customers import root_of
from services.console.context import caller_of, context_of
from services.console.errors import ApiError
from services.console.pages import journeys, words
from services.console.pages.journeys import Journey
from services.console.pages.listing import Filter
from services.console.pages.render import page

router = APIRouter(prefix="/customers", include_in_schema=False)


@router.get("/{customer_id}")
async def show(request: Request, customer_id: str) -> Response:
    """Show a customer."""
    return page(request, "customer.html", **(await _values(request, customer_id)))


@router.get("/{customer_id}/live")
async def live(request: Request, customer_id: str) -> Response:
    """The page as it stands now, without its frame."""
    return page(request, "parts/customer_live.html", **(await _values(request, customer_id)))


@router.get("/{customer_id}/older")
async def older(request: Request, customer_id: str, cursor: str) -> Response:
    """The next page of touchpoints, to be put in place of the button that asked for it."""
    place = cursors.from_text(cursor)
    async with context_of(request).database.connection() as db:
        whole = await customers.whole(db, await root_of(db, customer_id))
        told = await journeys.older(db, whole, place)
        now = await fences.clock(db)
    return page(
        request, "parts/touchpoints.html", touchpoints=told, now=now, customer_id=str(whole.id), causes=frozenset()
    )


@router.get("/{customer_id}/touchpoints/{place}")
async def raw(request: Request, customer_id: str, place: str) -> Response:
    """One touchpoint whole: its properties as they were sent, and where it was stored."""
    at, one = cursors.from_text(place)
    context = context_of(request)
    async with context.database.connection() as db:
        whole = await customers.whole(db, await root_of(db, customer_id))
        before = UUID(int=one.int - 1) if one.int else one
        found = await touchpoints.page(db, whole.subjects, (at, before), 1)
    if not found or found[0].id != one:
        code = "not_found"
        raise ApiError(code, "this customer has no such touchpoint")
    topic = kafka.topics(context.settings.topic_prefix).touchpoints
    return page(request, "parts/raw.html", one=found[0], body=indented(found[0]), topic=topic)


def indented(stored: Stored) -> str:
    """The properties as they were sent, a line each."""
    return msgspec.json.format(stored.body, indent=2)


async def _values(request: Request, customer_id: str) -> dict[str, Any]:
    context = context_of(request)
    async with context.database.connection() as db:
        read = await journeys.journey(db, context, await root_of(db, customer_id))
    return {
        "journey": read,
        "c": read.customer,
        "now": read.now,
        "title": title_of(read),
        "wanted": Filter(caller_of(request).name),
        "touchpoints": read.touchpoints,
        "customer_id": read.customer.id,
        "causes": frozenset(),
    }


def title_of(read: Journey) -> str:
    """How a customer is called: by name, else by the strongest identifier."""
    if read.customer.name:
        return read.customer.name
    first = next(iter(read.customer.identifiers), None)
    return "A customer without a name" if first is None else words.named(first.kind, first.value)
