"""The whole stitcher process against a bare insert and upsert of the same rows, in turn, into one PostgreSQL.

The stitcher finds its records in Kafka, and is timed by how the fence's rows move, from when it is under way to the end:
it polls, decodes, folds, looks at what is stored, joins, writes in one transaction, and sends hints.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

import asyncpg
from aiokafka import AIOKafkaProducer
from murmurhash2 import murmurhash2

from pathline.contracts import accepted
from pathline.embedded.ports import free_port
from pathline.kit import kafka
from pathline.storage import fences, partitions
from services.stitcher.app import read_stages
from tests.bench import bare_writer
from tests.bench.figures import Figure, at_least
from tests.bench.platform import PARTITIONS, Platform
from tests.bench.traffic import records

BATCH: Final = 1_000
CUSTOMERS: Final = 10_000
GOAL: Final = 0.35
SAMPLE_SECONDS: Final = 0.02
WARM_PART: Final = 0.2
"""Part of the records after which the clock starts: joining the group and the first plans are no steady work."""

LONGEST_SECONDS: Final = 120.0


async def run(platform: Platform, *, records_a_round: int = 40_000, rounds: int = 3) -> list[Figure]:
    """Alternate the two, and take the median of the ratios."""
    db = await asyncpg.connect(platform.dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        turns = []
        for turn in range(rounds + 1):
            bare = await _bare_rate(db, records(records_a_round, customers=CUSTOMERS, seed=1_000 + turn))
            values = records(records_a_round, customers=CUSTOMERS, seed=2_000 + turn)
            turns.append((await _stitcher_rate(platform, db, f"stitch{turn}", values), bare))
    finally:
        await db.close()
    measured = turns[1:]
    ratio = median(ours / bare for ours, bare in measured)
    return [
        Figure(
            name=f"stitcher process, batches of {BATCH:,}, from Kafka to hints",
            value=median(ours for ours, _ in measured),
            unit="touchpoints/s",
            limit=median(bare for _, bare in measured),
            ratio=ratio,
            **at_least(ratio, GOAL, "of a bare insert + upsert of the same rows"),
        )
    ]


async def _bare_rate(db: asyncpg.Connection, values: Sequence[bytes]) -> float:
    batches = bare_writer.batches_of(values, read_stages(None), BATCH)
    return len(values) / await bare_writer.write(db, batches)


async def _stitcher_rate(platform: Platform, db: asyncpg.Connection, prefix: str, values: Sequence[bytes]) -> float:
    """Touchpoints a second of a stitcher that finds these in its topic."""
    await platform.topics(prefix)
    topic = kafka.topics(prefix).touchpoints
    await _fill(platform, topic, values)
    child = platform.service("stitcher", prefix, f"127.0.0.1:{free_port()}")
    started: tuple[float, int] | None = None
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            done = sum(offset for _epoch, offset in (await fences.positions(db, topic)).values())
            now = time.perf_counter()
            if started is None and done >= WARM_PART * len(values):
                started = now, done
            if done == len(values):
                break
            if not child.running:
                raise RuntimeError(child.last_words())
            await asyncio.sleep(SAMPLE_SECONDS)
    await platform.end(child)
    assert started is not None
    return (len(values) - started[1]) / (now - started[0])


async def _fill(platform: Platform, topic: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=platform.bootstrap, acks="all", enable_idempotence=True, max_batch_size=500_000, linger_ms=5
    )
    await producer.start()
    try:
        acks = []
        for value in values:
            call = accepted.decode(value).call
            key = str(call.user_id or call.anonymous_id or "").encode()
            partition = murmurhash2(key, 0x9747B28C) % PARTITIONS
            acks.append(await producer.send(topic, value, key=key, partition=partition))
        await asyncio.gather(*acks)
    finally:
        await producer.stop()
