"""When each source was heard last, how long it is silent at times, and since when it is for too long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pathline.domain.rhythm import Limits, Rhythm, heard, silent_since

if TYPE_CHECKING:
    from pathline.storage.connection import Db

FORGOTTEN_AFTER: Final = timedelta(days=30)
"""A source that was silent for so long is no source any more; its row goes, and the incident with it."""

_COLUMNS: Final = "source, since, heard_at, longest_seconds, looks, silent_since"


class Source(msgspec.Struct, frozen=True):
    """A source as it was judged last."""

    rhythm: Rhythm
    silent_since: datetime | None


class Turn(msgspec.Struct, frozen=True):
    """A source that fell silent, or speaks again: told to one process alone."""

    source: str
    silent_since: datetime | None


async def hear(db: Db, times: Mapping[str, datetime], limits: Limits) -> None:
    """Note when sources were heard last. In a transaction: rows are locked in order, as several stitchers hear one."""
    now: datetime = await db.fetchval("SELECT clock_timestamp()")
    # A collector's clock may be ahead; what is not yet can't have been heard.
    told = {source: min(at, now) for source, at in sorted(times.items())}
    await db.execute(
        "INSERT INTO source_rhythm (source, since, heard_at, longest_seconds, looks)"
        " SELECT source, at, at, 0, 1 FROM unnest($1::text[], $2::timestamptz[]) AS t (source, at)"
        " ON CONFLICT DO NOTHING",
        list(told),
        list(told.values()),
    )
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM source_rhythm WHERE source = ANY($1::text[]) ORDER BY source FOR UPDATE", list(told)
    )
    rhythms = [heard(one.rhythm, one.rhythm.source, told[one.rhythm.source], limits) for one in map(_source, rows)]
    await db.execute(
        "UPDATE source_rhythm r SET heard_at = c.heard_at, longest_seconds = c.longest, looks = c.looks"
        " FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::bigint[])"
        " AS c (source, heard_at, longest, looks) WHERE r.source = c.source",
        [one.source for one in rhythms],
        [one.heard_at for one in rhythms],
        [one.longest.total_seconds() for one in rhythms],
        [one.looks for one in rhythms],
    )


async def judge(db: Db, through: datetime, limits: Limits) -> list[Turn]:
    """Note who fell silent and who speaks again, as far as all that was received is read; forget who is gone."""
    await db.execute("DELETE FROM source_rhythm WHERE heard_at < $1", through - FORGOTTEN_AFTER)
    turns = []
    for one in await listed(db):
        now_silent = silent_since(one.rhythm, through, limits)
        if (now_silent is None) == (one.silent_since is None):
            continue
        # Only one of several stitchers makes the change, and so only one of them tells of it.
        status: str = await db.execute(
            "UPDATE source_rhythm SET silent_since = $2::timestamptz"
            " WHERE source = $1 AND heard_at = $3 AND (silent_since IS NULL) <> ($2::timestamptz IS NULL)",
            one.rhythm.source,
            now_silent,
            one.rhythm.heard_at,
        )
        if status.endswith(" 1"):
            turns.append(Turn(one.rhythm.source, now_silent))
    return turns


async def listed(db: Db) -> list[Source]:
    """Every source that was heard lately, by name."""
    return [_source(row) for row in await db.fetch(f"SELECT {_COLUMNS} FROM source_rhythm ORDER BY source")]


def _source(row: Any) -> Source:
    longest = timedelta(seconds=row["longest_seconds"])
    rhythm = Rhythm(row["source"], row["since"], row["heard_at"], longest, row["looks"])
    return Source(rhythm, row["silent_since"])
