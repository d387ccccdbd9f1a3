"""An operator's word on who is whom: said, taken back, told, and the history of it.

Words have tables of their own, beside what touchpoints propose. A stitcher writes none of them, so it can neither
lose nor undo a word, however late it commits; and a word taken back leaves what was inferred as it is by then.
Two operators wait for each other, and for aliases that are being joined: all take the lock of joins first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain import words
from pathline.domain.bonds import Bond, Pointer
from pathline.domain.identifiers import Identifier
from pathline.domain.words import ActKind, Give, Impossible, Said, Unite
from pathline.storage import codec, people
from pathline.storage.stitching import lock_joins

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

MAX_ALIASES: Final = 1_000
"""Pairs of user_ids that are read for one customer."""


class Act(msgspec.Struct, frozen=True):
    """What an operator did."""

    id: int
    at: datetime
    kind: ActKind
    actor: str
    origin: str
    reason: str
    subject: UUID
    """The identifier that was split off or given to another, or one of two user_ids."""
    other: UUID | None
    """The parent it was given, or the other user_id."""
    left: UUID
    """The customer that the subject was."""
    joined: UUID
    """The customer that it became."""
    takes_back: int | None
    inferred: Pointer | None
    """What touchpoints said of the subject at that time."""
    moved: tuple[UUID, ...]
    """Everybody whose customer may have become another one."""
    in_force: bool
    """Whether its word holds: it was not taken back, and no later one took its place."""


class Done(msgspec.Struct, frozen=True):
    """What became of a word: the act, or None where all was so already."""

    act: Act | None


class Alias(msgspec.Struct, frozen=True):
    """Two user_ids that an alias, an operator or both say are one."""

    a: UUID
    b: UUID
    bond: Bond | None
    """The alias; None where there is none."""
    cut: bool
    """Whether an operator has cut one of them off, so that the alias does not hold."""
    act: int | None
    """The operator's act that unites them; None where there is none in force."""


Outcome = Done | Impossible

_ACT: Final = (
    "a.id, a.at, a.kind, a.actor, a.origin, a.reason, a.subject_id, a.other_id, a.left_id, a.joined_id, a.takes_back,"
    " a.inferred, a.moved, EXISTS (SELECT 1 FROM operator_link l WHERE l.child_id = a.subject_id AND l.act_id = a.id)"
    " OR EXISTS (SELECT 1 FROM operator_join j WHERE j.a = least(a.subject_id, a.other_id)"
    " AND j.b = greatest(a.subject_id, a.other_id) AND j.act_id = a.id) AS in_force"
)

_ALIASES: Final = """
SELECT coalesce(j.a, o.a) AS a, coalesce(j.b, o.b) AS b, j.bond, o.act_id,
    EXISTS (SELECT 1 FROM operator_link l WHERE l.child_id IN (j.a, j.b)) AS cut
FROM (SELECT * FROM user_join WHERE a = ANY($1::uuid[]) OR b = ANY($1::uuid[])) AS j
FULL JOIN (SELECT * FROM operator_join WHERE a = ANY($1::uuid[]) OR b = ANY($1::uuid[])) AS o
    ON o.a = j.a AND o.b = j.b
ORDER BY 1, 2 LIMIT $2
"""


async def split(db: Db, name: UUID, to: UUID | None, said: Said) -> Outcome:
    """Take an identifier from its customer: give it to a stronger one, or let it be one by itself.

    Run it, as `merge` and `take_back`, in a transaction.
    """
    await lock_joins(db)
    known = await people.load(db, [name] if to is None else [name, to])
    missing = [one for one in (name, to) if one is not None and one not in known]
    if missing:
        return _unknown()
    word = words.split(known[name].identifier, None if to is None else known[to].identifier)
    if isinstance(word, Impossible):
        return word
    held = known[name].word
    if held is not None and held.parent == to and not await _unions_of(db, name):
        return Done(None)
    if to is None and held is None and not await _hangs_on_another(db, name, known[name].identifier):
        return Impossible("nothing_to_split", "everything else of this customer hangs on this identifier")
    return Done(await _say(db, "split", word, said))


async def merge(db: Db, one: UUID, other: UUID, said: Said) -> Outcome:
    """Make one customer of two, each known by any of its identifiers."""
    await lock_joins(db)
    tops = await people.tops_of(db, [one, other])
    known = await people.load(db, tops.values())
    if tops[one] not in known or tops[other] not in known:
        return _unknown()
    roots = await people.roots_of(db, tops.values())
    if roots[tops[one]] == roots[tops[other]]:
        return Done(None)
    word = words.merge(known[tops[one]].identifier, known[tops[other]].identifier)
    if isinstance(word, Impossible):
        return word
    if isinstance(word, Unite):
        large = words.too_large(await people.component(db, word.a, word.b))
        if large is not None:
            return large
    return Done(await _say(db, "merge", word, said))


async def take_back(db: Db, number: int, said: Said) -> Outcome:
    """Take back what an act said; what touchpoints say holds again."""
    await lock_joins(db)
    act = await find(db, number)
    if act is None:
        return Impossible("act_not_found", "there is no such act")
    if not act.in_force:
        if await db.fetchval("SELECT true FROM operator_act WHERE takes_back = $1 LIMIT 1", number):
            return Done(None)
        return Impossible("not_in_force", "what this act said does not hold: a later one took its place")
    if await people.cut_off(db, [act.subject]):
        large = words.too_large(await _size_without_cut(db, act.subject))
        if large is not None:
            return large
    return Done(await _say(db, "take_back", None, said, act))


async def _hangs_on_another(db: Db, one: UUID, name: Identifier) -> bool:
    if name.kind == "user_id":
        return len(await people.joined(db, [one])) > 1
    return (await people.tops_of(db, [one]))[one] != one


async def _size_without_cut(db: Db, one: UUID) -> int:
    """How many user_ids would be one with this one if nothing cut it off."""
    pairs = [alias for alias in await aliases(db, [one]) if alias.bond is not None]
    ends = {end for pair in pairs for end in (pair.a, pair.b)} - {one}
    cut = set(await people.cut_off(db, ends)) if ends else set()
    near = (ends - cut) | {one}
    return len(near | (await people.joined(db, near)).keys())


async def _say(db: Db, kind: ActKind, word: Give | Unite | None, said: Said, taken: Act | None = None) -> Act:
    """Write a word, and the act; or take one away."""
    subject, other = _about(word, taken)
    around = await _around(db, subject, other)
    before = await people.roots_of(db, around)
    number = await _next_number(db)
    match word:
        case Give(child, parent):
            await db.execute(
                "INSERT INTO operator_link (child_id, parent_id, act_id) VALUES ($1, $2, $3)"
                " ON CONFLICT (child_id) DO UPDATE SET parent_id = excluded.parent_id, act_id = excluded.act_id",
                child,
                parent,
                number,
            )
            await db.execute("DELETE FROM operator_join WHERE a = $1 OR b = $1", child)
        case Unite(a, b):
            await db.execute("INSERT INTO operator_join (a, b, act_id) VALUES ($1, $2, $3)", a, b, number)
        case None:
            assert taken is not None
            await db.execute("DELETE FROM operator_link WHERE act_id = $1 AND child_id = $2", taken.id, subject)
            await db.execute("DELETE FROM operator_join WHERE act_id = $1 AND (a = $2 OR b = $2)", taken.id, subject)
    after = await people.roots_of(db, around)
    if other is not None and not isinstance(word, Give) and before[subject] == after[subject]:
        # Of two user_ids the one counts whose customer is another one now.
        subject, other = other, subject
    moved = {*around, *before.values(), *after.values(), *await _around(db, subject, other)}
    await db.execute(
        "INSERT INTO operator_act (id, kind, actor, origin, reason, subject_id, other_id, left_id, joined_id,"
        " takes_back, inferred, moved) OVERRIDING SYSTEM VALUE"
        " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, (SELECT pointer FROM identifier WHERE id = $6), $11",
        number, kind, said.actor, said.origin, said.reason, subject, other, before[subject], after[subject],
        None if taken is None else taken.id, sorted(moved),
    )  # fmt: skip
    act = await find(db, number)
    assert act is not None
    return act


def _about(word: Give | Unite | None, taken: Act | None) -> tuple[UUID, UUID | None]:
    match word:
        case Give(child, parent):
            return child, parent
        case Unite(a, b):
            return a, b
    assert taken is not None
    return taken.subject, taken.other


async def _around(db: Db, subject: UUID, other: UUID | None) -> set[UUID]:
    """Those whose customer may become another one: where a user_id is cut off, each of those it is joined with."""
    ids = {subject} if other is None else {subject, other}
    return ids | (await people.joined(db, ids)).keys()


async def _next_number(db: Db) -> int:
    return int(await db.fetchval("SELECT nextval(pg_get_serial_sequence('operator_act', 'id'))"))


async def _unions_of(db: Db, one: UUID) -> bool:
    return bool(await db.fetchval("SELECT true FROM operator_join WHERE a = $1 OR b = $1 LIMIT 1", one))


def _unknown() -> Impossible:
    return Impossible("identifier_not_found", "nobody is known by that identifier")


async def find(db: Db, number: int) -> Act | None:
    """The act of this number."""
    row = await db.fetchrow(f"SELECT {_ACT} FROM operator_act a WHERE a.id = $1", number)
    return None if row is None else _act(row)


async def history(db: Db, ids: Iterable[UUID], *, before: int | None, limit: int) -> list[Act]:
    """What operators did about any of these identifiers, the newest first, from below the act `before`."""
    rows = await db.fetch(
        f"SELECT {_ACT} FROM operator_act a WHERE a.moved && $1::uuid[] AND ($2::bigint IS NULL OR a.id < $2)"
        " ORDER BY a.id DESC LIMIT $3",
        list(ids),
        before,
        limit,
    )
    return [_act(row) for row in rows]


async def aliases(db: Db, users: Iterable[UUID]) -> list[Alias]:
    """What is said of these user_ids being one with others, held or not; at most MAX_ALIASES."""
    rows = await db.fetch(_ALIASES, list(users), MAX_ALIASES)
    return [Alias(row["a"], row["b"], codec.bond(row["bond"]), row["cut"], row["act_id"]) for row in rows]


async def untold(db: Db, most: int) -> list[Act]:
    """Acts of which the journeys topic has no hint yet.

    Asked for by what is missing and not by the last id, so that one that commits late is not missed.
    """
    rows = await db.fetch(f"SELECT {_ACT} FROM operator_act a WHERE a.told_at IS NULL ORDER BY a.id LIMIT $1", most)
    return [_act(row) for row in rows]


async def told(db: Db, ids: Collection[int]) -> None:
    """The topic has their hints."""
    await db.execute("UPDATE operator_act SET told_at = clock_timestamp() WHERE id = ANY($1::bigint[])", list(ids))


def _act(row: Record) -> Act:
    return Act(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        actor=row["actor"],
        origin=row["origin"],
        reason=row["reason"],
        subject=row["subject_id"],
        other=row["other_id"],
        left=row["left_id"],
        joined=row["joined_id"],
        takes_back=row["takes_back"],
        inferred=codec.pointer(row["inferred"]),
        moved=tuple(row["moved"]),
        in_force=row["in_force"],
    )
