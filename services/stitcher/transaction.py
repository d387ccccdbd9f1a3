"""The stitcher's one transaction: fence, dedupe, state, touchpoints, dead letters, hints. All of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.contracts.letters import STITCHER
from pathline.domain.facts import State
from pathline.domain.fold import Changes, join_of
from pathline.domain.identifiers import touchpoint_id
from pathline.domain.interest import Share, just_ended
from pathline.domain.people import MAX_JOINED
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import accounts, fences, people, stitching
from pathline.storage import letters as dead_letters
from pathline.storage.fences import Advance
from pathline.storage.letters import DeadLetter
from pathline.storage.stitching import EntityDelta, Moved
from services.stitcher.batch import Batch, dead_letter, hint_of

if TYPE_CHECKING:
    from pathline.domain.bonds import Pointer
    from pathline.storage.connection import Db


class Stitch(msgspec.Struct):
    """What a transaction did."""

    hints: list[Hint]
    moved: int
    duplicates: int
    letters: list[DeadLetter]
    visits: Share = Share(0, 0)
    """Visits that ended now, and how many of them were lost."""
    heard: dict[str, datetime] = {}
    """When each source was heard last."""


async def stitch(
    db: Db,
    topic: str,
    batch: Batch,
    moves: Sequence[Advance],
    stages: Stages,
    known: dict[UUID, Pointer | None],
) -> Stitch:
    """Write a batch. Run it inside a transaction, and forget `known` if that one fails.

    Raises:
        FenceLostError: a partition is no longer ours.
        NewerStateError: a newer version wrote a state that this batch concerns.
        asyncpg.PostgresError: the database refuses.
    """
    await fences.lock(db, topic, moves)
    letters = list(batch.letters)
    received = {one: t.received_at for one, t in batch.touchpoints.items()}
    new = await stitching.insert_seen(db, received) if received else set()
    moved, refused = await _join_users(db, batch, new)
    letters.extend(refused)
    places = {(letter.partition, letter.offset) for letter in refused}
    new.difference_update(one for one, at in batch.at.items() if at in places)
    changes = changes_of(batch, new, stages)
    rows, hints = told_of(batch, changes)
    if changes.people:
        await _read_unknown(db, changes, known)
        moved += await stitching.write_people(db, changes.people, changes.parents, known)
    if changes.members:
        await accounts.write(db, changes.members)
    changed, reowned = await _write_states(db, changes)
    if changes.stitched:
        await stitching.write_touchpoints(db, rows)
    if letters:
        await dead_letters.write(db, topic, STITCHER, letters)
    hints = hints_of(changes, hints, moved, changed, reowned)
    await fences.advance(db, topic, _with_hints(moves, hints, batch))
    duplicates = batch.size - len(batch.letters) - len(changes.stitched) - len(refused)
    visits = just_ended(stitched.touchpoint for stitched in changes.stitched)
    return Stitch(hints, len(moved), duplicates, letters, visits, _heard(changes))


def _heard(changes: Changes) -> dict[str, datetime]:
    """When each source was heard last, by what was received of it now and not told as history."""
    heard: dict[str, datetime] = {}
    for stitched in changes.stitched:
        one = stitched.touchpoint
        if not one.historical and ((before := heard.get(one.source)) is None or one.received_at > before):
            heard[one.source] = one.received_at
    return heard


def changes_of(batch: Batch, new: set[UUID], stages: Stages) -> Changes:
    """What the new touchpoints of a batch change: folded while PostgreSQL worked on another where all of them are."""
    if batch.changes is not None and len(new) == len(batch.touchpoints):
        return batch.changes
    changes = Changes(stages)
    for one, touchpoint in batch.touchpoints.items():
        if one in new:
            changes.add(touchpoint)
    return changes


def told_of(batch: Batch, changes: Changes) -> tuple[list[Sequence[Any]], list[Hint]]:
    """The rows and the hints of these changes, made ahead where they are all of the batch's."""
    if changes is batch.changes:
        return batch.rows, batch.hints
    ids = [(stitched, stitched.touchpoint.id) for stitched in changes.stitched]
    return (
        [stitching.row_of(stitched, batch.at[one]) for stitched, one in ids],
        [hint_of(stitched, batch.traces.get(one)) for stitched, one in ids],
    )


async def _join_users(db: Db, batch: Batch, new: set[UUID]) -> tuple[list[Moved], list[DeadLetter]]:
    """Join user_ids one alias after the other, so that each is held against the limit as those before left it."""
    aliases = [(t, join) for one, t in batch.touchpoints.items() if one in new and (join := join_of(t)) is not None]
    if not aliases:
        return [], []
    await stitching.lock_joins(db)
    moved: list[Moved] = []
    refused: list[tuple[Touchpoint, int]] = []
    for touchpoint, join in aliases:
        size = await people.component(db, join.a, join.b)
        if size > MAX_JOINED:
            refused.append((touchpoint, size))
        else:
            moved += await stitching.write_joins(db, [join])
    if refused:
        await stitching.forget_seen(db, [touchpoint.id for touchpoint, _ in refused])
    return moved, [_over_limit(batch, touchpoint, size) for touchpoint, size in refused]


def _over_limit(batch: Batch, touchpoint: Touchpoint, size: int) -> DeadLetter:
    partition, offset = batch.at[touchpoint.id]
    record = next(r for r in batch.records[partition] if r.offset == offset)
    return dead_letter(record, "join_too_large", f"the join would make {size} user_ids one; {MAX_JOINED} are allowed")


async def _read_unknown(db: Db, changes: Changes, known: dict[UUID, Pointer | None]) -> None:
    unknown = [one for person in changes.people if (one := person.id) not in known]
    if unknown:
        known.update(await stitching.read_pointers(db, unknown))


async def _write_states(db: Db, changes: Changes) -> tuple[set[UUID], dict[UUID, set[UUID]]]:
    """Strands of persons who are others to detectors now, and things that have other owners."""
    strands = {name.id: state for name, state in changes.states.items() if name not in changes.things}
    changed = await stitching.write_strands(db, strands) if strands else set()
    things = {
        name.id: EntityDelta(
            name, changes.states.get(name) or State(), changes.claims.get(name), changes.orders.get(name)
        )
        for name in changes.things
    }
    return changed, await stitching.write_entities(db, things) if things else {}


def hints_of(
    changes: Changes, hints: list[Hint], moved: Sequence[Moved], changed: set[UUID], reowned: Mapping[UUID, set[UUID]]
) -> list[Hint]:
    """The hints of these changes, with who is another one's now."""
    moved_by: dict[UUID, list[UUID]] = {}
    for stitched in changes.stitched if changed else ():
        if stitched.subject in changed:
            moved_by[stitched.touchpoint.id] = [stitched.subject]
    for move in moved:
        moved_by.setdefault(touchpoint_id(move.bond.source, move.bond.message_id), []).extend(move.ids)
    if not moved_by and not reowned:
        return hints
    return [_with_moves(one, moved_by.get(one.id), reowned) for one in hints]


def _with_moves(one: Hint, moved: list[UUID] | None, reowned: Mapping[UUID, set[UUID]]) -> Hint:
    """The hint with whom its touchpoint moved; another one, as a batch may be written more than once."""
    things = [other for thing in one.entities if thing in reowned for other in (thing, *reowned[thing])]
    return msgspec.structs.replace(one, moved=moved or [], reowned=things) if moved or things else one


def _with_hints(moves: Sequence[Advance], hints: Sequence[Hint], batch: Batch) -> list[Advance]:
    """The moves, each with the hints that its partition caused: whoever takes it after a crash sends them again."""
    caused: dict[int, list[Hint]] = {}
    for one in hints:
        caused.setdefault(batch.at[one.id][0], []).append(one)
    now = datetime.now(UTC)
    return [
        msgspec.structs.replace(move, hints=hint.encode(mine, now) if (mine := caused.get(move.partition)) else None)
        for move in moves
    ]
