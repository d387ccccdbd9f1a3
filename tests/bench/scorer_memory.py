"""A scorer's memory over minutes of hints: the same stitched touchpoints told of again and again, as fast as it judges.

    python -m tests.bench.scorer_memory [SECONDS]

What it judges stays the same, so what grows is the scorer's own. Printed once in ten seconds: its resident memory, the hints judged so far.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from typing import Final

import asyncpg
import psutil
import uvloop
from aiokafka import AIOKafkaProducer

from pathline.embedded.ports import free_port
from pathline.kit import kafka
from pathline.storage import fences, partitions
from tests.bench import scorer
from tests.bench.memory import MEBIBYTE
from tests.bench.platform import PARTITIONS, Platform, running
from tests.bench.stitching import Stitching
from tests.bench.traffic import PAINFUL, calls, records_of

SECONDS: Final = 300.0
HINTS: Final = 40_000
AHEAD: Final = 20
"""Records that wait for it in each partition, at most."""
EVERY_SECONDS: Final = 10.0


async def measure(platform: Platform, seconds: float) -> None:
    """Print a line at a time."""
    db = await asyncpg.connect(platform.dsn)
    await partitions.ensure(db, datetime.now(UTC))
    stitching, told = await Stitching.make(db), []
    values = records_of(calls(HINTS, customers=scorer.CUSTOMERS, painful=PAINFUL))
    for first in range(0, HINTS, scorer.BATCH):
        await stitching.batch(values[first : first + scorer.BATCH])
        told.append(stitching.hints)
    prefix = "memory"
    await platform.topics(prefix)
    topic = kafka.topics(prefix).journeys
    child = platform.service("scorer", prefix, f"127.0.0.1:{free_port()}")
    process = psutil.Process(platform.pid(child.name))
    sent: list[list[int]] = [[] for _ in range(PARTITIONS)]
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    began = said = time.monotonic()
    batch = judged = 0
    while time.monotonic() - began < seconds and child.running:
        positions = {p: offset for p, (_epoch, offset) in (await fences.positions(db, topic)).items()}
        judged = sum(sum(sent[p][:offset]) for p, offset in positions.items())
        if all(len(sent[p]) - positions.get(p, 0) < AHEAD for p in range(PARTITIONS)):
            await scorer.send(producer, topic, told[batch % len(told)], sent)
            batch += 1
        else:
            await asyncio.sleep(scorer.POLL_SECONDS)
        if time.monotonic() - said >= EVERY_SECONDS:
            said = time.monotonic()
            resident = process.memory_info().rss / MEBIBYTE
            sys.stdout.write(f"{said - began:4.0f} s  {resident:6.1f} MiB  {judged:>9,} hints\n")
            sys.stdout.flush()
    await producer.stop()
    await db.close()


async def _main() -> None:
    async with running() as platform:
        await measure(platform, float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
