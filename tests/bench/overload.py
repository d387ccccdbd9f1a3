"""Ten times what a collector's admission limit lets through, open loop, for two minutes.

The collector has little room (PATHLINE_BYTES_IN_FLIGHT_MAX), and Kafka is a tenth of a second away, behind a proxy: a
request holds its bytes that long, so the room decides how many are let through a second. That many is measured first,
with as many senders as find room. Then there are three phases of an open loop: half of it, ten times it, half again.
Time runs from when a request was due, so that neither a slow answer nor a slow load hides.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, cast

import msgspec
import orjson

from tests.bench import load, served
from tests.bench.figures import Figure, at_most
from tests.bench.platform import ROOT, Platform
from tests.bench.served import Served
from tests.support import kafka_proxy

PREFIX: Final = "overload"
SECONDS: Final = 120.0
AROUND_SECONDS: Final = 20.0
"""Before and after."""
TIMES: Final = 10
ROOM: Final = 512 * 1_024
BODY_BYTES: Final = 8_000
ACK_SECONDS: Final = 0.1
"""How far Kafka is away."""
CONNECTIONS: Final = 400
TICK_SECONDS: Final = 0.005
BODIES: Final = 1_000
P99_GOAL_MS: Final = 1_000
BACK_GOAL: Final = 2.0
ROOM_TIMES: Final = 4
"""A body is held as it came, as it is decoded and as it is written; and allocators keep a little."""
CONNECTION_BYTES: Final = 32 * 1_024
"""What a connection may hold beside: 16 KiB of headers by the settings, and the buffers of the transport."""
PLOT: Final = ROOT / "scripts" / "plot_overload.py"


class Second(msgspec.Struct):
    """One second of the run, or of its ticks those that were due in it."""

    phase: str
    sent: int = 0
    refused: int = 0
    other: int = 0
    """Answers that are neither 200 nor 503, and lost connections."""
    bare: int = 0
    """503s without Retry-After."""
    late_ms: list[float] = msgspec.field(default_factory=list)
    """How long after it was due each was sent."""
    accepted_ms: list[float] = msgspec.field(default_factory=list)
    refused_ms: list[float] = msgspec.field(default_factory=list)
    mebibytes: float = 0.0


class _Sender(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self.due = 0.0
        self.second: Second | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float, second: Second) -> None:
        assert self.transport is not None
        self.due, self.second = due, second
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not data.endswith(b"}"):
            self._buffer = data
            return
        self._buffer = b""
        second = self.second
        if second is None:
            return
        self.second = None
        took_ms = (time.perf_counter() - self.due) * 1_000
        if data.startswith(b"HTTP/1.1 200"):
            second.accepted_ms.append(took_ms)
        elif data.startswith(b"HTTP/1.1 503"):
            second.refused += 1
            second.refused_ms.append(took_ms)
            second.bare += b"\r\nretry-after: " not in data
        else:
            second.other += 1
        self._run.free_again(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        if self.second is not None:
            self.second.other += 1
        self._run.lost(self)


class _Run:
    """The senders, and what came of what they sent."""

    def __init__(self, collector: Served, requests: Sequence[bytes]) -> None:
        self._collector = collector
        self._requests = requests
        self._next = 0
        self._free: deque[_Sender] = deque()
        self._all: set[_Sender] = set()
        self._owed: deque[tuple[float, Second]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closing = False
        self.seconds: list[Second] = []

    async def open(self, count: int) -> None:
        """Open so many connections."""
        for _ in range(count):
            await self._connect()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, sender = await loop.create_connection(lambda: _Sender(self), "127.0.0.1", self._collector.port)
        self._all.add(sender)
        self.free_again(sender)

    def lost(self, sender: _Sender) -> None:
        """A connection was closed: open another in its place."""
        self._all.discard(sender)
        with suppress(ValueError):
            self._free.remove(sender)
        if not self._closing:
            task = asyncio.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def free_again(self, sender: _Sender) -> None:
        """It can send what is owed, or waits for what will be due."""
        if self._owed:
            self._send(sender, *self._owed.popleft())
        else:
            self._free.append(sender)

    def _send(self, sender: _Sender, due: float, second: Second) -> None:
        self._next = (self._next + 1) % len(self._requests)
        second.sent += 1
        second.late_ms.append((time.perf_counter() - due) * 1_000)
        sender.send(self._requests[self._next], due, second)

    async def phase(self, name: str, rate: float, seconds: float) -> None:
        """Send so many a second, whatever the answers do."""
        started = time.perf_counter()
        posted = 0
        for number in range(int(seconds)):
            second = Second(name)
            self.seconds.append(second)
            while (now := time.perf_counter() - started) < number + 1:
                while posted < now * rate:
                    due = started + posted / rate
                    posted += 1
                    if self._free:
                        self._send(self._free.popleft(), due, second)
                    else:
                        self._owed.append((due, second))
                await asyncio.sleep(TICK_SECONDS)
            second.mebibytes = self._collector.mebibytes()

    async def settled(self) -> None:
        """Wait until everything is answered."""
        async with asyncio.timeout(60):
            while self._owed or len(self._free) < CONNECTIONS:
                await asyncio.sleep(TICK_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._closing = True
        for sender in tuple(self._all):
            assert sender.transport is not None
            sender.transport.abort()


async def run(
    platform: Platform, *, seconds: float = SECONDS, around: float = AROUND_SECONDS, out: Path | None = None
) -> list[Figure]:
    """Measure; in the folder `out` the course of the run is left as `overload.json`, and drawn as `overload.svg`."""
    async with kafka_proxy.before(platform.bootstrap) as proxy:
        proxy.delay_seconds = ACK_SECONDS
        env = {
            "PATHLINE_KAFKA": proxy.address,
            "PATHLINE_BODY_BYTES_MAX": str(64 * 1_024),
            "PATHLINE_BYTES_IN_FLIGHT_MAX": str(ROOM),
            "PATHLINE_KEY_SHARE": "1",
        }
        async with served.collector(platform, PREFIX, env) as collector:
            requests = _requests(collector.key)
            fitting = ROOM * 9 // 10 // BODY_BYTES
            measured = requests[: fitting * 10] * 2
            await load.closed(collector.port, measured, connections=fitting)
            let_through = len(measured) / await load.closed(collector.port, measured, connections=fitting)
            course = _Run(collector, requests)
            await course.open(CONNECTIONS)
            for name, times, lasts in (("before", 0.5, around), ("overload", TIMES, seconds), ("after", 0.5, around)):
                await course.phase(name, let_through * times, lasts)
                await course.settled()
            course.close()
    if out is not None:
        _draw(course.seconds, let_through, out)
    return _figures(course.seconds, let_through)


def _requests(key: str) -> list[bytes]:
    """Calls of one size, of many people, each with a text that fills it."""
    chance = random.Random(1)
    made = []
    for number in range(BODIES):
        call = {"userId": f"user-{chance.randrange(BODIES)}", "messageId": f"o-{number}", "event": "Product Viewed"}
        short = len(orjson.dumps({**call, "properties": {"note": ""}}))
        body = orjson.dumps({**call, "properties": {"note": "x" * (BODY_BYTES - short)}})
        made.append(load.request("track", body, key))
    return made


def _draw(seconds: Sequence[Second], let_through: float, out: Path) -> None:
    rows = [
        {
            "phase": one.phase,
            "sent": one.sent,
            "accepted": len(one.accepted_ms),
            "refused": one.refused,
            "p50_ms": round(_percentile(one.accepted_ms, 0.5), 1),
            "p99_ms": round(_percentile(one.accepted_ms, 0.99), 1),
            "mebibytes": round(one.mebibytes, 1),
        }
        for one in seconds
    ]
    data = out / "overload.json"
    lines = b",\n".join(orjson.dumps(row) for row in rows)
    data.write_bytes(b'{"let_through":%d,"seconds":[\n%b\n]}\n' % (let_through, lines))
    subprocess.run([sys.executable, str(PLOT), str(data), str(out / "overload.svg")], check=True)


def _figures(seconds: Sequence[Second], let_through: float) -> list[Figure]:
    before, overload, after = (
        [one for one in seconds if one.phase == name] for name in ("before", "overload", "after")
    )
    sent, accepted = sum(one.sent for one in overload), sum(len(one.accepted_ms) for one in overload)
    bare = sum(one.bare for one in seconds)
    other = sum(one.other for one in seconds)
    p99, p99_before, p99_after = (_of_all(part, 0.99) for part in (overload, before, after))
    refused_ms = [ms for one in overload for ms in one.refused_ms]
    late_ms = [ms for one in overload for ms in one.late_ms]
    held_before = median(one.mebibytes for one in before)
    held = max(one.mebibytes for one in overload)
    bound = held_before + (ROOM_TIMES * ROOM + CONNECTIONS * CONNECTION_BYTES) / served.MEBIBYTE
    share = (sent - accepted - sum(one.other for one in overload)) / sent
    lasted = len(overload)
    return [
        Figure(name=f"overload, {lasted} s: posted against what the limit lets through", value=sent / lasted,
               unit="requests/s", limit=let_through, ratio=sent / lasted / let_through),
        Figure(name="overload: posted later than due, p99", value=_percentile(late_ms, 0.99), unit="ms"),
        Figure(name="overload: accepted against what the limit lets through", value=accepted / lasted,
               unit="requests/s", limit=let_through, ratio=accepted / lasted / let_through),
        Figure(name="overload: accepted, p50", value=_of_all(overload, 0.5), unit="ms"),
        Figure(name="overload: accepted, p99, and at half of what is let through", value=p99, unit="ms",
               limit=p99_before, ratio=p99 / p99_before, **at_most(p99, P99_GOAL_MS, "ms")),
        Figure(name="overload: answered 503", value=100 * share, unit="%"),
        Figure(name="overload: 503s, p99", value=_percentile(refused_ms, 0.99), unit="ms"),
        Figure(name="overload: 503s without Retry-After, answers that are neither 200 nor 503", value=bare + other,
               unit="", **at_most(bare + other, 0, "of them")),
        Figure(name="overload: most memory, and before", value=held, unit="MiB", limit=held_before,
               ratio=held / held_before, **at_most(held, round(bound), "MiB: before, 4 times the room, and connections")),
        Figure(name="after the overload: accepted, p99, and before it", value=p99_after, unit="ms", limit=p99_before,
               ratio=p99_after / p99_before, **at_most(p99_after / p99_before, BACK_GOAL, "times")),
    ]  # fmt: skip


def _of_all(seconds: Sequence[Second], share: float) -> float:
    return _percentile([ms for one in seconds for ms in one.accepted_ms], share)


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
