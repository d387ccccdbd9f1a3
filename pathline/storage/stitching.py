"""The statements of the stitcher's transaction: one a table, ids sorted, a thousand touchpoints at a time.

The order in which the service runs them: fences.lock, `insert_seen`, `write_people`, `write_joins`,
`write_strands`, `write_entities`, `write_touchpoints`, letters.write, fences.advance. Every
process locks in that order and within a table by id, so that two on one customer wait, not deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pathline.domain import bonds
from pathline.domain.bonds import MAILBOX_KINDS, MAILBOX_LIMIT, Bond, Pointer
from pathline.domain.facts import FOLD_VERSION, State, join
from pathline.domain.fold import Join, Stitched
from pathline.domain.identifiers import STRENGTH, Identifier
from pathline.domain.people import Till
from pathline.domain.relation import profile_changes
from pathline.storage import codec, people

if TYPE_CHECKING:
    from pathline.storage.connection import Db

_BY_INT: Final = attrgetter("int")
"""The order in which PostgreSQL sorts ids, compared without a call of Python for each pair."""

NEAR: Final = 10
"""A parent that is so near to being a till may be one by what peers write at this moment, which we do not see."""

JOIN_LOCK: Final = 0x9A7B1106
"""Key of the advisory lock under which user_ids are joined: two joins at once could pass the limit together."""


class NewerStateError(Exception):
    """A row was written by a newer version of Pathline: this process must not write it back with less."""


class Moved(msgspec.Struct, frozen=True):
    """A person whose customer may be another one now, and the proposal that did it."""

    bond: Bond
    ids: tuple[UUID, ...]


async def insert_seen(db: Db, received: Mapping[UUID, datetime]) -> set[UUID]:
    """Note these touchpoints and return those that nobody noted before."""
    ids = sorted(received, key=_BY_INT)
    rows = await db.fetch(
        "INSERT INTO seen (id, received_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])"
        " ON CONFLICT DO NOTHING RETURNING id",
        ids,
        [received[one] for one in ids],
    )
    return {row["id"] for row in rows}


async def forget_seen(db: Db, ids: Iterable[UUID]) -> None:
    """Take back the note of touchpoints that became dead letters, so that they can be replayed."""
    await db.execute("DELETE FROM seen WHERE id = ANY($1::uuid[])", list(ids))


async def read_pointers(db: Db, ids: Iterable[UUID]) -> dict[UUID, Pointer | None]:
    """The pointers of these identifiers, read without a lock; who is not in the answer was never met."""
    rows = await db.fetch("SELECT id, pointer FROM identifier WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: codec.pointer(row["pointer"]) for row in rows}


async def write_people(
    db: Db,
    met: Iterable[Identifier],
    proposals: Mapping[Identifier, Pointer],
    known: dict[UUID, Pointer | None],
) -> list[Moved]:
    """Write identifiers that are new and pointers that improve; return who may have moved.

    Args:
        db: inside the transaction.
        met: every identifier of the batch.
        proposals: the best proposals of the batch.
        known: pointers as last read or written; it is brought up to date. A minimum only falls, so a stale one is safe.
    """
    names = {identifier.id: identifier for identifier in met}
    offered = {identifier.id: pointer for identifier, pointer in proposals.items()}
    # One by one: the difference of the two would walk through all that is known.
    missing = sorted((one for one in names if one not in known), key=_BY_INT)
    inserted = await _insert_people(db, [names[one] for one in missing], offered) if missing else set()
    for one in inserted:
        known[one] = offered.get(one)
    raced = set(missing) - inserted
    better = [one for one, offer in offered.items() if one in raced or _improves(known.get(one), offer)]
    better.sort(key=_BY_INT)
    for one in raced:
        known.setdefault(one, None)
    moved = await _improve_people(db, better, offered, known) if better else []
    linked = {one: offered[one].best for one in inserted if one in offered}
    linked |= {move.ids[0]: move.bond for move in moved}
    boxes = {one: bond for one, bond in linked.items() if names[one].kind in MAILBOX_KINDS}
    return moved + await _let_go(db, {one: bond for one, bond in boxes.items() if bond.target not in inserted})


def _improves(held: Pointer | None, offer: Pointer) -> bool:
    if held is None:
        return True
    return held.beaten_by(offer.best) or (offer.runner_up is not None and held.beaten_by(offer.runner_up))


async def _let_go(db: Db, linked: Mapping[UUID, Bond]) -> list[Moved]:
    """The mailboxes that lose a parent which is a till by these links: they are customers of their own now.

    So that whoever of two that commit at once is heard of last has seen them all, also those of who is NEAR it.
    """
    by_till: dict[Till, list[UUID]] = {}
    for one, bond in linked.items():
        by_till.setdefault((bond.target, bond.rank[1] == 0), []).append(one)
    if not by_till:
        return []
    kept = await people.mailboxes(db, {till: MAILBOX_LIMIT + len(new) + 1 for till, new in by_till.items()})
    moved = []
    for till, new in by_till.items():
        others = set(kept[till]).difference(new)
        if others and MAILBOX_LIMIT - NEAR < len(kept[till]) <= MAILBOX_LIMIT + len(new):
            moved.append(Moved(linked[new[0]], (till[0], *sorted(others, key=_BY_INT))))
    return moved


async def _insert_people(db: Db, people: Sequence[Identifier], offered: Mapping[UUID, Pointer]) -> set[UUID]:
    pointers = [offered.get(person.id) for person in people]
    rows = await db.fetch(
        "INSERT INTO identifier"
        " (id, namespace, kind, value, strength, parent_id, parent_trusted, parent_at, pointer)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[],"
        " $6::uuid[], $7::boolean[], $8::timestamptz[], $9::json[]) ON CONFLICT DO NOTHING RETURNING id",
        [person.id for person in people],
        [person.namespace for person in people],
        [person.kind for person in people],
        [person.value for person in people],
        [STRENGTH[person.kind] for person in people],
        *_pointer_columns(pointers),
    )
    return {row["id"] for row in rows}


async def _improve_people(
    db: Db, ids: Sequence[UUID], offered: Mapping[UUID, Pointer], known: dict[UUID, Pointer | None]
) -> list[Moved]:
    rows = await db.fetch(
        "SELECT id, pointer FROM identifier WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(ids)
    )
    changed: dict[UUID, Pointer] = {}
    moved: list[Moved] = []
    for row in rows:
        one, held = row["id"], codec.pointer(row["pointer"])
        merged = bonds.merge(held, offered[one])
        known[one] = merged
        if merged == held:
            continue
        changed[one] = merged
        if held is None or held.best.target != merged.best.target:
            left = () if held is None else (held.best.target,)
            moved.append(Moved(merged.best, (one, *left, merged.best.target)))
    if changed:
        await db.execute(
            "UPDATE identifier i SET parent_id = c.parent_id, parent_trusted = c.trusted, parent_at = c.at,"
            " pointer = c.pointer FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::json[])"
            " AS c (id, parent_id, trusted, at, pointer) WHERE i.id = c.id",
            list(changed),
            *_pointer_columns(list(changed.values())),
        )
    return moved


def _pointer_columns(pointers: Sequence[Pointer | None]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    return (
        [None if p is None else p.best.target for p in pointers],
        [None if p is None else p.best.rank[1] == 0 for p in pointers],
        [None if p is None else p.best.at for p in pointers],
        [None if p is None else codec.to_json(p) for p in pointers],
    )


async def lock_joins(db: Db) -> None:
    """Wait for other joins of user_ids; held to the end of the transaction."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", JOIN_LOCK)


async def write_joins(db: Db, joins: Sequence[Join]) -> list[Moved]:
    """Write pairs of user_ids that are one person; return those that were new.

    Of several aliases about one pair the latest is kept, whichever came first: all who write hold the lock of joins.
    """
    latest: dict[tuple[UUID, UUID], Join] = {}
    for one in joins:
        other = latest.get((one.a, one.b))
        if other is None or one.later_than(other.bond):
            latest[one.a, one.b] = one
    rows = await db.fetch(
        "SELECT j.a, j.b, j.bond FROM unnest($1::uuid[], $2::uuid[]) AS c (a, b)"
        " JOIN user_join j ON j.a = c.a AND j.b = c.b",
        [j.a for j in latest.values()],
        [j.b for j in latest.values()],
    )
    held = {(row["a"], row["b"]): codec.bond(row["bond"]) for row in rows}
    better = [j for pair, j in latest.items() if (bond := held.get(pair)) is None or j.later_than(bond)]
    if better:
        await db.execute(
            "INSERT INTO user_join (a, b, bond) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::json[])"
            " ON CONFLICT (a, b) DO UPDATE SET bond = excluded.bond",
            [j.a for j in better],
            [j.b for j in better],
            [codec.to_json(j.bond) for j in better],
        )
    return [Moved(j.bond, (j.a, j.b)) for pair, j in latest.items() if pair not in held]


async def write_strands(db: Db, deltas: Mapping[UUID, State]) -> set[UUID]:
    """Join each delta into its strand, made if there is none. Returns those who are others to detectors now.

    Raises:
        NewerStateError: a newer version wrote one of them.
    """
    left = dict(deltas)
    changed: set[UUID] = set()
    while left:
        held = await _lock_states(db, left)
        if held:
            changed.update(one for one, state in held.items() if profile_changes(state, left[one]))
            await db.execute(
                "UPDATE strand s SET state = c.state, revision = revision + 1,"
                " fold_version = greatest(fold_version, $3)"
                " FROM unnest($1::uuid[], $2::json[]) AS c (id, state) WHERE s.id = c.id",
                list(held),
                [codec.to_json(join(state, left.pop(one))) for one, state in held.items()],
                FOLD_VERSION,
            )
        # What another process makes between our look and our insert is locked and joined in the next turn.
        for one in await _insert_strands(db, {one: left[one] for one in sorted(left, key=_BY_INT)}) if left else ():
            if profile_changes(None, left.pop(one)):
                changed.add(one)
    return changed


async def _insert_strands(db: Db, states: Mapping[UUID, State]) -> list[UUID]:
    rows = await db.fetch(
        "INSERT INTO strand (id, state, revision, fold_version)"
        " SELECT id, state, 1, $3 FROM unnest($1::uuid[], $2::json[]) AS c (id, state)"
        " ON CONFLICT DO NOTHING RETURNING id",
        list(states),
        [codec.to_json(state) for state in states.values()],
        FOLD_VERSION,
    )
    return [row["id"] for row in rows]


async def _lock_states(db: Db, ids: Iterable[UUID]) -> dict[UUID, State]:
    rows = await db.fetch(
        "SELECT id, state, fold_version FROM strand WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(ids)
    )
    for row in rows:
        check_version(row["id"], row["fold_version"])
    return {row["id"]: codec.state(row["state"]) for row in rows}


def check_version(one: UUID, version: int) -> None:
    """Refuse a state that a newer version wrote: what it says may be more than we can read. Raises NewerStateError."""
    if version > FOLD_VERSION:
        message = f"the state of {one} is of fold version {version}, this process writes {FOLD_VERSION}"
        raise NewerStateError(message)


class EntityDelta(msgspec.Struct):
    """What a batch tells of one thing."""

    identifier: Identifier
    state: State
    claim: Bond | None
    order: Bond | None


async def write_entities(db: Db, deltas: Mapping[UUID, EntityDelta]) -> dict[UUID, set[UUID]]:
    """Join each delta into its entity, made if there is none.

    Returns the things that have another claimant or order now, each with those it left.

    Raises:
        NewerStateError: a newer version wrote one of them.
    """
    left = dict(deltas)
    reowned: dict[UUID, set[UUID]] = {}
    while left:
        rows = await db.fetch(
            "SELECT id, state, claim, order_bond, fold_version FROM entity WHERE id = ANY($1::uuid[])"
            " ORDER BY id FOR UPDATE",
            list(left),
        )
        held: list[EntityDelta] = []
        for row in rows:
            check_version(row["id"], row["fold_version"])
            delta = left.pop(row["id"])
            before = codec.bond(row["claim"]), codec.bond(row["order_bond"])
            claim, order = _least(before[0], delta.claim), _least(before[1], delta.order)
            targets = {bond.target for bond in before if bond is not None}
            if targets != {bond.target for bond in (claim, order) if bond is not None}:
                reowned[row["id"]] = targets
            held.append(EntityDelta(delta.identifier, join(codec.state(row["state"]), delta.state), claim, order))
        if held:
            await db.execute(
                "UPDATE entity e SET state = c.state, claimant_id = c.claimant_id, claim = c.claim,"
                " order_id = c.order_id, order_bond = c.order_bond, revision = revision + 1,"
                " fold_version = greatest(fold_version, $7)"
                " FROM unnest($1::uuid[], $2::json[], $3::uuid[], $4::json[], $5::uuid[], $6::json[])"
                " AS c (id, state, claimant_id, claim, order_id, order_bond) WHERE e.id = c.id",
                [delta.identifier.id for delta in held],
                *_entity_columns(held),
                FOLD_VERSION,
            )
        missing = [left[one] for one in sorted(left, key=_BY_INT)]
        for one in await _insert_entities(db, missing) if missing else ():
            delta = left.pop(one)
            if delta.claim is not None or delta.order is not None:
                reowned[one] = set()
    return reowned


async def _insert_entities(db: Db, deltas: Sequence[EntityDelta]) -> list[UUID]:
    rows = await db.fetch(
        "INSERT INTO entity (id, namespace, kind, value, state, claimant_id, claim, order_id, order_bond,"
        " revision, fold_version) SELECT c.*, 1, $10 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[],"
        " $5::json[], $6::uuid[], $7::json[], $8::uuid[], $9::json[]) AS c ON CONFLICT DO NOTHING RETURNING id",
        [delta.identifier.id for delta in deltas],
        [delta.identifier.namespace for delta in deltas],
        [delta.identifier.kind for delta in deltas],
        [delta.identifier.value for delta in deltas],
        *_entity_columns(deltas),
        FOLD_VERSION,
    )
    return [row["id"] for row in rows]


def _entity_columns(deltas: Sequence[EntityDelta]) -> tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]:
    return (
        [codec.to_json(delta.state) for delta in deltas],
        [None if delta.claim is None else delta.claim.target for delta in deltas],
        [None if delta.claim is None else codec.to_json(delta.claim) for delta in deltas],
        [None if delta.order is None else delta.order.target for delta in deltas],
        [None if delta.order is None else codec.to_json(delta.order) for delta in deltas],
    )


def _least(a: Bond | None, b: Bond | None) -> Bond | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


_TOUCHPOINT_COLUMNS: Final = (
    "subject", "occurred_at", "id", "received_at", "message_id", "source", "type", "event", "channel", "stage",
    "moment_of_truth", "historical", "partition", "offset", "entities", "body", "privacy_signal", "told_at",
    "clamped",
)  # fmt: skip


def row_of(one: Stitched, at: tuple[int, int]) -> Sequence[Any]:
    """The row of a touchpoint that stands at this (partition, offset)."""
    t = one.touchpoint
    return (
        one.subject, t.occurred_at, t.id, t.received_at, t.message_id, t.source, t.type, t.event, t.channel,
        one.stage, one.moment_of_truth, t.historical, *at, one.entities, t.body, t.privacy_signal,
        t.told_at, t.clamped,
    )  # fmt: skip


async def write_touchpoints(db: Db, rows: Sequence[Sequence[Any]]) -> None:
    """Store touchpoints, as `row_of` has them."""
    await db.copy_records_to_table("touchpoint", records=rows, columns=_TOUCHPOINT_COLUMNS)
