"""Dead letters in one table and on one topic, whoever found them: rows are told to it, what it tells is kept as rows.

Both ways may happen twice and none of it matters: a row is one by where its record lies, which the topic says, too.
Nothing of this is in the way of stitching: it has a connection, a consumer and troubles of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka.errors import KafkaError

from pathline.consuming.lookout import UNANSWERED, Lookout
from pathline.consuming.partitions import Partitions
from pathline.consuming.patience import insist, pause
from pathline.contracts.letters import Letter, decode, encode, headers_from_json, headers_to_json
from pathline.kit import draining, kafka
from pathline.kit.database import DATABASE_ERRORS, close_pool, create_pool
from pathline.kit.health import Health
from pathline.kit.logging import get_logger
from pathline.kit.producer import LastingProducer
from pathline.storage import fences, letters
from pathline.storage.fences import FenceLostError, OtherClusterError
from pathline.storage.letters import Found, Row

if TYPE_CHECKING:
    from services.stitcher.metrics import StitcherMetrics
    from services.stitcher.settings import StitcherSettings

log = get_logger(__name__)

TOLD_AT_ONCE: Final = 100
READ_AT_ONCE: Final = 200
POLL_MS: Final = 500
"""How long a poll waits for a first letter, and with that how long a row waits to be told."""

TELL_SECONDS: Final = 5
"""An idempotent producer never gives a record up by itself; after this long the rows are let go and told again.

Below the time after which PostgreSQL ends a transaction that waits for something else.
"""

PRUNE_SECONDS: Final = 600
PRUNED_AT_ONCE: Final = 1_000
LOOK_SECONDS: Final = 1.0
REJOIN_SECONDS: Final = 2.0
DRAIN_SECONDS: Final = 6
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""


class Teller:
    """Tells the topic of rows."""

    def __init__(self, pool: asyncpg.Pool[Any], bootstrap: str, topic: str) -> None:
        """Tell `topic`; nothing is opened before there is something to tell."""
        self._pool = pool
        self._topic = topic
        self._producer = LastingProducer(bootstrap, client_id="pathline-letters")

    async def tell(self) -> int:
        """Tell of the rows that wait, the oldest first, and note that it was done; how many.

        Whoever dies in between leaves rows that are told again. The rows are locked, so that two stitchers share them.

        Raises:
            KafkaError, TimeoutError: Kafka does not take them.
            asyncpg.PostgresError, OSError: the database does not answer.
        """
        async with self._pool.acquire() as db, db.transaction():
            rows = await letters.untold(db, TOLD_AT_ONCE)
            if rows:
                await self._send(rows)
                await letters.told(db, [row.id for row in rows])
        return len(rows)

    async def _send(self, rows: Sequence[Row]) -> None:
        try:
            async with asyncio.timeout(TELL_SECONDS):
                producer = await self._producer.started()
                acks = [
                    await producer.send(
                        self._topic,
                        row.value,
                        key=row.key,
                        headers=encode(_letter(row)),
                        # By its own age the topic forgets it, however late it was told.
                        timestamp_ms=int(row.created_at.timestamp() * 1_000),
                    )
                    for row in rows
                ]
                await asyncio.gather(*acks)
        except (KafkaError, TimeoutError):
            await self._producer.discard()
            raise

    async def close(self) -> None:
        """End the producer."""
        await self._producer.discard()


def _letter(row: Row) -> Letter:
    return Letter(
        stage=row.stage,
        code=row.code,
        message=row.message,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        source=row.source,
        namespace=row.namespace,
        received_at=row.received_at,
        size=row.size,
        key=row.key,
        value=row.value,
        headers=headers_from_json(row.headers),
    )


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
        created_at=min(now, datetime.fromtimestamp(max(0, record.timestamp) / 1_000, UTC)),
    )


class Keeper:
    """Keeps as rows what the topic tells."""

    def __init__(self, pool: asyncpg.Pool[Any], partitions: Partitions) -> None:
        """Read `partitions` of a consumer that is not subscribed yet."""
        self._pool = pool
        self._partitions = partitions

    async def keep(self) -> int:
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
            read = [found(self._partitions.topic, record, now) for _, records in shares.values() for record in records]
            new = await letters.keep(db, read)
            await fences.advance(db, self._partitions.topic, moves)
        self._partitions.done(shares)
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
        self._looked_at = self._pruned_at = -math.inf

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
        teller = Teller(pool, self._settings.bootstrap(), self._topic)
        try:
            while not self._stop.is_set():
                try:
                    await self._one_life(pool, teller)
                except FenceLostError as lost:
                    log.info("a peer keeps these dead letters now", reason=str(lost))
                except OtherClusterError as refusal:
                    log.critical("stopped keeping dead letters", reason=str(refusal))
                    await self._stop.wait()
                except (KafkaError, *DATABASE_ERRORS) as error:
                    self._failed(error)
                except Exception:
                    # A fault of ours must not end the stitcher with it.
                    log.exception("dead letters are not kept")
                    self._count("failed", 1)
                await pause(self._stop, REJOIN_SECONDS)
        finally:
            await teller.close()

    async def _one_life(self, pool: asyncpg.Pool[Any], teller: Teller) -> None:
        """Join the group, read, tell and prune in turn, leave it."""
        self._metrics.letters_lag.set(math.nan)
        bootstrap, prefix = self._settings.bootstrap(), self._settings.topic_prefix
        consumer = kafka.make_consumer(
            bootstrap,
            client_id="pathline-letters",
            group_id=f"{prefix}.letters",
            group_instance_id=self._settings.instance or None,
            auto_offset_reset="earliest",
        )
        try:
            cluster_id = await kafka.cluster_id(bootstrap)
            await consumer.start()
            partitions = Partitions(consumer, pool, self._topic, cluster_id)
            partitions.subscribe()
            keeper, lookout = Keeper(pool, partitions), Lookout(partitions, pool, Health())
            while not self._stop.is_set():
                self._count("kept", await keeper.keep())
                await self._attempt(teller.tell, "told")
                await self._prune(pool)
                await self._look(lookout)
        finally:
            await kafka.stop_consumer(consumer)

    async def _prune(self, pool: asyncpg.Pool[Any]) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_SECONDS:
            return

        async def some() -> int:
            async with pool.acquire() as db:
                return await letters.prune(db, self._kept, PRUNED_AT_ONCE)

        # A full portion means that there are more: they go in the next rounds, between letters.
        if await self._attempt(some, "pruned") < PRUNED_AT_ONCE:
            self._pruned_at = time.monotonic()

    async def _look(self, lookout: Lookout) -> None:
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        try:
            self._metrics.letters_lag.set((await lookout.look()).waiting)
        except UNANSWERED as error:
            self._metrics.letters_lag.set(math.nan)
            log.warning("lag of dead letters not measured", error=type(error).__name__)

    async def _attempt(self, work: Callable[[], Awaitable[int]], outcome: str) -> int:
        try:
            done = await work()
        except (KafkaError, *DATABASE_ERRORS) as error:
            self._failed(error)
            return 0
        self._count(outcome, done)
        return done

    def _count(self, outcome: str, number: int) -> None:
        if number:
            self._metrics.letters.labels(outcome).inc(number)

    def _failed(self, error: BaseException) -> None:
        self._count("failed", 1)
        log.warning("dead letters wait", error=type(error).__name__)
