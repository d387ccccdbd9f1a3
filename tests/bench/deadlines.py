"""A million stories that wait for their deadline, ten thousand of them due in one minute, while touchpoints flow.

Those that are due are orders whose promise ends within that minute, evenly; the others are watch rows of next year, for
which nothing but their place in the index counts. A stitcher and a scorer run as processes and handle touchpoints at a
steady pace meanwhile. How late an alert is is measured when another session first sees it, so its commit is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import asyncpg
import orjson
import psutil

from pathline.contracts import accepted
from pathline.embedded.ports import free_port
from pathline.kit import kafka
from pathline.kit.producer import LastingProducer
from pathline.storage import fences, partitions
from tests.bench.figures import Figure, at_most
from tests.bench.platform import Platform
from tests.bench.traffic import records

PREFIX: Final = "deadlines"
DETECTOR: Final = "late_vs_promise"
WAITING: Final = 1_000_000
DUE: Final = 10_000
SPREAD: Final = timedelta(seconds=60)
PACE: Final = 2_000
"""Touchpoints a second."""

TICK_SECONDS: Final = 0.1
LEAD_SECONDS: Final = 25
"""From when the orders are told to the first deadline: until then what they alert at once is done."""

LATENESS_GOAL: Final = 3.0
GROWTH_GOAL: Final = 1.1
LONGEST_SECONDS: Final = 240
MIB: Final = 1_048_576


async def run(
    platform: Platform, *, waiting: int = WAITING, due: int = DUE, pace: int = PACE, spread: timedelta = SPREAD
) -> list[Figure]:
    """Fill the table, tell the orders, and see when each alert is there."""
    await platform.topics(PREFIX)
    db = await asyncpg.connect(platform.dsn)
    producer = LastingProducer(platform.bootstrap, client_id="bench")
    try:
        await partitions.ensure(db, await fences.clock(db))
        await _wait(db, waiting)
        children = [platform.service(name, PREFIX, f"127.0.0.1:{free_port()}") for name in ("stitcher", "scorer")]
        scorer = psutil.Process(children[1].pid)
        await producer.started()  # Here, and not by the first two who send.
        async with _flowing(producer, pace):
            begins = await fences.clock(db) + timedelta(seconds=LEAD_SECONDS)
            await _send(producer, _orders(due, begins, spread))
            lateness, sizes = await _watched(db, scorer, due)
        for child in reversed(children):
            await platform.end(child)
    finally:
        await producer.discard()
        await db.close()
    growth = sizes[-1] / sizes[0]
    return [
        Figure(
            name=f"latest of {due:,} alerts due in {spread.seconds} s, {waiting:,} waiting, {pace:,} touchpoints/s",
            value=max(lateness),
            unit="s after it was due",
            **at_most(max(lateness), LATENESS_GOAL, "s"),
        ),
        Figure(name="half of them", value=sorted(lateness)[len(lateness) // 2], unit="s"),
        Figure(
            name="the scorer's memory at the end",
            value=sizes[-1] / MIB,
            unit="MiB",
            limit=sizes[0] / MIB,
            ratio=growth,
            **at_most(growth, GROWTH_GOAL, "times what it was at the first alert"),
        ),
    ]


async def _wait(db: asyncpg.Connection, count: int) -> None:
    then = await fences.clock(db) + timedelta(days=365)
    rows = ((uuid4(), then + timedelta(milliseconds=number)) for number in range(count))
    await db.copy_records_to_table("watch", records=rows, columns=["id", "due_at"])
    await db.execute("ANALYZE watch")


def _orders(count: int, begins: datetime, spread: timedelta) -> list[bytes]:
    sent = []
    for number in range(count):
        properties = {"order_id": f"due-{number}", "promised_at": (begins + spread * number / count).isoformat()}
        call = {"type": "track", "event": "Order Completed", "userId": f"due-{number}", "properties": properties}
        at = begins - timedelta(seconds=LEAD_SECONDS)
        sent.append(
            accepted.encode(
                orjson.dumps(call), source="bench", namespace="default", trusted=True, library="server",
                received_at=at, occurred_at=at, message_id=f"due-{number}",
            )
        )  # fmt: skip
    return sent


async def _send(producer: LastingProducer, values: Sequence[bytes]) -> None:
    started = await producer.started()
    topic = kafka.topics(PREFIX).touchpoints
    await asyncio.gather(*[await started.send(topic, value) for value in values])


@asynccontextmanager
async def _flowing(producer: LastingProducer, pace: int) -> AsyncIterator[None]:
    """So many touchpoints a second while the block runs."""

    async def flow() -> None:
        loop, seed = asyncio.get_running_loop(), 50_000
        began, sent = loop.time(), 0
        while True:
            missing = int((loop.time() - began) * pace) - sent
            if missing > 0:
                seed, sent = seed + 1, sent + missing
                await _send(producer, records(missing, customers=10_000, seed=seed))
            await asyncio.sleep(TICK_SECONDS)

    task = asyncio.create_task(flow())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watched(db: asyncpg.Connection, scorer: psutil.Process, count: int) -> tuple[list[float], list[int]]:
    """How late each alert was when it was first seen, and how large the scorer was at each look since the first."""
    seen: set[object] = set()
    lateness: list[float] = []
    sizes: list[int] = []
    async with asyncio.timeout(LONGEST_SECONDS):
        while len(seen) < count:
            since = timedelta(seconds=30)
            rows = await db.fetch(
                "SELECT id, extract(epoch FROM clock_timestamp() - opened_at)::float8 AS late FROM alert"
                " WHERE detector = $1 AND opened_at > clock_timestamp() - $2::interval",
                DETECTOR, since,
            )  # fmt: skip
            new = [row for row in rows if row["id"] not in seen]
            seen.update(row["id"] for row in new)
            lateness += [row["late"] for row in new]
            if seen:
                sizes.append(scorer.memory_info().rss)
            await asyncio.sleep(TICK_SECONDS)
    return lateness, sizes
