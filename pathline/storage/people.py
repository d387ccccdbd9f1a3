"""Reading people: from any identifier up to its customer, and from a customer down to all that is theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from pathline.domain import identifiers
from pathline.domain.bonds import MAILBOX_KINDS, MAILBOX_LIMIT
from pathline.domain.identifiers import PERSON_KINDS, STRENGTH, Identifier
from pathline.domain.people import MAX_JOINED, MAX_STRANDS, Person, Till, Word, representatives, root_of
from pathline.storage import codec

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

_MAILBOX_STRENGTHS = [STRENGTH[kind] for kind in MAILBOX_KINDS]
_MAILBOXES = ", ".join(map(str, _MAILBOX_STRENGTHS))
"""Written into the statements, as their index has it: a parameter would not be known to be these."""

# What an operator says of an identifier stands in the place of what touchpoints propose. There are few such rows.
_SAID = "l.child_id IS NOT NULL AS said, l.parent_id AS said_parent_id, l.act_id"

_UP = f"""
WITH RECURSIVE up AS (
    SELECT id FROM unnest($1::uuid[]) AS t (id)
  UNION
    SELECT CASE WHEN l.child_id IS NULL THEN i.parent_id ELSE l.parent_id END
    FROM up JOIN identifier i ON i.id = up.id LEFT JOIN operator_link l ON l.child_id = i.id
)
SELECT i.id, i.namespace, i.kind, i.value, i.pointer, {_SAID}
FROM up JOIN identifier i ON i.id = up.id LEFT JOIN operator_link l ON l.child_id = i.id
"""

# A till keeps thousands; the limit keeps the count as cheap as the limit is small, with the index of mailboxes.
_TILLS = f"""
SELECT t.parent_id, t.trusted
FROM unnest($1::uuid[], $2::boolean[]) AS t (parent_id, trusted)
WHERE (
    SELECT count(*) FROM (
        SELECT 1 FROM identifier i
        WHERE i.parent_id = t.parent_id AND i.strength IN ({_MAILBOXES}) AND i.parent_trusted = t.trusted
        LIMIT $3
    ) AS kept
) >= $3
"""

# As many as are asked for and no more, by the same index.
_KEPT = f"""
SELECT t.parent_id, t.trusted, ARRAY(
    SELECT i.id FROM identifier i
    WHERE i.parent_id = t.parent_id AND i.strength IN ({_MAILBOXES}) AND i.parent_trusted = t.trusted
    LIMIT t.most
) AS kept
FROM unnest($1::uuid[], $2::boolean[], $3::integer[]) AS t (parent_id, trusted, most)
"""

# A pair that an alias names holds unless an operator has cut one of the two off; one that an operator names holds.
_PAIRS = """
    SELECT j.a, j.b FROM user_join j WHERE joined.id IN (j.a, j.b)
        AND NOT EXISTS (SELECT 1 FROM operator_link l WHERE l.child_id IN (j.a, j.b))
  UNION ALL
    SELECT o.a, o.b FROM operator_join o WHERE joined.id IN (o.a, o.b)
"""

_JOINED = f"""
WITH RECURSIVE joined AS (
    SELECT id FROM unnest($1::uuid[]) AS t (id)
  UNION
    SELECT CASE WHEN j.a = joined.id THEN j.b ELSE j.a END FROM joined CROSS JOIN LATERAL ({_PAIRS}) AS j
)
SELECT DISTINCT j.a, j.b FROM joined CROSS JOIN LATERAL ({_PAIRS}) AS j
"""

_PROPOSED = """
    SELECT i.id, i.namespace, i.kind, i.value, i.pointer, i.strength, i.parent_at FROM identifier i
    WHERE i.parent_id = p.id AND NOT EXISTS (SELECT 1 FROM operator_link o WHERE o.child_id = i.id)
"""

# Mailboxes apart, by either kind of key: a till's thousands must not crowd out what is the till's own.
_CHILDREN = f"""
SELECT c.id, c.namespace, c.kind, c.value, c.pointer, {_SAID}
FROM (
    SELECT f.* FROM unnest($1::uuid[]) AS p (id)
    CROSS JOIN LATERAL (
        ({_PROPOSED} AND i.strength IN ({_MAILBOXES}) AND i.parent_trusted LIMIT $3)
      UNION ALL
        ({_PROPOSED} AND i.strength IN ({_MAILBOXES}) AND NOT i.parent_trusted LIMIT $3)
      UNION ALL
        (
            {_PROPOSED} AND i.strength > {max(_MAILBOX_STRENGTHS)}
            ORDER BY i.strength, i.parent_at DESC LIMIT $2
        )
    ) AS f
  UNION ALL
    (
        SELECT i.id, i.namespace, i.kind, i.value, i.pointer, i.strength, i.parent_at
        FROM operator_link o JOIN identifier i ON i.id = o.child_id
        WHERE o.parent_id = ANY($1::uuid[]) ORDER BY i.strength, i.parent_at DESC, i.id LIMIT $2
    )
) AS c LEFT JOIN operator_link l ON l.child_id = c.id
ORDER BY c.strength, c.parent_at DESC, c.id
"""

_KNOWN = f"""
SELECT i.id, i.namespace, i.kind, i.value, i.pointer, {_SAID}
FROM identifier i LEFT JOIN operator_link l ON l.child_id = i.id WHERE i.id = ANY($1::uuid[])
"""


class Family(msgspec.Struct, frozen=True):
    """A customer: everything under one root."""

    root: UUID
    people: dict[UUID, Person]
    """The identifiers by id, strongest kind first, then those last linked; the root's first."""
    truncated: bool
    """True when there are more than MAX_STRANDS, and the weakest and oldest were left out."""


def _person(row: Record) -> Person:
    word = Word(row["said_parent_id"], row["act_id"]) if row["said"] else None
    return Person(Identifier(row["namespace"], row["kind"], row["value"]), codec.pointer(row["pointer"]), word)


async def load(db: Db, ids: Iterable[UUID]) -> dict[UUID, Person]:
    """These identifiers, those that were met."""
    return {row["id"]: _person(row) for row in await db.fetch(_KNOWN, list(ids))}


async def tills(db: Db, people: Iterable[Person]) -> set[Till]:
    """Which of the parents that mailboxes among these propose keep too many of them."""
    keys = sorted({p.till_key for p in people if p.till_key is not None})
    if not keys:
        return set()
    rows = await db.fetch(_TILLS, [k[0] for k in keys], [k[1] for k in keys], MAILBOX_LIMIT + 1)
    return {(row["parent_id"], row["trusted"]) for row in rows}


async def mailboxes(db: Db, most: Mapping[Till, int]) -> dict[Till, list[UUID]]:
    """The mailboxes that would belong to each of these parents, till or not; of each so many at most."""
    keys = sorted(most)
    rows = await db.fetch(_KEPT, [k[0] for k in keys], [k[1] for k in keys], [most[k] for k in keys])
    return {(row["parent_id"], row["trusted"]): row["kept"] for row in rows}


async def joined(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """For each user_id joined with one of these, the one that stands for all."""
    rows = await db.fetch(_JOINED, list(ids))
    return representatives((row["a"], row["b"]) for row in rows)


async def roots_of(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The customer id of each of these identifiers. One that nobody knows is its own."""
    tops, users = await _climb(db, ids)
    same = await joined(db, users) if users else {}
    return {one: same.get(top, top) for one, top in tops.items()}


async def joined_roots(db: Db, ids: Iterable[UUID]) -> set[UUID]:
    """What these identifiers climb to, and every user_id that is joined with one that they meet."""
    tops, users = await _climb(db, ids)
    return {*tops.values(), *users, *(await joined(db, users) if users else ())}


async def tops_of(db: Db, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The identifier that each of these climbs to, be that one user_id of several that are joined."""
    tops, _ = await _climb(db, ids)
    return tops


async def _climb(db: Db, ids: Iterable[UUID]) -> tuple[dict[UUID, UUID], list[UUID]]:
    wanted = list(set(ids))
    if not wanted:
        return {}, []
    people = {row["id"]: _person(row) for row in await db.fetch(_UP, wanted)}
    void = await tills(db, people.values())
    users = [one for one, person in people.items() if person.identifier.kind == "user_id"]
    return {one: root_of(one, people, void, {}) for one in wanted}, users


async def family(db: Db, root: UUID) -> Family:
    """Everything under a root, at most MAX_STRANDS identifiers."""
    same = await joined(db, [root])
    level = [one for one, first in same.items() if first == root] or [root]
    people = dict(sorted((await load(db, level)).items(), key=lambda item: (item[0] != root, item[0])))
    truncated = False
    for _ in PERSON_KINDS:
        if not level:
            break
        rows = await db.fetch(_CHILDREN, level, MAX_STRANDS, MAILBOX_LIMIT + 1)
        children = {row["id"]: _person(row) for row in rows if row["id"] not in people}
        void = await tills(db, children.values())
        below = {one: child for one, child in children.items() if child.parent(void) is not None}
        truncated = truncated or len(people) + len(below) > MAX_STRANDS
        level = list(below)[:MAX_STRANDS]
        people.update(below)
    ordered = sorted(people.items(), key=lambda item: _strongest_then_newest(item, root))
    return Family(root, dict(ordered[:MAX_STRANDS]), truncated)


def _strongest_then_newest(item: tuple[UUID, Person], root: UUID) -> tuple[Any, ...]:
    one, person = item
    linked = 0.0 if person.pointer is None else -person.pointer.best.at.timestamp()
    return (one != root, STRENGTH[person.identifier.kind], linked, one)


async def cut_off(db: Db, users: Iterable[UUID]) -> list[UUID]:
    """Those of these user_ids that an operator has cut off: no alias of theirs holds."""
    rows = await db.fetch("SELECT child_id FROM operator_link WHERE child_id = ANY($1::uuid[])", list(users))
    return [row["child_id"] for row in rows]


async def namespaces(db: Db) -> list[str]:
    """The namespaces that write keys give, `default` first."""
    rows = await db.fetch("SELECT DISTINCT namespace FROM write_key")
    return ["default", *sorted(row["namespace"] for row in rows if row["namespace"] != "default")]


async def lookup_ids(db: Db, kind: str, value: str) -> list[UUID]:
    """The ids that a name of a person or a thing may have, one a namespace, whether or not anybody met it."""
    make = identifiers.person if kind in STRENGTH else identifiers.thing
    names = (make(namespace, kind, value) for namespace in await namespaces(db))
    return [name.id for name in names if name is not None]


async def component(db: Db, one: UUID, another: UUID) -> int:
    """How many user_ids would be one customer if these two were joined; MAX_JOINED is the most allowed."""
    same = await joined(db, [one, another])
    return min(len({one, another, *same}), 10 * MAX_JOINED)
