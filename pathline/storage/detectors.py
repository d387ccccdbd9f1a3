"""Detectors as they stand: on trial or live, by whose word, what their files say, and the episodes of each.

Of each there is one row, for as long as anybody might ask for its alerts; nothing here grows with customers but the
episodes themselves, which are read by detector and time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import msgspec

from pathline.domain.alerts import Alert
from pathline.domain.records import Lived
from pathline.storage import alerts

if TYPE_CHECKING:
    from pathline.storage.connection import Db

Mode = Literal["live", "shadow"]
MODES: Final[tuple[Mode, ...]] = ("live", "shadow")

PATHLINE: Final = "pathline"
"""The actor of what happens by itself."""
FILE: Final = "file"
"""The origin of what happens because of a file."""

MAX_ACTS: Final = 100
"""Acts of a detector that are read, the newest."""

MAX_EPISODES: Final = 20_000
"""Episodes of a detector that its record is made of, the newest: some weeks of one that alerts every minute."""

_COLUMNS: Final = "name, mode, since, actor, origin, file, running, told"

_SET: Final = """
UPDATE detector SET mode = $2, since = clock_timestamp(), actor = $3, origin = $4 WHERE name = $1 AND mode <> $2
"""

_MET: Final = """
INSERT INTO detector (name, mode, actor, origin, file, running, told)
SELECT name, mode, $5, $6, file, true, told::json
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS t (name, mode, file, told)
ON CONFLICT (name) DO NOTHING RETURNING name, mode
"""

_CHANGED: Final = """
UPDATE detector d SET file = t.file, told = t.told::json, running = true
FROM unnest($1::text[], $2::text[], $3::text[]) AS t (name, file, told)
WHERE d.name = t.name AND (NOT d.running OR d.told IS NULL OR d.told::text <> t.told OR d.file IS DISTINCT FROM t.file)
RETURNING d.name
"""

# Lateral, so that each detector costs a look into an index, and not a reading of everybody's alerts.
_GONE_LIVE: Final = f"""
SELECT d.name FROM detector d
CROSS JOIN LATERAL (SELECT FROM alert a WHERE a.detector = d.name AND a.shadow AND a.{alerts.IS_ALIVE} LIMIT 1) AS waits
WHERE d.mode = 'live' AND d.running
"""

_SHADOWS: Final = f"""
SELECT id, story_id FROM alert WHERE detector = $1 AND id > $2 AND shadow AND {alerts.IS_ALIVE} ORDER BY id LIMIT $3
"""

_ORPHANS: Final = f"""
SELECT a.id, a.story_id FROM detector d
CROSS JOIN LATERAL (SELECT id, story_id FROM alert WHERE detector = d.name AND {alerts.IS_ALIVE} LIMIT $1) AS a
WHERE NOT d.running LIMIT $1
"""

_EPISODES: Final = """
SELECT detector, entity_kind, entity_id, story_id, opened_at, resolved_at, resolution, shadow, detector_version,
    assignee FROM alert WHERE detector = $1 AND opened_at >= $2 ORDER BY opened_at DESC LIMIT $3
"""

_OPEN: Final = f"""
SELECT count(*) FROM (SELECT FROM alert WHERE detector = $1 AND shadow AND {alerts.IS_ALIVE} LIMIT $2) AS counted
"""


class Known(msgspec.Struct, frozen=True):
    """A detector that runs, or ran. `told` is what its file says; None while no scorer has said so."""

    name: str
    mode: Mode
    since: datetime
    actor: str
    origin: str
    file: str | None
    running: bool
    told: dict[str, Any] | None

    @property
    def advice(self) -> str | None:
        """What to do next, as it says."""
        return None if self.told is None else str(self.told.get("advice"))


class Act(msgspec.Struct, frozen=True):
    """What became of a detector. Kinds: live, shadow, changed, removed."""

    at: datetime
    kind: str
    actor: str
    origin: str


class Episode(msgspec.Struct, frozen=True, gc=False):
    """An episode as a record counts it."""

    lived: Lived
    shadow: bool
    version: int
    assignee: str | None


async def on_trial(db: Db) -> frozenset[str]:
    """Names of the detectors whose episodes nobody is told of."""
    return frozenset(row["name"] for row in await db.fetch("SELECT name FROM detector WHERE mode = 'shadow'"))


async def listed(db: Db) -> list[Known]:
    """Every detector by name."""
    return [_known(row) for row in await db.fetch(f"SELECT {_COLUMNS} FROM detector ORDER BY name")]


async def get(db: Db, name: str) -> Known | None:
    """One detector."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM detector WHERE name = $1", name)
    return None if row is None else _known(row)


async def set_mode(db: Db, name: str, mode: Mode, actor: str, origin: str) -> bool | None:
    """Send a detector live or on trial; False where it is so already, None where there is none. In a transaction."""
    status = await db.execute(_SET, name, mode, actor, origin)
    if status.endswith(" 0"):
        return None if await get(db, name) is None else False
    await _note(db, [name], mode, actor, origin)
    return True


async def meet(
    db: Db, told: Mapping[str, Mapping[str, Any]], files: Mapping[str, str | None], begin: Mapping[str, Mode]
) -> list[str]:
    """Note what runs from now on; returns who is new. In a transaction.

    Args:
        db: a connection.
        told: what each detector's file says.
        files: each one's file; None for a built-in.
        begin: the mode in which each begins, where it was never met.
    """
    names = sorted(told)
    said = [msgspec.json.encode(told[name], order="sorted").decode() for name in names]
    listed_files = [files[name] for name in names]
    new = await db.fetch(_MET, names, [begin[name] for name in names], listed_files, said, PATHLINE, FILE)
    for mode in MODES:
        await _note(db, [row["name"] for row in new if row["mode"] == mode], mode, PATHLINE, FILE)
    changed = await db.fetch(_CHANGED, names, listed_files, said)
    await _note(db, [row["name"] for row in changed], "changed", PATHLINE, FILE)
    return [row["name"] for row in new]


async def remove(db: Db, running: Collection[str], faulty: Collection[str]) -> list[str]:
    """Note who runs no more: not one of `running`, nor of a file that is only bad. In a transaction."""
    rows = await db.fetch(
        "UPDATE detector SET running = false WHERE running AND name <> ALL($1::text[])"
        " AND (file IS NULL OR file <> ALL($2::text[])) RETURNING name",
        list(running),
        list(faulty),
    )
    gone = [row["name"] for row in rows]
    await _note(db, gone, "removed", PATHLINE, FILE)
    return gone


async def acts(db: Db, name: str, limit: int = MAX_ACTS) -> list[Act]:
    """What became of a detector, newest first."""
    rows = await db.fetch(
        "SELECT at, kind, actor, origin FROM detector_act WHERE detector = $1 ORDER BY id DESC LIMIT $2", name, limit
    )
    return [Act(**dict(row)) for row in rows]


async def gone_live(db: Db) -> list[str]:
    """Detectors that are live and have open episodes from when they were on trial."""
    return [row["name"] for row in await db.fetch(_GONE_LIVE)]


async def shadows(db: Db, name: str, after: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """Open shadow episodes of a detector, and the story of each, from an id on."""
    return [(row["id"], row["story_id"]) for row in await db.fetch(_SHADOWS, name, after, limit)]


async def orphans(db: Db, limit: int) -> list[tuple[UUID, UUID]]:
    """Open episodes of detectors that run no more, and the story of each."""
    return [(row["id"], row["story_id"]) for row in await db.fetch(_ORPHANS, limit)]


async def locked(db: Db, ids: Collection[UUID]) -> list[Alert]:
    """Those of these alerts that last, locked; their stories are locked by then."""
    rows = await db.fetch(
        f"SELECT {alerts.COLUMNS} FROM alert WHERE id = ANY($1::uuid[]) AND {alerts.IS_ALIVE} ORDER BY id FOR UPDATE",
        list(ids),
    )
    return [alerts.alert_of(row) for row in rows]


async def episodes(db: Db, name: str, since: datetime, limit: int = MAX_EPISODES) -> list[Episode]:
    """The episodes of a detector that opened since then, newest first, at most `limit`."""
    found = []
    for row in await db.fetch(_EPISODES, name, since, limit):
        *lived, shadow, version, assignee = row.values()
        found.append(Episode(Lived(*lived), shadow, version, assignee))
    return found


async def open_shadows(db: Db, name: str, limit: int = MAX_EPISODES) -> int:
    """How many open episodes of a detector nobody was told of; at most `limit`."""
    counted: int = await db.fetchval(_OPEN, name, limit)
    return counted


async def _note(db: Db, names: Iterable[str], kind: str, actor: str, origin: str) -> None:
    listed_names = list(names)
    if listed_names:
        await db.execute(
            "INSERT INTO detector_act (detector, kind, actor, origin)"
            " SELECT name, $2, $3, $4 FROM unnest($1::text[]) AS name",
            listed_names,
            kind,
            actor,
            origin,
        )


def _known(row: Any) -> Known:
    values = dict(row)
    told = values.pop("told")
    return Known(**values, told=None if told is None else msgspec.json.decode(told))
