"""`/accounts`: the people of a business, seen together."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import account as contract
from pathline.storage import accounts
from services.console.api.answers import answer, described, limit_of, text_of
from services.console.context import context_of
from services.console.errors import ApiError

router = APIRouter(prefix="/accounts", tags=["accounts"])

NOT_FOUND = "account_not_found"


@router.get("/lookup", responses=described(contract.Account, "The account.", NOT_FOUND, "bad_parameter"))
async def lookup(
    request: Request,
    value: Annotated[str, Query(description="The group's id, as the touchpoints had it.", max_length=1_000)],
    limit: str | None = None,
) -> Response:
    """Find a business by its name, with who belongs to it."""
    size = limit_of(limit)
    async with context_of(request).database.connection() as db:
        found = await accounts.lookup(db, text_of("value", value), size)
    if found is None:
        raise ApiError(NOT_FOUND, "nobody is known to belong to an account of that name")
    return answer(account_out(found))


def account_out(found: accounts.Account) -> contract.Account:
    """The answer about an account."""
    members = [
        contract.AccountMember(
            customer_id=str(member.caller.id),
            kind=member.caller.kind,
            value=member.caller.value,
            name=member.caller.name,
            since=member.since,
            said_by="server" if member.trusted else "browser",
        )
        for member in found.members
    ]
    return contract.Account(found.value, members, found.truncated)
