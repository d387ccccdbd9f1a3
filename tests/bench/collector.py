"""One collector process against the bare one: processor time an event, every answer after the broker's ack.

Both get the same requests in turn, on the same Kafka, and each is charged its own user and system time and nothing of
the load or the broker. The median of the ratios counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

import asyncpg
import orjson

from pathline.embedded.ports import free_port
from pathline.embedded.processes import Child
from pathline.storage import keys
from tests.bench import collector_kinds, load
from tests.bench.figures import Figure, at_most
from tests.bench.platform import Platform, until_listening, until_ready
from tests.bench.traffic import calls

GOALS: Final = {1: 1.4, 100: 1.5}
"""At most so many times the bare collector, by the calls of a request."""

BARE_MICROSECONDS: Final = {1: 58.0, 100: 6.7}
"""What an event cost the bare collector where these goals were set."""

BARE_LEAST: Final = 0.6
"""A limit that does less than this part of what it did there has been built or run too badly to be one."""

KEY: Final = "bench-key"
PREFIX: Final = "collector"
BARE_PREFIX: Final = "bare"
BATCH: Final = 100
CUSTOMERS: Final = 10_000
CONNECTIONS: Final = {1: 64, BATCH: 16}
"""Connections by the calls of a request: enough that requests meet in a group."""


class Load:
    """Requests of one kind, put together before the clock starts."""

    def __init__(self, events: int, batch: int) -> None:
        listed = [(call["type"], orjson.dumps(call)) for call in calls(events, customers=CUSTOMERS)]
        bodies = [body for _kind, body in listed]
        self.batch = batch
        self.events = events
        self.requests: Sequence[bytes] = (
            [load.request(kind, call, KEY) for kind, call in listed]
            if batch == 1
            else [
                load.request("batch", b'{"batch":[%b]}' % b",".join(bodies[first : first + batch]), KEY)
                for first in range(0, events, batch)
            ]
        )

    async def cost(self, child: Child, port: int) -> tuple[float, float]:
        """(processor microseconds an event, events a second) of the collector on `port`."""
        assert child.pid is not None
        seconds, spent = await load.closed_at(
            port, self.requests, [child.pid], connections=CONNECTIONS[self.batch]
        )  # fmt: skip
        return spent * 1e6 / self.events, self.events / seconds


async def run(platform: Platform, *, events: int = 30_000, rounds: int = 5) -> list[Figure]:
    """Measure single calls and batches of 100, so many events a round each."""
    for prefix in (PREFIX, BARE_PREFIX):
        await platform.topics(prefix)
    db = await asyncpg.connect(platform.dsn)
    try:
        await keys.create(db, name="bench", key=KEY, kind="server")
    finally:
        await db.close()
    port, bare_port = free_port(), free_port()
    collector = platform.service("ingest", PREFIX, f"127.0.0.1:{port}")
    topic = f"{BARE_PREFIX}.touchpoints.v1"
    bare = await _bare(platform, topic, bare_port)
    await until_ready(collector, f"127.0.0.1:{port}")
    figures = []
    for batch in (1, BATCH):
        # The batches take a tenth of the time, so more of them are needed for the same precision.
        given = Load(events if batch == 1 else events * 5, batch)
        turns = [
            (await given.cost(collector, port), await given.cost(bare, bare_port))
            for _ in range((rounds if batch == 1 else collector_kinds.more(rounds)) + 1)
        ]
        figures += _figures(batch, turns[1:])
    figures += await collector_kinds.run(platform, collector, port, events=events, rounds=rounds)
    shared = free_port()
    two = [await _bare(platform, topic, shared, number) for number in (1, 2)]
    rise = await collector_kinds.bare_rise(([bare], bare_port), (two, shared), events=events, rounds=rounds)
    figures += [rise, collector_kinds.rises(figures, rise)]
    for child in (*two, bare, collector):
        await platform.end(child)
    return figures


async def _bare(platform: Platform, topic: str, port: int, number: int = 0) -> Child:
    """A bare collector that takes connections; several may have one port."""
    child = platform.python(f"bare-{number}", "tests.bench.bare_collector", platform.bootstrap, topic, str(port))
    await until_listening(child, port)
    return child


def _limit(said: str, batch: int, spent: float) -> Figure:
    """What the bare collector costs here, beside what it cost where the goals were set."""
    ratio = spent / BARE_MICROSECONDS[batch]
    goal = at_most(ratio, round(1 / BARE_LEAST, 2), "times, or it is no limit")
    name = f"the bare collector, {said}: processor time"
    return Figure(name=name, value=spent, unit="µs an event", limit=BARE_MICROSECONDS[batch], ratio=ratio, **goal)


def _figures(batch: int, turns: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> list[Figure]:
    said = "one call a request" if batch == 1 else f"batches of {batch}"
    ratio = median(ours[0] / bare[0] for ours, bare in turns)
    return [
        Figure(
            name=f"collector, {said}: processor time",
            value=median(ours[0] for ours, _ in turns),
            unit="µs an event",
            limit=median(bare[0] for _, bare in turns),
            ratio=ratio,
            **at_most(ratio, GOALS[batch], "times the bare collector"),
        ),
        _limit(said, batch, median(bare[0] for _, bare in turns)),
        Figure(
            name=f"collector, {said}: throughput beside Kafka and the load",
            value=median(ours[1] for ours, _ in turns),
            unit="events/s",
            limit=median(bare[1] for _, bare in turns),
            ratio=median(ours[1] / bare[1] for ours, bare in turns),
        ),
    ]
