"""Where a collector's time goes: its share by module, in this process, without a network and without a broker.

And what it costs where ASGI is in between, as for a request that does not come whole.

    python -m tests.bench.collector_profile

A connection that is none feeds the real protocol, and a producer that is none acks in the next turn of the loop. The
profiler charges calls of Python too much and native code too little, so the shares show where to look and not what is won.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Final, cast

import uvicorn
import uvloop
from aiokafka.producer.message_accumulator import BatchBuilder
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from pathline.kit import memory
from pathline.kit.door import Door
from pathline.storage.keys import Policy, WriteKey
from services.ingest.collector import Collector, HotRoutes
from services.ingest.keyring import Keyring
from services.ingest.lanes import GROUP_BYTES, Lanes
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from tests.bench.collector import BATCH, CONNECTIONS, KEY, Load
from tests.bench.platform import PARTITIONS

EVENTS: Final = {1: 10_000, BATCH: 50_000}
ROUNDS: Final = 5
SHOWN: Final = 14
TOPIC: Final = "touchpoints"


class Acking:
    """A producer that acks at once."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(GROUP_BYTES, 0)

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> asyncio.Future[int]:
        batch._build()
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[int] = loop.create_future()
        loop.call_soon(acked.set_result, partition)
        return acked


class Wire:
    """A transport that sends the next request when the last one was answered."""

    def __init__(self, protocol: Any, rest: Any, answered: Any) -> None:
        self._protocol, self._rest, self._answered = protocol, rest, answered
        protocol.connection_made(self)

    def send(self) -> None:
        data = next(self._rest, None)
        if data is not None:
            asyncio.get_running_loop().call_soon(self._protocol.data_received, data)

    def write(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 "):
            # Of an ASGI app's answer the content comes by itself, before anything else can.
            return
        assert data.startswith(b"HTTP/1.1 200 "), data
        self._answered()
        self.send()

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else None

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass


def collecting() -> Collector:
    """A collector that takes what the load sends."""
    settings, metrics = IngestSettings(), IngestMetrics(CollectorRegistry(), TOPIC)
    keyring = Keyring(metrics, settings.key_room)
    now = datetime.now(UTC)
    row = {**dict.fromkeys(WriteKey._fields), "created_at": now, "kind": "server", "namespace": "default"}
    keyring.replace([WriteKey(**cast("Any", {**row, "name": "bench", "key": KEY, "policy": Policy()}))])
    lanes = Lanes(
        Acking(), TOPIC, PARTITIONS, ack_seconds=settings.ack_seconds, metrics=metrics, on_error=print
    )  # fmt: skip
    store = cast("Any", SimpleNamespace(lanes=lanes, letters=None, topic=TOPIC))
    return Collector(settings, keyring, store, metrics)


async def _no_app(scope: Any, _receive: Any, _send: Any) -> None:
    message = f"{scope['path']} did not take the short cut"
    raise RuntimeError(message)


async def drive(door: Door, requests: Sequence[bytes], connections: int, app: ASGIApp = _no_app) -> None:
    """Have all these answered."""
    config = uvicorn.Config(app, http=cast("Any", door.protocol), ws="none", log_config=None)
    config.load()
    done, rest, left = asyncio.Event(), iter(requests), len(requests)

    def answered() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    state = ServerState()
    for _ in range(min(connections, len(requests))):
        Wire(door.protocol(config=config, server_state=state, app_state={}), rest, answered).send()
    await done.wait()


async def shares(batch: int, events: int) -> list[tuple[str, float]]:
    """The modules that take most of the time with so many calls a request, and their share of it."""
    given, door = Load(events, batch), Door(short_cuts=collecting().short_cuts())
    await drive(door, given.requests, CONNECTIONS[batch])
    profile = cProfile.Profile()
    profile.enable()
    await drive(door, given.requests, CONNECTIONS[batch])
    profile.disable()
    spent: Counter[str] = Counter()
    for (file, _line, name), (_calls, _own_calls, own, *_rest) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[named(file, name)] += own
    whole = sum(spent.values())
    return [(name, own / whole) for name, own in spent.most_common(SHOWN)]


async def ways(batch: int, events: int) -> tuple[float, float, float]:
    """Seconds of processor time a request without ASGI and with it, and the median of the second to the first."""
    given, collector = Load(events, batch), collecting()
    short, long, app = Door(short_cuts=collector.short_cuts()), Door(), HotRoutes(_no_app, collector)
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS + 1):
        spent = []
        for door in (short, long):
            begun = time.process_time()
            await drive(door, given.requests, CONNECTIONS[batch], app)
            spent.append((time.process_time() - begun) / len(given.requests))
        rounds.append((spent[0], spent[1]))
    warm = rounds[1:]
    return min(a for a, _ in warm), min(b for _, b in warm), median(b / a for a, b in warm)


def named(file: str, name: str) -> str:
    """The module of a profiled call, or what native code it is."""
    if file == "~":
        return "json (msgspec)" if "msgspec" in name else "other native code"
    path = Path(file)
    return "/".join(path.parts[-2:])


def main() -> None:
    """Print both."""
    memory.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for batch in (1, BATCH):
            sys.stdout.write(f"calls a request: {batch}\n")
            for name, share in runner.run(shares(batch, EVENTS[batch])):
                sys.stdout.write(f"{share:6.1%}  {name}\n")
            whole, asgi, ratio = runner.run(ways(batch, EVENTS[batch]))
            sys.stdout.write(f"a request: {whole * 1e6:.1f} us, by ASGI {asgi * 1e6:.1f} us; {ratio:.2f} times\n")


if __name__ == "__main__":
    main()
