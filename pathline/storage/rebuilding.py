"""The statements of a rebuild: pages of stored touchpoints, notes of what they tell, states, its progress.

A page that is read ends in one transaction with its notes, its placements and the place where to go on; so does a page
of states that is written. Strands and then things are locked by id, as a stitcher does it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
import msgspec

from pathline.domain.facts import FOLD_VERSION, Fact, State, join
from pathline.domain.rebuilding import Place, Placement, Refolded, Retained, Undone
from pathline.storage import codec, fences
from pathline.storage.stitching import check_version
from pathline.storage.touchpoints import BEGINNING

if TYPE_CHECKING:
    from pathline.storage.connection import Db

LOCK: Final = 0x9A7B1108
"""Key of the advisory lock of whoever rebuilds; it ends with the session."""

READING: Final = "reading"
WRITING: Final = "writing"
CATCHING_UP: Final = "catching up"
DONE: Final = "done"
CANCELLED: Final = "cancelled"
REPLACED: Final = "replaced"

FIRST: Final = UUID(int=0)

NOTES_AT_ONCE: Final = 500
"""Notes fetched at a time: those of one thing that a million touchpoints name do not fit into memory together."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild as it stands."""

    id: int
    stages: str
    """Identity of the stage file."""
    fold_version: int
    phase: str
    started_at: datetime
    touched_at: datetime
    finished_at: datetime | None
    retained_since: datetime | None
    """When the oldest touchpoint that is kept was received."""
    expected: int
    """Touchpoints there are, by the database's estimate at the beginning."""
    touchpoints: int
    placed: int
    """Touchpoints that are in another stage now."""
    noted: int
    applied: int
    """Of the notes."""
    changed: int
    """States that are others now."""
    earlier: int
    """States with facts that stay as an earlier stage file made them."""
    worked_seconds: float
    """In this phase, with the rests, and without the time in which nobody was at it."""
    cancel: bool
    others: bool
    """Whether a stitcher with another stage file, or of an older version, was seen meanwhile."""
    positions: list[int]
    """By partition, where the stitchers stood at the beginning: what lies before was there to be read."""
    week: str | None
    subject: UUID | None
    occurred_at: datetime | None
    touchpoint: UUID | None
    state: UUID | None


_COLUMNS: Final = ", ".join(Job.__struct_fields__)


async def alone(db: Db) -> bool:
    """Take the lock of whoever rebuilds, for this session; False where another has it."""
    return bool(await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK))


async def worked_on(db: Db) -> bool:
    """Whether somebody has that lock."""
    held: bool = await db.fetchval(
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (classid::bigint << 32 | objid::bigint) = $1",
        LOCK,
    )
    return held


async def latest(db: Db) -> Job | None:
    """The newest rebuild, whatever became of it."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM rebuild ORDER BY id DESC LIMIT 1")
    return None if row is None else Job(**dict(row))


async def unfinished(db: Db) -> Job | None:
    """The rebuild to go on with."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM rebuild WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1")
    return None if row is None else Job(**dict(row))


async def previous_stages(db: Db, job: Job) -> str | None:
    """The stage file of the newest rebuild that was finished before this one with another."""
    found: str | None = await db.fetchval(
        "SELECT stages FROM rebuild WHERE phase = $1 AND id < $2 AND stages <> $3 ORDER BY id DESC LIMIT 1",
        DONE,
        job.id,
        job.stages,
    )
    return found


async def begin(db: Db, stages: str, topic: str) -> Job:
    """Begin a rebuild by this stage file, from nothing, while the stitchers read `topic`."""
    await db.execute("TRUNCATE rebuild_note")
    handled = await fences.positions(db, topic)
    positions = [handled.get(partition, (0, 0))[1] for partition in range(max(handled, default=-1) + 1)]
    row = await db.fetchrow(
        "INSERT INTO rebuild (stages, fold_version, phase, started_at, touched_at, positions, retained_since, expected)"
        " SELECT $1, $2, $3, now, now, $4::bigint[], (SELECT min(received_at) FROM touchpoint),"
        " (SELECT coalesce(sum(greatest(c.reltuples::bigint, s.n_live_tup, 0)), 0)::bigint FROM pg_inherits i"
        "  JOIN pg_class c ON c.oid = i.inhrelid LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid"
        "  WHERE i.inhparent = 'touchpoint'::regclass)"
        f" FROM clock_timestamp() AS now RETURNING {_COLUMNS}",
        stages,
        FOLD_VERSION,
        READING,
        positions,
    )
    return Job(**dict(row))


async def end(db: Db, job: Job, phase: str) -> None:
    """End a rebuild as `done`, `cancelled` or `replaced`; what it noted is forgotten."""
    await db.execute(
        "UPDATE rebuild SET phase = $2, finished_at = clock_timestamp(), touched_at = clock_timestamp() WHERE id = $1",
        job.id,
        phase,
    )
    await db.execute("TRUNCATE rebuild_note")


async def ask_to_cancel(db: Db) -> bool:
    """Have a rebuild that is under way, or was left in the middle, end; False where there is none."""
    answer = await db.execute("UPDATE rebuild SET cancel = true WHERE finished_at IS NULL")
    return bool(answer != "UPDATE 0")


async def progress(db: Db, job: Job, **changes: Any) -> Job:
    """Write down where the rebuild is; returns it with what others say in there meanwhile."""
    names = ", ".join(f"{name} = ${number}" for number, name in enumerate(changes, 2))
    row = await db.fetchrow(
        f"UPDATE rebuild SET touched_at = clock_timestamp(), {names} WHERE id = $1 RETURNING {_COLUMNS}",
        job.id,
        *changes.values(),
    )
    return Job(**dict(row))


async def idle_seconds(db: Db, job: Job) -> float:
    """For how long nothing of it was written."""
    idle: float = await db.fetchval("SELECT extract(epoch FROM clock_timestamp() - $1)::float8", job.touched_at)
    return idle


async def weeks(db: Db) -> list[str]:
    """The tables of touchpoints, in the order in which they are read."""
    rows = await db.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'touchpoint'::regclass ORDER BY c.relname"
    )
    return [row["relname"] for row in rows]


class Page(msgspec.Struct, frozen=True):
    """What was read of a week."""

    week: str
    touchpoints: list[Retained]
    last: Place
    """Where the next one begins: the last that was looked at, taken or not."""


async def read(db: Db, week: str, after: Place | None, limit: int, since: Sequence[int] | None = None) -> Page | None:
    """The next touchpoints of a week, those of one subject together; None at its end, and where it has been dropped.

    Args:
        db: any connection.
        week: one of `weeks`.
        after: the place of the last one; None for the first.
        limit: so many are looked at.
        since: of these only those that were stitched when the stitchers had passed these offsets.
    """
    fields, order = ", ".join(Retained.__struct_fields__), "subject, occurred_at, id"
    source = f"{_quoted(week)} WHERE ({order}) > ($1, $2, $3) ORDER BY {order} LIMIT $4"
    query = f"SELECT {fields}, true AS taken FROM {source}"
    if since is not None:
        query = (
            f'WITH page AS (SELECT {fields}, "offset" >= coalesce(($5::bigint[])[partition + 1], 0) AS taken'
            f" FROM {source}) SELECT {fields}, taken FROM page WHERE taken OR ({order}) ="
            f" (SELECT {order} FROM page ORDER BY subject DESC, occurred_at DESC, id DESC LIMIT 1) ORDER BY {order}"
        )
    place = after or (FIRST, BEGINNING, FIRST)
    try:
        rows = await db.fetch(query, *place, limit, *(() if since is None else (list(since),)))
    except asyncpg.UndefinedTableError:
        return None
    if not rows:
        return None
    last = rows[-1]["subject"], rows[-1]["occurred_at"], rows[-1]["id"]
    return Page(week, [Retained(*row[:-1]) for row in rows if row["taken"]], last)


class _Facts(msgspec.Struct):
    facts: dict[str, Fact] = {}


_facts: Final = msgspec.json.Decoder(_Facts)


async def look(
    db: Db, subjects: Collection[UUID], things: Collection[UUID]
) -> tuple[dict[UUID, str], dict[UUID, dict[str, Fact]]]:
    """The kinds of these things, and the facts of all; read it after the touchpoints."""
    entities = await db.fetch("SELECT id, kind, state FROM entity WHERE id = ANY($1::uuid[])", list(things))
    strands = await db.fetch("SELECT id, state FROM strand WHERE id = ANY($1::uuid[])", list(subjects))
    held = {row["id"]: _facts.decode(row["state"]).facts for row in (*entities, *strands)}
    return {row["id"]: row["kind"] for row in entities}, held


_undone: Final = msgspec.json.Decoder(list[Undone])
_encode: Final = msgspec.json.Encoder().encode


async def note(db: Db, found: Refolded) -> int:
    """Keep what a page tells until all is read; returns how many notes that takes."""
    records = [
        (
            one,
            codec.to_json(found.told.get(one) or State()),
            _encode(found.undone[one]).decode() if one in found.undone else None,
        )
        for one in {**found.told, **found.undone}
    ]
    if records:
        await db.copy_records_to_table("rebuild_note", records=records, columns=("id", "told", "undone"))
    return len(records)


async def place(db: Db, week: str, placements: Sequence[Placement]) -> None:
    """Write where touchpoints of a week are now."""
    await db.execute(
        f"UPDATE {_quoted(week)} t SET stage = p.stage, moment_of_truth = p.moment FROM"
        " unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::boolean[])"
        " AS p (subject, occurred_at, id, stage, moment)"
        " WHERE t.subject = p.subject AND t.occurred_at = p.occurred_at AND t.id = p.id",
        *([getattr(one, name) for one in placements] for name in Placement._fields),
    )


async def ready_to_write(db: Db) -> None:
    """Tell the planner how many notes there are."""
    await db.execute("ANALYZE rebuild_note")


async def next_states(db: Db, after: UUID, limit: int) -> UUID | None:
    """The last id of the next `limit` notes; None when none is left."""
    last: UUID | None = await db.fetchval(
        "SELECT id FROM (SELECT id FROM rebuild_note WHERE id > $1 ORDER BY id LIMIT $2) n ORDER BY id DESC LIMIT 1",
        after,
        limit,
    )
    return last


class Noted(msgspec.Struct):
    """All notes of one strand or thing."""

    told: State
    undone: list[Undone]
    count: int


async def notes(db: Db, after: UUID, last: UUID) -> dict[UUID, Noted]:
    """What is noted of the ids in this range, folded as it comes."""
    found: dict[UUID, Noted] = {}
    async for row in _stream(db, after, last):
        told = codec.state(row["told"])
        undone = _undone.decode(row["undone"]) if row["undone"] is not None else []
        noted = found.get(row["id"])
        if noted is None:
            found[row["id"]] = Noted(told, undone, 1)
        else:
            # One fact may be noted by several pages as undone: a state has as many as the stage file has names.
            noted.told = join(noted.told, told)
            noted.undone += [one for one in undone if one not in noted.undone]
            noted.count += 1
    return found


def _stream(db: Db, after: UUID, last: UUID) -> AsyncIterator[asyncpg.Record]:
    found: AsyncIterator[asyncpg.Record] = db.cursor(
        "SELECT id, told, undone FROM rebuild_note WHERE id > $1 AND id <= $2", after, last, prefetch=NOTES_AT_ONCE
    )
    return found


async def lock_strands(db: Db, ids: Iterable[UUID]) -> dict[UUID, State]:
    """The strands among these, locked. Raises NewerStateError."""
    return await _lock(db, "strand", ids)


async def lock_things(db: Db, ids: Iterable[UUID]) -> dict[UUID, State]:
    """The things among these, locked; strands come first. Raises NewerStateError."""
    return await _lock(db, "entity", ids)


async def _lock(db: Db, table: str, ids: Iterable[UUID]) -> dict[UUID, State]:
    rows = await db.fetch(
        f"SELECT id, state, fold_version FROM {table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(ids)
    )
    for row in rows:
        check_version(row["id"], row["fold_version"])
    return {row["id"]: codec.state(row["state"]) for row in rows}


async def write_strands(db: Db, states: Mapping[UUID, State]) -> None:
    """Write locked strands."""
    await _write(db, "strand", states)


async def write_things(db: Db, states: Mapping[UUID, State]) -> None:
    """Write locked things."""
    await _write(db, "entity", states)


async def _write(db: Db, table: str, states: Mapping[UUID, State]) -> None:
    await db.execute(
        f"UPDATE {table} s SET state = c.state, revision = revision + 1, fold_version = greatest(fold_version, $3)"
        " FROM unnest($1::uuid[], $2::json[]) AS c (id, state) WHERE s.id = c.id",
        list(states),
        [codec.to_json(state) for state in states.values()],
        FOLD_VERSION,
    )


async def mark_earlier(
    db: Db, visited: Collection[UUID], kept: Mapping[UUID, Sequence[str]], stages: str | None
) -> None:
    """Note which facts of the visited states an earlier stage file made; one noted before keeps its note."""
    pairs = [(one, name) for one, names in kept.items() for name in names]
    ids, names = [one for one, _ in pairs], [name for _, name in pairs]
    await db.execute(
        "DELETE FROM earlier_fact e WHERE id = ANY($1::uuid[]) AND NOT EXISTS"
        " (SELECT FROM unnest($2::uuid[], $3::text[]) AS k (id, name) WHERE k.id = e.id AND k.name = e.name)",
        list(visited),
        ids,
        names,
    )
    if pairs:
        await db.execute(
            "INSERT INTO earlier_fact (id, name, stages) SELECT k.id, k.name, $3"
            " FROM unnest($1::uuid[], $2::text[]) AS k (id, name) ON CONFLICT DO NOTHING",
            ids,
            names,
            stages,
        )


async def look_again(db: Db, stories: Mapping[UUID, datetime]) -> None:
    """Have these stories judged by then, unasked, at the latest."""
    ordered = sorted(stories)
    await db.execute(
        "INSERT INTO watch (id, due_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT (id) DO UPDATE"
        " SET due_at = least(watch.due_at, excluded.due_at), revision = watch.revision + 1",
        ordered,
        [stories[one] for one in ordered],
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
