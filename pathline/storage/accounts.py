"""Accounts: a business that several customers belong to. Seen together, never joined."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain.fold import Membership
from pathline.domain.identifiers import thing
from pathline.storage import customers, people
from pathline.storage.customers import Caller

if TYPE_CHECKING:
    from pathline.storage.connection import Db

# What is known already is not locked: touchpoints of a business with thousands of people need not wait for each other.
_WRITE: Final = """
INSERT INTO account_member AS m (account_id, identifier_id, since, trusted, account)
SELECT c.* FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::text[])
    AS c (account_id, identifier_id, since, trusted, account)
WHERE NOT EXISTS (
    SELECT 1 FROM account_member h WHERE h.account_id = c.account_id AND h.identifier_id = c.identifier_id
        AND h.since <= c.since AND (h.trusted OR NOT c.trusted) AND h.account IS NOT NULL
)
ON CONFLICT (account_id, identifier_id) DO UPDATE
SET since = least(m.since, excluded.since), trusted = m.trusted OR excluded.trusted, account = excluded.account
"""

# Those that a server told of come first: what browsers say must not crowd them out.
_NEWEST: Final = """
SELECT identifier_id, since, trusted FROM account_member WHERE account_id = $1
ORDER BY trusted DESC, since DESC, identifier_id LIMIT $2
"""

MAX_ACCOUNTS: Final = 100
"""Accounts of one customer that are read."""

# Each name's own apart, as far as the limit, so that one of which a browser says thousands hides no other's.
_OF: Final = """
SELECT m.account, bool_or(m.trusted) AS trusted, max(m.since) AS since
FROM unnest($1::uuid[]) AS i (id) CROSS JOIN LATERAL (
    SELECT h.account, h.trusted, h.since FROM account_member h
    WHERE h.identifier_id = i.id ORDER BY h.trusted DESC, h.since DESC, h.account_id LIMIT $2
) AS m
WHERE m.account IS NOT NULL
GROUP BY m.account ORDER BY 2 DESC, 3 DESC, 1 LIMIT $2
"""


class Member(msgspec.Struct, frozen=True):
    """A customer who belongs to an account."""

    caller: Caller
    since: datetime
    """When somebody of theirs was first told of as belonging to it."""
    trusted: bool
    """Whether a server has said so; a browser may say anything of its user."""


class Account(msgspec.Struct, frozen=True):
    """A business, and who belongs to it: those that a server told of first, and of these who came last."""

    namespace: str
    value: str
    members: list[Member]
    truncated: bool
    """Whether there are more than were read."""


async def write(db: Db, members: Mapping[tuple[UUID, UUID], Membership]) -> None:
    """Note who belongs to which account, by (account, identifier)."""
    ordered = sorted(members.items())
    await db.execute(
        _WRITE,
        [account for (account, _), _ in ordered],
        [identifier for (_, identifier), _ in ordered],
        [one.since for _, one in ordered],
        [one.trusted for _, one in ordered],
        [one.account for _, one in ordered],
    )


async def of(db: Db, identifiers: Iterable[UUID]) -> list[str]:
    """The accounts that these belong to, by name: those that a server told of first, then those of last."""
    return [row["account"] for row in await db.fetch(_OF, list(identifiers), MAX_ACCOUNTS)]


async def lookup(db: Db, value: str, limit: int) -> Account | None:
    """The account of this name, `default` before other namespaces, with the customers behind `limit` identifiers."""
    for namespace in await people.namespaces(db):
        name = thing(namespace, "account", value)
        rows = [] if name is None else await db.fetch(_NEWEST, name.id, limit + 1)
        if name is not None and rows:
            told = {row["identifier_id"]: Membership(name.value, row["since"], row["trusted"]) for row in rows[:limit]}
            return Account(namespace, name.value, await _members(db, told), len(rows) > limit)
    return None


async def _members(db: Db, told: Mapping[UUID, Membership]) -> list[Member]:
    """Customers by what was told of their identifiers."""
    by_root: dict[UUID, Membership] = {}
    for one, root in (await people.roots_of(db, told)).items():
        held = by_root.get(root)
        by_root[root] = told[one] if held is None else held.join(told[one])
    callers = await _callers(db, by_root)
    members = [Member(callers[root], one.since, one.trusted) for root, one in by_root.items() if root in callers]
    return sorted(members, key=lambda member: (member.trusted, member.since, member.caller.id), reverse=True)


async def _callers(db: Db, roots: Collection[UUID]) -> dict[UUID, Caller]:
    return await customers.callers(db, roots) if roots else {}
