"""The look at a topic, from time to time: how much of it waits, up to when it is read, who does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
from aiokafka.errors import KafkaError

from pathline.consuming.partitions import Partitions
from pathline.kit.database import DATABASE_ERRORS
from pathline.storage import fences
from pathline.storage.fences import Sighting

if TYPE_CHECKING:
    from pathline.kit.health import Health

UNANSWERED: Final = (KafkaError, *DATABASE_ERRORS)
"""What a look may fail with."""

ANSWER_SECONDS: Final = 5.0
"""How long Kafka and the database each have to answer before the process is not ready."""

MAX_LOOKS: Final = 120
"""Looks remembered, at most; beyond that one between two others is forgotten."""


class Look(msgspec.Struct, frozen=True):
    """What a look saw."""

    at: datetime
    """The database's clock, before Kafka was asked for the ends."""
    ends: Mapping[int, int]
    """Where each partition of the topic ended, whoever holds it."""
    waiting: int
    """Records of the topic that nobody has handled yet; a batch whose hints were perhaps not sent counts as one."""
    ours: int
    """Those of partitions that we hold."""


class Sight:
    """Where the partitions ended at the last looks: who has read up to there has read all that Kafka held by then.

    Several looks, because under a constant load no partition is ever read up to its end of this moment.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._looks: list[tuple[int, datetime, Mapping[int, int]]] = []
        self._number = 0

    def note(self, at: datetime, ends: Mapping[int, int]) -> None:
        """Remember where each partition ended, asked for after `at`."""
        self._number += 1
        self._looks.append((self._number, at, ends))
        if len(self._looks) > MAX_LOOKS:
            # Not the oldest: however long the lag is, one of these must be old enough. The one that is missed least.
            numbers = [number for number, _, _ in self._looks]
            del self._looks[min(range(1, MAX_LOOKS), key=lambda i: numbers[i + 1] - numbers[i - 1])]

    def through(self, handled: Mapping[int, int]) -> dict[int, datetime | None]:
        """Up to when each of these partitions is read, None where that can't be said; forgets what no longer matters.

        Args:
            handled: by partition the next offset. Its answer is the time of the newest look that saw no later end.
        """
        newest = {partition: self._newest(partition, offset) for partition, offset in handled.items()}
        through = {partition: None if i is None else self._looks[i][1] for partition, i in newest.items()}
        del self._looks[: min((i or 0 for i in newest.values()), default=max(0, len(self._looks) - 1))]
        return through

    def _newest(self, partition: int, next_offset: int) -> int | None:
        for i in range(len(self._looks) - 1, -1, -1):
            ends = self._looks[i][2]
            if partition in ends and ends[partition] <= next_offset:
                return i
        return None


class Lookout:
    """Looks at the topic of a consumer, and says to `health` who does not answer."""

    def __init__(self, partitions: Partitions, pool: asyncpg.Pool[Any], health: Health) -> None:
        """Look at the topic of `partitions`, with their consumer."""
        self._partitions = partitions
        self._pool = pool
        self._health = health
        self._sight = Sight()
        # Reasons that are ours to take back: at first those of the life before.
        self._silent = {"database", "kafka"}

    async def look(self) -> Look:
        """See how far the whole topic is read.

        Raises:
            KafkaError, asyncpg.PostgresError, OSError, TimeoutError: one of UNANSWERED.
        """
        topic = self._partitions.topic
        async with self._asking("database"), self._pool.acquire() as db:
            at = await fences.clock(db)
        async with self._asking("kafka"):
            ends = await self._partitions.ends()
        self._sight.note(at, ends)
        async with self._asking("database"), self._pool.acquire() as db:
            await self._partitions.cover(db)
            standing = await fences.standing(db, topic)
        waiting = sum(max(0, end - standing[p].next_offset) + standing[p].unsent for p, end in ends.items())
        ours = sum(max(0, ends[p] - own.committed) for p, own in list(self._partitions.owned.items()) if p in ends)
        return Look(at, ends, waiting, ours)

    async def note(self) -> None:
        """Write down up to when what we hold is read, also where nothing comes, and whose hints are sent."""
        owned = sorted(self._partitions.owned.items())
        through = self._sight.through({partition: own.committed for partition, own in owned})
        sightings = [Sighting(partition, own.epoch, own.told, through[partition]) for partition, own in owned]
        async with self._asking("database"), self._pool.acquire() as db:
            await fences.note(db, self._partitions.topic, sightings)

    @asynccontextmanager
    async def _asking(self, part: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except UNANSWERED as error:
            self._silent.add(part)
            self._health.set(part, f"{type(error).__name__}: {error}"[:200])
            raise
        if part in self._silent:
            self._silent.remove(part)
            self._health.set(part, None)
