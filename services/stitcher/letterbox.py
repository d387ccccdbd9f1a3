"""Dead letters in one table and on one topic, whoever found them: rows are told to it, what it tells is kept as rows.

Both ways may happen twice and none of it matters: a row is one by where its record lies, which the topic says, too.
Nothing of this is in the way of stitching: it has a connection, a consumer and troubles of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka.errors import KafkaError

from pathline.consuming.life import Life, Membership
from pathline.consuming.partitions import Partitions
from pathline.consuming.patience import insist, pause
from pathline.contracts.letters import UNEXPLAINED, UNKNOWN, decode, headers_to_json
from pathline.kit import draining, kafka
from pathline.kit.database import DATABASE_ERRORS, close_pool, create_pool
from pathline.kit.health import Health
from pathline.kit.logging import get_logger
from pathline.storage import fences, letters
from pathline.storage.fences import FenceLostError, OtherClusterError
from pathline.storage.letters import Found
from services.stitcher.teller import TOLD_AT_ONCE, Teller

if TYPE_CHECKING:
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

READ_AT_ONCE: Final = 200
POLL_MS: Final = 500
"""How long a poll waits for a first letter."""

TELL_EVERY_SECONDS: Final = 0.5
"""How long a row waits to be told."""

PRUNE_SECONDS: Final = 600
PRUNED_AT_ONCE: Final = 1_000
LOOK_SECONDS: Final = 1.0
REJOIN_SECONDS: Final = 2.0
REFUSED_SECONDS: Final = 60.0
"""How long a table that was written from another topic is left before it is tried again."""

DRAIN_SECONDS: Final = 6
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""


def found(topic: str, record: Any, now: datetime) -> Found:
    """A record of the dead letters' `topic` as a row. One that never was in another topic lies here."""
    letter = decode(topic, record.key, record.value, record.headers)
    there = (letter.topic, letter.partition, letter.offset)
    here = (topic, record.partition, record.offset)
    place = here if letter.partition is None or letter.offset is None else there
    return Found(
        topic=place[0],
        partition=place[1] or 0,
        offset=place[2] or 0,
        stage=letter.stage,
        code=letter.code,
        message=letter.message,
        key=letter.key,
        value=letter.value,
        headers=headers_to_json(letter.headers),
        source=letter.source,
        namespace=letter.namespace,
        received_at=letter.received_at,
        size=letter.size,
        # A time that lies ahead would outlive the others.
        created_at=_time(record.timestamp, now),
    )


def kept(topic: str, record: Any, now: datetime) -> Found:
    """The same, whatever is wrong with it: what it says of itself is left out then. One must not hold up the others."""
    try:
        return found(topic, record, now)
    except Exception:
        log.exception("a dead letter is kept without what it says", partition=record.partition, offset=record.offset)
    return Found(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        stage=UNKNOWN,
        code=UNEXPLAINED,
        message="",
        key=record.key,
        value=record.value,
        headers=headers_to_json(()),
        source=None,
        namespace=None,
        received_at=None,
        size=None,
        created_at=now,
    )


def _time(timestamp: int | None, now: datetime) -> datetime:
    """When a record was written, by its own word, bounded while it is a number: some write microseconds."""
    # None, and Kafka's -1 for none. Taken as 1970 it would be forgotten at once.
    if timestamp is None or timestamp <= 0:
        return now
    return datetime.fromtimestamp(min(timestamp, now.timestamp() * 1_000) / 1_000, UTC)


class Keeper:
    """Keeps as rows what the topic tells."""

    def __init__(self, pool: asyncpg.Pool[Any], partitions: Partitions, count: Callable[[int], None]) -> None:
        """Read `partitions` of a consumer that is not subscribed yet, and tell `count` how many letters were new."""
        self._pool = pool
        self._partitions = partitions
        self._count = count
        self.progressed_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep until `stop`, or until something goes wrong, which is raised as `_keep` does."""
        self._partitions.subscribe()
        while not stop.is_set():
            self._count(await self._keep())

    async def _keep(self) -> int:
        """Keep what came since the last time, waiting a moment for it; how many of it are new.

        Raises:
            FenceLostError: a peer took a partition; leave the group and join it anew.
            OtherClusterError: the table was written from another Kafka.
            KafkaError, asyncpg.PostgresError, OSError, TimeoutError: one of them does not answer.
        """
        if self._partitions.missing:
            await self._partitions.take_assigned()
        shares = await self._partitions.poll(POLL_MS, READ_AT_ONCE)
        if not shares:
            return 0
        moves = self._partitions.moves(shares)
        async with self._pool.acquire() as db, db.transaction():
            await fences.lock(db, self._partitions.topic, moves)
            now = await fences.clock(db)
            read = [kept(self._partitions.topic, record, now) for _, records in shares.values() for record in records]
            new = await letters.keep(db, read)
            await fences.advance(db, self._partitions.topic, moves)
        self._partitions.done(shares)
        self.progressed_at = time.monotonic()
        return new


class Letterbox:
    """Both ways, and the end of letters that are too old."""

    def __init__(self, settings: StitcherSettings, metrics: StitcherMetrics, stop: asyncio.Event) -> None:
        """Do so until `stop`."""
        self._settings = settings
        self._metrics = metrics
        self._stop = stop
        self._topic = kafka.topics(settings.topic_prefix).dead_letters
        self._kept = timedelta(days=settings.dead_letters_kept_days)
        self._pruned_at = -math.inf

    async def run(self) -> None:
        """Live until `stop`. Whatever goes wrong is said, and tried again."""
        # Its reasons are its own: the journeys of people do not wait for dead letters.
        pool = await insist(self._connect, Health(), "database", self._stop)
        if pool is None:
            return
        try:
            await draining.drain(self._lives(pool), self._stop, seconds=DRAIN_SECONDS, cut=pool.terminate)
        finally:
            await close_pool(pool)

    async def _connect(self) -> asyncpg.Pool[Any]:
        return await create_pool(self._settings.dsn(), max_size=1, application_name="pathline letters")

    async def _lives(self, pool: asyncpg.Pool[Any]) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keeps(pool))
            both.create_task(self._tells(pool))

    async def _keeps(self, pool: asyncpg.Pool[Any]) -> None:
        """Read the topic, life after life."""
        life = self._life(pool)
        while not self._stop.is_set():
            seconds = REJOIN_SECONDS
            try:
                await life.once(self._stop)
            except FenceLostError as lost:
                log.info("a peer keeps these dead letters now", reason=str(lost))
            except OtherClusterError as refusal:
                # Only a person can say which of both is right; until then rows are told and forgotten all the same.
                log.critical("dead letters are not kept: see DeadLettersWait in docs/runbooks.md", reason=str(refusal))
                self._count("failed", 1)
                seconds = REFUSED_SECONDS
            except (KafkaError, *DATABASE_ERRORS) as error:
                self._failed(error)
            except Exception:
                # A fault of ours must not end the stitcher with it.
                log.exception("dead letters are not kept")
                self._count("failed", 1)
            await pause(self._stop, seconds)

    def _life(self, pool: asyncpg.Pool[Any]) -> Life:
        # Its reasons are its own: the journeys of people do not wait for dead letters.
        membership = Membership(
            bootstrap=self._settings.bootstrap(),
            client_id="pathline-letters",
            group_id=f"{self._settings.topic_prefix}.letters",
            instance=self._settings.instance,
            topic=self._topic,
            tick_seconds=LOOK_SECONDS,
            stall_seconds=self._settings.stall_seconds,
        )
        return Life(
            membership,
            pool,
            health=Health(),
            lag=self._metrics.letters_lag,
            failures=self._metrics.failures,
            work=lambda partitions: Keeper(pool, partitions, lambda new: self._count("kept", new)),
        )

    async def _tells(self, pool: asyncpg.Pool[Any]) -> None:
        """Tell of rows and forget old ones. Neither waits for the topic to be read."""
        teller = Teller(pool, self._settings.bootstrap(), self._topic)
        try:
            while not self._stop.is_set():
                told = await self._attempt(teller.tell, "told")
                await self._prune(pool)
                if told is None:
                    await pause(self._stop, REJOIN_SECONDS)
                elif told < TOLD_AT_ONCE:
                    await pause(self._stop, TELL_EVERY_SECONDS)
        finally:
            await teller.close()

    async def _prune(self, pool: asyncpg.Pool[Any]) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_SECONDS:
            return

        async def some() -> int:
            async with pool.acquire() as db:
                return await letters.prune(db, self._kept, PRUNED_AT_ONCE)

        # A full portion means that there are more: they go in the next rounds, between letters.
        pruned = await self._attempt(some, "pruned")
        if pruned is not None and pruned < PRUNED_AT_ONCE:
            self._pruned_at = time.monotonic()

    async def _attempt(self, work: Callable[[], Awaitable[int]], outcome: str) -> int | None:
        """How many it was; None where it failed."""
        try:
            done = await work()
        except (KafkaError, *DATABASE_ERRORS) as error:
            self._failed(error)
            return None
        except Exception:
            log.exception("dead letters wait", outcome=outcome)
            self._count("failed", 1)
            return None
        self._count(outcome, done)
        return done

    def _count(self, outcome: str, number: int) -> None:
        if number:
            self._metrics.letters.labels(outcome).inc(number)

    def _failed(self, error: BaseException) -> None:
        self._count("failed", 1)
        log.warning("dead letters wait", error=type(error).__name__)
