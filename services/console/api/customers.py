"""`/customers`: finding one, the whole of one, what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import api
from pathline.contracts.customer import Customer
from pathline.domain.alerts import ALIVE
from pathline.domain.composing import composites
from pathline.domain.identifiers import PERSON_KINDS, THING_KINDS
from pathline.storage import accounts, acts, alerts, customers, fences, touchpoints
from pathline.storage.customers import Whole
from services.console import cursors, shapes
from services.console.api.answers import answer, described, id_of, limit_of
from services.console.context import Context, context_of
from services.console.errors import ApiError

if TYPE_CHECKING:
    from pathline.storage.connection import Db

router = APIRouter(prefix="/customers", tags=["customers"])

KINDS = (*PERSON_KINDS, *THING_KINDS)
NOT_FOUND = "customer_not_found"

CustomerId = Annotated[
    str, Path(description="Of the customer, or of any identifier or former customer that is theirs.")
]


@router.get("/lookup", responses=described(Customer, "The customer.", NOT_FOUND, "bad_parameter"))
async def lookup(
    request: Request,
    kind: Annotated[str, Query(description=f"One of {', '.join(KINDS)}.")],
    value: Annotated[str, Query(description="As the touchpoints had it.", max_length=1_000)],
) -> Response:
    """Find the customer met under a name, or who owns a thing."""
    if kind not in KINDS:
        code = "bad_parameter"
        raise ApiError(code, f"kind is one of {', '.join(KINDS)}")
    context = context_of(request)
    async with context.database.connection() as db:
        root = await customers.lookup(db, kind, value)
        if root is None:
            raise ApiError(NOT_FOUND, f"nobody is known by that {kind}")
        return answer(await customer_out(context, db, await customers.whole(db, root)))


@router.get("/{customer_id}", responses=described(Customer, "The customer.", NOT_FOUND))
async def customer(request: Request, customer_id: CustomerId) -> Response:
    """Read a customer; an id that was merged away answers with the customer it became."""
    context = context_of(request)
    async with context.database.connection() as db:
        whole = await customers.whole(db, await root_of(db, customer_id))
        return answer(await customer_out(context, db, whole))


@router.get(
    "/{customer_id}/touchpoints",
    responses=described(api.TouchpointPage, "A page of touchpoints.", NOT_FOUND, "bad_parameter", "bad_cursor"),
)
async def listed(
    request: Request, customer_id: CustomerId, limit: str | None = None, cursor: str | None = None
) -> Response:
    """List what a customer did and what was reported about what they own, oldest first."""
    size = limit_of(limit)
    after = cursors.from_text(cursor) if cursor else None
    async with context_of(request).database.connection() as db:
        whole = await customers.whole(db, await root_of(db, customer_id))
        rows = await touchpoints.page(db, whole.subjects, after, size + 1)
    more = len(rows) > size
    following = cursors.to_text(rows[size - 1].cursor) if more else None
    return answer(api.TouchpointPage([shapes.touchpoint(row) for row in rows[:size]], following))


async def root_of(db: Db, customer_id: str) -> UUID:
    """The customer that an id answers with. Raises ApiError `customer_not_found`."""
    root = await customers.resolve(db, id_of(customer_id, NOT_FOUND))
    if root is None:
        raise ApiError(NOT_FOUND, "there is no customer of that id")
    return root


async def customer_out(context: Context, db: Db, whole: Whole) -> Customer:
    """The answer about a customer."""
    alive = await alerts.list_alerts(db, state=sorted(ALIVE), subjects=whole.alertable, limit=api.MAX_LIMIT)
    lived = await acts.lived(db, whole.strands, whole.first_act_at)
    belongs = await accounts.of(db, whole.family.people)
    return shapes.customer(
        whole, alive, context.stages, context.zone, await fences.clock(db), lived, belongs,
        composites(context.detectors),
    )  # fmt: skip
