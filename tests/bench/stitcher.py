"""The whole stitcher process against a bare insert and upsert of the same rows, in turn, into one PostgreSQL.

The stitcher finds its records in Kafka, and is timed by how the fence's rows move, from when it is under way to the end:
it polls, decodes, folds, looks at what is stored, joins, writes in one transaction, and sends hints. Processor time is
that of the stitcher's process and of all of PostgreSQL's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

import asyncpg
from aiokafka import AIOKafkaProducer
from murmurhash2 import murmurhash2

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.embedded.ports import free_port
from pathline.kit import kafka
from pathline.storage import partitions
from services.ingest.subject import JAVA_SEED, POSITIVE
from services.stitcher.app import read_stages
from tests.bench import bare_writer, draining
from tests.bench.draining import Turn, turn
from tests.bench.figures import Figure, at_least
from tests.bench.platform import PARTITIONS, Platform, cpu_seconds
from tests.bench.traffic import records

BATCH: Final = 1_000
CUSTOMERS: Final = 10_000
GOAL: Final = 0.45
PACE_GOAL: Final = 10_000
EACH: Final = "µs a touchpoint"


async def run(platform: Platform, *, records_a_round: int = 40_000, rounds: int = 3) -> list[Figure]:
    """Alternate the two, and take the median of the ratios."""
    db = await asyncpg.connect(platform.dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        turns = []
        for number in range(rounds + 1):
            bare = await _bare(platform, db, records(records_a_round, customers=CUSTOMERS, seed=1_000 + number))
            values = records(records_a_round, customers=CUSTOMERS, seed=2_000 + number)
            turns.append((await _stitcher(platform, db, f"stitch{number}", values), bare))
    finally:
        await db.close()
    return _figures(turns[1:])


def _figures(measured: Sequence[tuple[Turn, Turn]]) -> list[Figure]:
    ours, bare = [one for one, _ in measured], [one for _, one in measured]
    rate = median(one.rate for one in ours)
    ratio = median(one.rate / other.rate for one, other in measured)
    return [
        Figure(
            name=f"stitcher process, batches of {BATCH:,}, from Kafka to hints",
            value=rate,
            unit="touchpoints/s",
            limit=median(one.rate for one in bare),
            ratio=ratio,
            **at_least(ratio, GOAL, "of a bare insert + upsert of the same rows"),
        ),
        Figure(name="the same, by itself", value=rate, unit="touchpoints/s", **at_least(rate, PACE_GOAL, "a second")),
        Figure(
            name="its processor time",
            value=median(one.process for one in ours),
            unit=EACH,
            limit=median(one.process for one in bare),
            ratio=median(one.process / other.process for one, other in measured),
        ),
        Figure(
            name="PostgreSQL's processor time for it",
            value=median(one.postgres for one in ours),
            unit=EACH,
            limit=median(one.postgres for one in bare),
            ratio=median(one.postgres / other.postgres for one, other in measured),
        ),
    ]


async def _bare(platform: Platform, db: asyncpg.Connection, values: Sequence[bytes]) -> Turn:
    batches = bare_writer.batches_of(values, read_stages(None), BATCH)
    process, postgres = time.process_time(), cpu_seconds(platform.pid("postgres"))
    seconds = await bare_writer.write(db, batches)
    process, postgres = time.process_time() - process, cpu_seconds(platform.pid("postgres")) - postgres
    return turn(len(values), seconds, process, postgres)


async def _stitcher(platform: Platform, db: asyncpg.Connection, prefix: str, values: Sequence[bytes]) -> Turn:
    """A stitcher that finds these in its topic."""
    await platform.topics(prefix)
    topic = kafka.topics(prefix).touchpoints
    await _fill(platform, topic, values)
    child = platform.service("stitcher", prefix, f"127.0.0.1:{free_port()}")

    def done(positions: Mapping[int, int]) -> int:
        return sum(positions.values())

    return await draining.timed(platform, db, child, topic, len(values), done)


async def _fill(platform: Platform, topic: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=platform.bootstrap, acks="all", enable_idempotence=True, max_batch_size=500_000, linger_ms=5
    )
    await producer.start()
    try:
        acks = []
        for value in values:
            # The key that the collector gives: whom or what it is about.
            subject = to_touchpoint(accepted.decode(value)).subject
            assert subject is not None
            key = "/".join(subject).encode()
            partition = (murmurhash2(key, JAVA_SEED) & POSITIVE) % PARTITIONS
            acks.append(await producer.send(topic, value, key=key, partition=partition))
        await asyncio.gather(*acks)
    finally:
        await producer.stop()
