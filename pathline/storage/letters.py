"""Dead letters: what could not be used, whoever found it, once each by where it lies in Kafka.

A row written in the transaction of who found it is told to the topic of dead letters afterwards (`untold`, `told`);
what others wrote to that topic is kept as a row, and needs no telling (`keep`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathline.storage.connection import Db


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that can't be used, as it came, and why."""

    partition: int
    offset: int
    code: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: str
    """Names and values of the record's headers, as JSON text."""
    source: str | None = None
    """The write key's name, where so much of it could be read."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A letter read from the topic. `topic`, `partition`, `offset` are the record's that could not be used."""

    topic: str
    partition: int
    offset: int
    stage: str
    code: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: str
    source: str | None
    namespace: str | None
    received_at: datetime | None
    size: int | None
    created_at: datetime


class Row(NamedTuple):
    """A letter as it is kept."""

    id: int
    topic: str
    partition: int
    offset: int
    stage: str
    code: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: str
    source: str | None
    namespace: str | None
    received_at: datetime | None
    size: int | None
    """Bytes that the value had, where only the first of them were kept."""
    created_at: datetime
    replayed_at: datetime | None


class Line(NamedTuple):
    """A letter in a list: all but what it holds."""

    id: int
    topic: str
    partition: int
    offset: int
    stage: str
    code: str
    message: str
    source: str | None
    namespace: str | None
    received_at: datetime | None
    created_at: datetime
    replayed_at: datetime | None
    bytes: int
    """Of its value, as it was sent."""


_ROW: Final = (
    'id, topic, partition, "offset", stage, code, message, key, value, headers::text AS headers, source, namespace,'
    " received_at, size, created_at, replayed_at"
)
_LINE: Final = (
    'id, topic, partition, "offset", stage, code, message, source, namespace, received_at, created_at, replayed_at,'
    " coalesce(size, octet_length(value), 0) AS bytes"
)
_CHOSEN: Final = "($1::text IS NULL OR code = $1) AND ($2::text IS NULL OR source = $2)"


async def write(db: Db, topic: str, stage: str, letters: Sequence[DeadLetter]) -> None:
    """Keep what can't be used, once a record; part of the transaction that passes it over."""
    await db.execute(
        'INSERT INTO dead_letter (topic, partition, "offset", code, message, key, value, headers, source, stage)'
        " SELECT $1, c.*, $10 FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[],"
        " $8::json[], $9::text[]) AS c ON CONFLICT DO NOTHING",
        topic,
        [letter.partition for letter in letters],
        [letter.offset for letter in letters],
        [letter.code for letter in letters],
        [letter.message for letter in letters],
        [letter.key for letter in letters],
        [letter.value for letter in letters],
        [letter.headers for letter in letters],
        [letter.source for letter in letters],
        stage,
    )


async def keep(db: Db, letters: Sequence[Found]) -> int:
    """Keep what the topic tells, but for what is kept already; returns how many are new."""
    rows = await db.fetch(
        'INSERT INTO dead_letter (topic, partition, "offset", stage, code, message, key, value, headers, source,'
        " namespace, received_at, size, created_at, told_at) SELECT c.*, now() FROM unnest($1::text[], $2::int[],"
        " $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::json[], $10::text[],"
        " $11::text[], $12::timestamptz[], $13::bigint[], $14::timestamptz[]) AS c ON CONFLICT DO NOTHING RETURNING id",
        *([getattr(letter, name) for letter in letters] for name in Found.__struct_fields__),
    )
    return len(rows)


async def untold(db: Db, most: int) -> list[Row]:
    """Letters that the topic has not been told of, locked; those that a peer is telling of are passed over.

    Asked for by what is missing and not by the last id, so that a row that commits late is not missed.
    """
    rows = await db.fetch(
        f"SELECT {_ROW} FROM dead_letter WHERE told_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED", most
    )
    return [Row(*row) for row in rows]


async def told(db: Db, ids: Collection[int]) -> None:
    """The topic has them."""
    await db.execute("UPDATE dead_letter SET told_at = now() WHERE id = ANY($1::bigint[])", list(ids))


async def prune(db: Db, kept: timedelta, most: int) -> int:
    """Forget up to so many of those that are older than that; returns how many."""
    rows = await db.fetch(
        "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE created_at < now() - $1::interval"
        " ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id",
        kept,
        most,
    )
    return len(rows)


async def newest(db: Db, *, code: str | None, source: str | None, most: int) -> list[Line]:
    """Letters, the newest first; of this code and this source, where they are given."""
    rows = await db.fetch(
        f"SELECT {_LINE} FROM dead_letter WHERE {_CHOSEN} ORDER BY id DESC LIMIT $3", code, source, most
    )
    return [Line(*row) for row in rows]


async def load(db: Db, ids: Collection[int]) -> list[Row]:
    """These letters, as far as there are such, in the order of their ids."""
    rows = await db.fetch(f"SELECT {_ROW} FROM dead_letter WHERE id = ANY($1::bigint[]) ORDER BY id", list(ids))
    return [Row(*row) for row in rows]


async def last_id(db: Db) -> int:
    """The id of the newest letter, 0 where there is none."""
    return int(await db.fetchval("SELECT coalesce(max(id), 0) FROM dead_letter"))


async def unreplayed(db: Db, *, code: str | None, source: str | None, after: int, last: int, most: int) -> list[Row]:
    """Letters that were never replayed, the oldest first, with an id above `after` and at most `last`."""
    rows = await db.fetch(
        f"SELECT {_ROW} FROM dead_letter WHERE {_CHOSEN} AND replayed_at IS NULL AND id > $3 AND id <= $4"
        " ORDER BY id LIMIT $5",
        code,
        source,
        after,
        last,
        most,
    )
    return [Row(*row) for row in rows]


async def replayed(db: Db, ids: Collection[int]) -> None:
    """They were sent once more."""
    await db.execute("UPDATE dead_letter SET replayed_at = now() WHERE id = ANY($1::bigint[])", list(ids))
