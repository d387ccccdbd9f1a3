"""The whole scorer process through all built-in detectors: when nothing alerts, and when one hint in a hundred does.

The hints wait in Kafka, in records as the stitcher sends them for a batch, and what they tell of is stitched. The scorer
is timed by how the fence's rows move, from when it is under way to the end: it polls, decodes, gathers what the hints
point at, judges, and writes alerts, causes, notices and wake-ups in one transaction. A person who looked at something is
judged, too; a page view and a payment of a known order are hints like the others. Processor time is that of the scorer's
process and of all of PostgreSQL's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from statistics import median
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer

from pathline.contracts import hint
from pathline.embedded.ports import free_port
from pathline.kit import kafka
from pathline.storage import partitions, sweeps
from services.stitcher.hints import HINTS_A_RECORD
from tests.bench import draining
from tests.bench.draining import Turn
from tests.bench.figures import Figure, at_least
from tests.bench.platform import PARTITIONS, Platform
from tests.bench.stitching import Stitching
from tests.bench.traffic import PAINFUL, calls, records_of

BATCH: Final = 1_000
CUSTOMERS: Final = 10_000
GOAL: Final = 25_000
ALERTING_GOAL: Final = 5_000
EACH: Final = "µs a hint"
POLL_SECONDS: Final = 0.05
READY_SECONDS: Final = 60.0


async def run(platform: Platform, *, hints_a_round: int = 40_000, rounds: int = 3) -> list[Figure]:
    """A round to warm up, then the two kinds of traffic in turn; the median of each."""
    db = await asyncpg.connect(platform.dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        await _adopt(platform, db)
        stitching = await Stitching.make(db)
        quiet: list[Turn] = []
        alerting: list[Turn] = []
        for number in range(rounds + 1):
            for turns, painful in ((quiet, 0), (alerting, PAINFUL)):
                prefix = f"score{number}{'p' if painful else 'q'}"
                values = records_of(
                    calls(hints_a_round, customers=CUSTOMERS, seed=len(prefix) + 7 * number + painful, painful=painful)
                )
                turns.append(await _scorer(platform, db, stitching, prefix, values))
    finally:
        await db.close()
    return [
        *_figures("nothing alerts", quiet[1:], GOAL),
        *_figures("one in a hundred alerts", alerting[1:], ALERTING_GOAL),
    ]


def _figures(when: str, turns: Sequence[Turn], goal: float) -> list[Figure]:
    rate = median(one.rate for one in turns)
    process = median(one.process for one in turns)
    return [
        Figure(
            name=f"scorer process, from Kafka to the commit, when {when}",
            value=rate,
            unit="hints/s",
            **at_least(rate, goal, "a second"),
        ),
        Figure(name="its processor time", value=process, unit=EACH),
        Figure(name="PostgreSQL's processor time for it", value=median(one.postgres for one in turns), unit=EACH),
    ]


async def _adopt(platform: Platform, db: asyncpg.Connection) -> None:
    """Let a scorer meet its detectors while there is no story, so that none is judged again beside what is measured."""
    await platform.topics("score")
    child = platform.service("scorer", "score", f"127.0.0.1:{free_port()}")
    async with asyncio.timeout(READY_SECONDS):
        while (standing := await sweeps.standing(db)) is None or standing.finished_at is None:
            if not child.running:
                raise RuntimeError(child.last_words())
            await asyncio.sleep(POLL_SECONDS)
    await platform.end(child)


async def _scorer(
    platform: Platform, db: asyncpg.Connection, stitching: Stitching, prefix: str, values: Sequence[bytes]
) -> Turn:
    """A scorer that finds the hints about these touchpoints in its topic."""
    await platform.topics(prefix)
    topic = kafka.topics(prefix).journeys
    sent: list[list[int]] = [[] for _ in range(PARTITIONS)]
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for first in range(0, len(values), BATCH):
            await stitching.batch(values[first : first + BATCH])
            await send(producer, topic, stitching.hints, sent)
    finally:
        await producer.stop()
    ends = [[0, *accumulate(sizes)] for sizes in sent]

    def done(positions: Mapping[int, int]) -> int:
        return sum(ends[partition][offset] for partition, offset in positions.items())

    child = platform.service("scorer", prefix, f"127.0.0.1:{free_port()}")
    return await draining.timed(platform, db, child, topic, sum(map(sum, sent)), done)


async def send(producer: AIOKafkaProducer, topic: str, hints: Sequence[Any], sent: list[list[int]]) -> None:
    """As the stitcher does; `sent` is how many hints each record of each partition has."""
    now = datetime.now(UTC)
    for partition in range(PARTITIONS):
        share = [one for one in hints if one.subject.int % PARTITIONS == partition]
        for first in range(0, len(share), HINTS_A_RECORD):
            some = share[first : first + HINTS_A_RECORD]
            await producer.send_and_wait(topic, hint.encode(some, now), partition=partition)
            sent[partition].append(len(some))
