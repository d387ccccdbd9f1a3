"""The fence: who may write what a partition says, and how far it is read.

Taking a partition raises its epoch, so whoever held it before can no longer advance it, and rolls
back. Order of use: `take` once on assignment, then in every transaction `lock` first, `advance` last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pathline.kit.origin import Origin
    from pathline.storage.connection import Db


TAKE_WAIT_MS: Final = 1_000
"""How long the transaction of whoever had a partition before is waited for. It is overtaken, and rolls back anyway."""

END_WAIT_MS: Final = 1_000
"""How long a session that was ended may take to give its locks back."""


class FenceLostError(Exception):
    """Another process has taken one of the partitions; nothing of this batch may be written."""


class OtherClusterError(Exception):
    """The database was written from another Kafka, or another topic of that name: its offsets mean nothing here."""


class Held(msgspec.Struct, frozen=True):
    """A partition that was taken."""

    epoch: int
    next_offset: int
    hints: bytes | None
    """Hints of the last batch, which may not have been sent."""


class Advance(msgspec.Struct, frozen=True):
    """How a batch moves one partition on."""

    partition: int
    epoch: int
    expected: int
    next_offset: int
    hints: bytes | None = None


class Standing(msgspec.Struct, frozen=True):
    """How far a partition is handled."""

    next_offset: int
    unsent: bool
    """Whether hints of its last batch may not have been sent."""


class Sighting(msgspec.Struct, frozen=True):
    """What the holder of a partition says of it between batches."""

    partition: int
    epoch: int
    told: int
    """All hints of what lies before this offset were sent."""
    through: datetime | None
    """By the database's clock: everything that Kafka held by then has been read. None where it can't be said."""


async def cover(db: Db, topic: str, partitions: Collection[int], origin: Origin) -> None:
    """See to it that each partition of the topic has a row: one that nobody ever read holds `through` back."""
    await db.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id, topic_id)"
        " SELECT $1, partition, 0, 0, 'epoch', $3, $4 FROM unnest($2::int[]) AS t (partition) ON CONFLICT DO NOTHING",
        topic,
        sorted(partitions),
        origin.cluster_id,
        origin.topic_id,
    )


async def take(db: Db, topic: str, partition: int, origin: Origin) -> Held:
    """Take a partition: from now on its former owner can't advance it. Begins a transaction of its own.

    Raises:
        OtherClusterError: the row was made with another Kafka cluster, or with another topic of that name.
        asyncpg.LockNotAvailableError: its former owner has a transaction open that does not end: see `end_holder`.
    """
    await cover(db, topic, [partition], origin)
    async with db.transaction():
        await db.execute(f"SET LOCAL lock_timeout = {TAKE_WAIT_MS}")
        row = await db.fetchrow(
            "UPDATE fence SET epoch = epoch + 1 WHERE topic = $1 AND partition = $2 AND cluster_id = $3"
            " AND (topic_id = $4 OR topic_id IS NULL OR $4 IS NULL) RETURNING epoch, next_offset, hints",
            topic,
            partition,
            *origin,
        )
    if row is None:
        raise OtherClusterError(await _difference(db, topic, partition, origin))
    return Held(row["epoch"], row["next_offset"], row["hints"])


async def _difference(db: Db, topic: str, partition: int, origin: Origin) -> str:
    held = await db.fetchrow(
        "SELECT cluster_id, topic_id FROM fence WHERE topic = $1 AND partition = $2", topic, partition
    )
    if held is None or held["cluster_id"] != origin.cluster_id:
        return f"{topic}/{partition} was read from another Kafka cluster than {origin.cluster_id}"
    return f"{topic}/{partition} was read from topic {held['topic_id']}, this one is {origin.topic_id}: made anew"


async def adopt(db: Db, topic: str, partitions: Collection[int], origin: Origin) -> None:
    """Note the topic's id for partitions that were read before anybody noted it."""
    if origin.topic_id is not None:
        await db.execute(
            "UPDATE fence SET topic_id = $3 WHERE topic = $1 AND partition = ANY($2::int[]) AND topic_id IS NULL",
            topic,
            sorted(partitions),
            origin.topic_id,
        )


async def end_holder(db: Db, topic: str, partition: int) -> list[int]:
    """End the session that holds a partition's row; returns its process ids in PostgreSQL, mostly one.

    `idle_in_transaction_session_timeout` frees a lock whose owner sleeps between two statements. For one that fell
    asleep in the middle of a message, as in a COPY, PostgreSQL waits as long as the connection stands: no time-out of
    a statement or a transaction interrupts that, and the peer that takes over would wait for ever.

    Raises:
        asyncpg.InsufficientPrivilegeError: the session is another user's.
    """
    rows = await db.fetch(
        "SELECT l.pid, pg_terminate_backend(l.pid, $3) FROM fence f"
        " JOIN pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = f.xmax AND l.granted"
        " WHERE f.topic = $1 AND f.partition = $2 AND l.pid <> pg_backend_pid()",
        topic,
        partition,
        END_WAIT_MS,
    )
    return [row["pid"] for row in rows]


async def cluster_ids(db: Db) -> list[str]:
    """The Kafka clusters that partitions were read from; more than one is a mistake, none a database never used."""
    rows = await db.fetch("SELECT DISTINCT cluster_id FROM fence ORDER BY cluster_id")
    return [row["cluster_id"] for row in rows]


async def lock(db: Db, topic: str, moves: Sequence[Advance]) -> None:
    """Lock the rows of these partitions, in order, for the rest of the transaction.

    Raises:
        FenceLostError: one of them is not ours, or not where we believe.
    """
    rows = await db.fetch(
        "SELECT f.partition FROM fence f JOIN unnest($2::int[], $3::bigint[], $4::bigint[]) AS m (partition, epoch, at)"
        " ON f.partition = m.partition AND f.epoch = m.epoch AND f.next_offset = m.at"
        " WHERE f.topic = $1 ORDER BY f.partition FOR UPDATE OF f",
        topic,
        [move.partition for move in moves],
        [move.epoch for move in moves],
        [move.expected for move in moves],
    )
    if len(rows) != len(moves):
        lost = {move.partition for move in moves} - {row["partition"] for row in rows}
        message = f"partitions {sorted(lost)} of {topic} were taken"
        raise FenceLostError(message)


async def advance(db: Db, topic: str, moves: Sequence[Advance]) -> None:
    """Move the locked partitions on; part of the transaction that writes what they said."""
    await db.execute(
        "UPDATE fence f SET next_offset = m.next_offset, hints = m.hints"
        " FROM unnest($2::int[], $3::bigint[], $4::bytea[]) AS m (partition, next_offset, hints)"
        " WHERE f.topic = $1 AND f.partition = m.partition",
        topic,
        [move.partition for move in moves],
        [move.next_offset for move in moves],
        [move.hints for move in moves],
    )


async def positions(db: Db, topic: str) -> dict[int, tuple[int, int]]:
    """(epoch, next_offset) of each partition of the topic."""
    rows = await db.fetch("SELECT partition, epoch, next_offset FROM fence WHERE topic = $1", topic)
    return {row["partition"]: (row["epoch"], row["next_offset"]) for row in rows}


async def clock(db: Db) -> datetime:
    """The database's clock: the one by which deadlines are kept."""
    now: datetime = await db.fetchval("SELECT clock_timestamp()")
    return now


async def standing(db: Db, topic: str) -> dict[int, Standing]:
    """How far each partition of the topic is handled, by whomever."""
    rows = await db.fetch(
        "SELECT partition, next_offset, hints IS NOT NULL AS unsent FROM fence WHERE topic = $1", topic
    )
    return {row["partition"]: Standing(row["next_offset"], row["unsent"]) for row in rows}


async def note(db: Db, topic: str, sightings: Sequence[Sighting]) -> None:
    """Write these down, each where its epoch still holds. `through` goes back, too, where the clock does."""
    await db.execute(
        "UPDATE fence f SET through = coalesce(m.through, f.through),"
        " hints = CASE WHEN f.next_offset = m.told THEN NULL ELSE f.hints END"
        " FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::timestamptz[]) AS m (partition, epoch, told, through)"
        " WHERE f.topic = $1 AND f.partition = m.partition AND f.epoch = m.epoch",
        topic,
        [one.partition for one in sightings],
        [one.epoch for one in sightings],
        [one.told for one in sightings],
        [one.through for one in sightings],
    )


async def least_through(db: Db, topic: str) -> datetime | None:
    """The time up to which every partition has been read; None when none was ever taken."""
    through: datetime | None = await db.fetchval("SELECT min(through) FROM fence WHERE topic = $1", topic)
    return through


async def unsent(db: Db, topic: str, partitions: Sequence[int]) -> list[bytes]:
    """The hints of the last batch of each of these partitions."""
    rows = await db.fetch(
        "SELECT hints FROM fence WHERE topic = $1 AND partition = ANY($2::int[]) AND hints IS NOT NULL",
        topic,
        list(partitions),
    )
    return [row["hints"] for row in rows]
