"""Who is whom and who owns what, after the stitcher's whole transaction in PostgreSQL, in every order of telling."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry, Counter

from pathline.consuming.persistence import Persistence
from pathline.domain.bonds import Pointer
from pathline.kit.health import Health
from pathline.kit.origin import Origin
from pathline.storage import entities, fences, people
from pathline.storage.fences import Advance
from services.stitcher.batch import Batch, collect
from services.stitcher.transaction import Stitch, stitch
from tests.support.records import record
from tests.support.world import STAGES

if TYPE_CHECKING:
    from pathline.storage.connection import Db

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
ORDERS = 5
"""In how many orders a log is told: as it happened, backwards, and shuffled with half of it doubled."""


@dataclass
class Saying:
    """A call, and what its write key and its time add to it."""

    call: dict[str, Any]
    minutes: float = 0
    trusted: bool = True
    source: str = "shop"
    namespace: str = ""
    """Of the write key, behind the namespace of the run."""
    message_id: str = field(default_factory=lambda: uuid4().hex)

    def record(self, run: str) -> bytes:
        """The value of its record in a run of its own: a namespace, and sources, that no other run has."""
        return record(
            self.call,
            message_id=self.message_id,
            at=BASE + timedelta(minutes=self.minutes),
            source=f"{run}{self.source}",
            namespace=f"{run}{self.namespace}",
            trusted=self.trusted,
        )


def says(minutes: float, event: str, *, trusted: bool = True, source: str = "shop", **call: Any) -> Saying:
    """A server's word: a track call of this event, or `identify`, `page`, `alias`, `group`."""
    shape = {"type": event} if event in {"identify", "page", "alias", "group"} else {"type": "track", "event": event}
    return Saying({**shape, **call}, minutes, trusted, source)


def browses(minutes: float, event: str, **call: Any) -> Saying:
    """A browser's word."""
    return says(minutes, event, trusted=False, source="site", **call)


class Stitcher:
    """The stitcher's transaction over one partition, tried again after conflicts as its loop does."""

    def __init__(self, pool: asyncpg.Pool[Any], topic: str, partition: int = 0) -> None:
        self.pool = pool
        self.topic = topic
        self.partition = partition
        self.known: dict[UUID, Pointer | None] = {}
        self.failures = Counter("failures", "Batches rolled back.", ["reason"], registry=CollectorRegistry())
        self._persistence = Persistence(Health(), self.failures)
        self._epoch = 0
        self._offset = 0

    async def take(self) -> None:
        """Take the partition."""
        async with self.pool.acquire() as db:
            held = await fences.take(db, self.topic, self.partition, Origin("test", None))
        self._epoch, self._offset = held.epoch, held.next_offset

    async def tell(self, values: Sequence[bytes]) -> Stitch:
        """Stitch these records as one batch."""
        batch, move = self.batch(values)
        done = await self._persistence.run(self._transact, batch, move)
        self._offset = move.next_offset
        return done

    def batch(self, values: Sequence[bytes]) -> tuple[Batch, Advance]:
        """These records as the next batch of the partition, and how it moves that on."""
        records = [
            SimpleNamespace(partition=self.partition, offset=self._offset + n, key=None, value=value, headers=())
            for n, value in enumerate(values)
        ]
        move = Advance(self.partition, self._epoch, self._offset, self._offset + len(values))
        return collect({self.partition: records}, STAGES), move

    async def write(self, db: Db, batch: Batch, move: Advance) -> Stitch:
        """What is done inside the transaction."""
        return await stitch(db, self.topic, batch, [move], STAGES, self.known)

    @property
    def conflicts(self) -> int:
        """How often the database broke a transaction off because of another one."""
        return int(self.failures.labels("conflict")._value.get())

    async def _transact(self, batch: Batch, move: Advance) -> Stitch:
        try:
            async with self.pool.acquire() as db, db.transaction():
                return await self.write(db, batch, move)
        except BaseException:
            self.known.clear()
            raise


def doubled(values: Sequence[bytes], chance: random.Random) -> list[bytes]:
    """These in another order, half of them twice."""
    mixed = [*values, *(value for value in values if chance.random() < 0.5)]
    chance.shuffle(mixed)
    return mixed


def cut(values: Sequence[bytes], chance: random.Random, pieces: int) -> list[Sequence[bytes]]:
    """These in so many batches of any sizes, none of them empty."""
    cuts = sorted({0, len(values), *(chance.randrange(len(values)) for _ in range(pieces - 1))})
    return [values[a:b] for a, b in pairwise(cuts)]


@dataclass
class Found:
    """What is so in one run."""

    customers: set[frozenset[str]]
    """The values of the identifiers of each customer."""
    owners: dict[str, frozenset[str] | None]
    """The customer who owns each thing, by its kind and value."""
    letters: list[str]
    """Codes of dead letters."""

    def owner(self, thing: str) -> set[str] | None:
        """The values of the identifiers of who owns `kind value`."""
        found = self.owners[thing]
        return None if found is None else set(found)


async def look(pool: asyncpg.Pool[Any], namespace: str, topic: str) -> Found:
    """Everybody and everything of a namespace, read as the console and the scorer read."""
    async with pool.acquire() as db:
        met = await db.fetch("SELECT id, value FROM identifier WHERE namespace = $1", namespace)
        values = {row["id"]: row["value"] for row in met}
        groups: dict[UUID, set[UUID]] = {}
        for one, root in (await people.roots_of(db, values)).items():
            groups.setdefault(root, set()).add(one)
        for root, members in groups.items():
            family = await people.family(db, root)
            assert family.truncated or set(family.people) == members, "up and down lead to different customers"
        things = await db.fetch("SELECT id, kind, value FROM entity WHERE namespace = $1", namespace)
        owners = await entities.owners(db, [row["id"] for row in things])
        for root, members in groups.items():
            owned = {entity.id for entity in await entities.owned_by(db, members)}
            assert owned == {one for one, owner in owners.items() if owner == root}, "owners and owned differ"
        letters = await db.fetch("SELECT DISTINCT code FROM dead_letter WHERE topic = $1 ORDER BY code", topic)
    named = {root: frozenset(values[one] for one in members) for root, members in groups.items()}
    owned_by = {row["id"]: owners[row["id"]] for row in things}
    return Found(
        set(named.values()),
        {
            f"{row['kind']} {row['value']}": None if (owner := owned_by[row["id"]]) is None else named[owner]
            for row in things
        },
        [row["code"] for row in letters],
    )


async def every_order(pool: asyncpg.Pool[Any], log: Sequence[Saying], namespace: str = "") -> Found:
    """What is so after the log, which may not depend on its order nor on what comes twice.

    Args:
        pool: of the database.
        log: as it happened.
        namespace: the one to look at, where write keys of several are in the log.
    """
    found: list[Found] = []
    for turn in range(ORDERS):
        chance = random.Random(turn)
        run = uuid4().hex[:8]
        values = [one.record(run) for one in log]
        told = {0: values, 1: values[::-1]}.get(turn) or doubled(values, chance)
        stitcher = Stitcher(pool, f"touchpoints-{run}")
        await stitcher.take()
        for batch in cut(told, chance, min(4, len(told))):
            await stitcher.tell(batch)
        found.append(await look(pool, f"{run}{namespace}", stitcher.topic))
    assert all(one == found[0] for one in found), "the order of telling makes a difference"
    return found[0]


def groups(*customers: str) -> set[frozenset[str]]:
    """Customers by the values of their identifiers, with spaces between."""
    return {frozenset(one.split()) for one in customers}
