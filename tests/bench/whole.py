"""All of Pathline as `pathline up` runs it, on this machine with the load beside it: how much, how soon, how much memory.

Open loop: touchpoints are posted when they are due, whatever the answers do. Pace is what was posted, stored, stitched
and judged by the time that nothing waits any more. An alert's time runs from when its cause was due to be posted until
the console's stream tells of it; one that is never told counts as infinite.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from math import ceil, inf, isnan
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import orjson

from pathline.embedded import home as homes
from pathline.embedded.processes import Child, Launch
from pathline.kit.settings import Settings
from pathline.supervisor import credential, status
from tests.bench import load
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.memory import Memory
from tests.bench.platform import POLL_SECONDS, ROOT, cpu_seconds
from tests.bench.traffic import CONTEXT, calls

KEY: Final = "demo"
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 60.0
"""How long what was posted may take to be handled before the bench gives up."""

QUIET_LOOKS: Final = 12
"""How often in a row nothing must wait: lags are noted twice a second, and one stage empties into the next."""

STREAM_TIMEOUT: Final = httpx.Timeout(10.0, read=60.0)
"""The stream says something every 15 seconds at least."""

TICK_SECONDS: Final = 0.005
CONNECTIONS: Final = 64

EACH: Final = "µs a touchpoint"
PACE: Final = 5_000
PACE_OFFERED: Final = 5_150
"""A little more than the goal: the time until the last one is judged counts too."""
PACE_BATCH: Final = 100
"""Calls a request, as a server's SDK sends them under load."""
BURST: Final = 10_000
"""Posted at once at the end of the warm-up: ten full batches. Memory is held against what a service needs for those, for
how full batches are while it is measured depends on what else the machine does."""
LAG_SECONDS: Final = 1.0
"""How often it is looked how much waits."""
LAG_GOAL: Final = PACE
"""What may wait at the end: a second's touchpoints."""

MOST_STEP: Final = 500
MOST_OFFERED: Final = 20_000
MOST_GOAL: Final = 7_000
KEPT_UP: Final = 0.9
"""Of what was offered in a step, this must be judged by when nothing waits: to see that takes a second by itself."""
PACE_CUSTOMERS: Final = 2_000

ALERT_RATE: Final = 500
ALERT_EVERY: Final = 100
"""One touchpoint in so many raises an alert."""
ALERT_GOAL_MS: Final = 300.0
ALERT_WAIT_SECONDS: Final = 10.0

_LAG: Final = re.compile(r"^pathline_consumer_lag(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class Whole:
    """A running `pathline up`."""

    def __init__(self, home: Path, found: status.Status) -> None:
        self.home = home
        self.address = {part.name: part.address for part in found.parts}
        self.pid = {part.name: part.pid for part in found.parts if part.pid is not None}

    @property
    def port(self) -> int:
        """Where the collector listens."""
        return int(self.address["ingest"].rsplit(":", 1)[1])

    async def waiting(self, client: httpx.AsyncClient) -> float:
        """Records that are not handled yet, by all services."""
        pages = [(await client.get(f"http://{self.address[name]}/metrics")).text for name in ("stitcher", "scorer")]
        return sum(float(value) for page in pages for value in _LAG.findall(page))

    async def drained(self) -> None:
        """Wait until nothing waits. Raises TimeoutError."""
        async with httpx.AsyncClient() as client, asyncio.timeout(DRAIN_SECONDS):
            quiet = 0
            while quiet < QUIET_LOOKS:
                quiet = quiet + 1 if await self.waiting(client) == 0 else 0
                await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running() -> AsyncIterator[Whole]:
    """`pathline up` on a home that is thrown away."""
    home = homes.prepare(Path(tempfile.mkdtemp(prefix="pathline-bench-")))
    addresses = dict.fromkeys(("COLLECTOR", "CONSOLE", "STITCHER", "SCORER", "SHOP"), "127.0.0.1:0")
    env = {f"PATHLINE_{name}": address for name, address in addresses.items()}
    up = Child("up", home)
    (home / "up").mkdir()
    env |= {"PATHLINE_HOME": str(home / "up"), "PATHLINE_KAFKA_PORT": "0", "PATHLINE_LOG_LEVEL": "warning"}
    up.start(Launch([sys.executable, "-m", "pathline.cli", "up"], cwd=ROOT, env=env))
    try:
        yield Whole(home / "up", await _ready(home / "up", up))
    finally:
        await up.end(STOP_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


async def _ready(home: Path, up: Child) -> status.Status:
    async with asyncio.timeout(START_SECONDS):
        while True:
            found = await status.look(Settings(home=home))
            if found.ready and found.supervisor is not None:
                return found
            if not up.running:
                raise RuntimeError(up.last_words())
            await asyncio.sleep(POLL_SECONDS)


async def post(opened: load.Open, requests: Iterator[bytes], rate: float, seconds: float) -> int:
    """Post requests at so many a second for so long; returns how many.

    Raises:
        load.LoadError: one was not answered with a success.
    """
    await opened.open()
    started, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        while sent < elapsed * rate:
            opened.post(next(requests))
            sent += 1
        if opened.failure is not None:
            raise load.LoadError(opened.failure)
        await asyncio.sleep(TICK_SECONDS)
    return sent


async def run(*, seconds: float = 120.0, warm_seconds: float = 20.0, step_seconds: float = 20.0) -> list[Figure]:
    """Measure the time to an alert first, then the pace and the memory it takes, then the most that is kept up with."""
    async with running() as whole:
        opened = load.Open(whole.port, connections=CONNECTIONS)
        try:
            alerts = await _alerts(whole, opened, seconds / 2, warm_seconds)
            await whole.drained()
            pace = await _pace(whole, opened, seconds, warm_seconds)
            return [*alerts, *pace, await _most(whole, opened, step_seconds)]
        finally:
            opened.close()


async def _pace(whole: Whole, opened: load.Open, seconds: float, warm_seconds: float) -> list[Figure]:
    requests = _batches()
    rate = PACE_OFFERED / PACE_BATCH
    await post(opened, requests, rate, warm_seconds)
    for _ in range(BURST // PACE_BATCH):
        opened.post(next(requests))
    await whole.drained()
    memory = Memory(whole.pid)
    started, spent = time.perf_counter(), {name: cpu_seconds(pid) for name, pid in whole.pid.items()}
    async with memory.watched(), _lag(whole) as lag:
        sent = await post(opened, requests, rate, seconds) * PACE_BATCH
    await whole.drained()
    handled = sent / (time.perf_counter() - started)
    return [
        Figure(
            name=f"all services, {seconds:.0f} s, posted, stored, stitched and judged",
            value=handled,
            unit="touchpoints/s",
            **at_least(handled, PACE, "a second"),
        ),
        _lag_figure(lag),
        *(
            Figure(name=f"processor time of {name}", value=(cpu_seconds(pid) - spent[name]) * 1e6 / sent, unit=EACH)
            for name, pid in whole.pid.items()
        ),
        *memory.figures(),
    ]


@asynccontextmanager
async def _lag(whole: Whole) -> AsyncIterator[list[float]]:
    """How many records wait while the block runs, once a second."""
    seen: list[float] = []

    async def look() -> None:
        async with httpx.AsyncClient() as client:
            while True:
                waiting = await whole.waiting(client)
                if not isnan(waiting):  # what could not be measured just then
                    seen.append(waiting)
                await asyncio.sleep(LAG_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def _lag_figure(seen: Sequence[float]) -> Figure:
    """What waited in the last quarter of the time, and in the second."""
    quarter = max(1, len(seen) // 4)
    late = median(seen[-quarter:])
    return Figure(
        name="records waiting in the last quarter of that time, and in the second",
        value=late,
        unit="records",
        limit=median(seen[quarter : 2 * quarter] or seen),
        **at_most(late, LAG_GOAL, "records, a second's worth"),
    )


async def _most(whole: Whole, opened: load.Open, seconds: float) -> Figure:
    """What is kept up with: more is offered step by step, until too much of a step waits at its end."""
    requests, most = _batches(), 0.0
    for offered in range(PACE, MOST_OFFERED, MOST_STEP):
        started = time.perf_counter()
        sent = await post(opened, requests, offered / PACE_BATCH, seconds) * PACE_BATCH
        await whole.drained()
        handled = sent / (time.perf_counter() - started)
        most = max(most, handled)
        if handled < KEPT_UP * offered:
            break
    return Figure(
        name=f"the most, {MOST_STEP} a second more every {seconds:.0f} s",
        value=most,
        unit="touchpoints/s",
        **at_least(most, MOST_GOAL, "a second"),
    )


def _batches() -> Iterator[bytes]:
    source = calls(sys.maxsize, customers=PACE_CUSTOMERS, seed=int(time.time()))
    while True:
        batch = orjson.dumps({"batch": [next(source) for _ in range(PACE_BATCH)]})
        yield load.request("batch", batch, KEY)


async def _alerts(whole: Whole, opened: load.Open, seconds: float, warm_seconds: float) -> list[Figure]:
    due: dict[str, float] = {}
    seen: dict[str, float] = {}
    ready = asyncio.Event()
    watching = asyncio.create_task(_watch(whole, lambda value: seen.setdefault(value, time.perf_counter()), ready))
    try:
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        await post(opened, _singles({}), ALERT_RATE, warm_seconds)
        await post(opened, _singles(due), ALERT_RATE, seconds)
        limit = time.perf_counter() + ALERT_WAIT_SECONDS
        while due.keys() - seen.keys() and time.perf_counter() < limit:
            await asyncio.sleep(POLL_SECONDS)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    took = sorted(1_000 * (seen.get(parcel, inf) - at) for parcel, at in due.items())
    p50, p99 = (took[ceil(part * len(took)) - 1] for part in (0.5, 0.99))
    said = f"{ALERT_RATE}/s, {len(took)} alerts: from post to the console's stream"
    return [
        Figure(name=f"{said}, p50", value=p50, unit="ms"),
        Figure(name=f"{said}, p99", value=p99, unit="ms", **at_most(p99, ALERT_GOAL_MS, "ms")),
    ]


def _singles(due: dict[str, float]) -> Iterator[bytes]:
    """Single calls; `due` is told when the cause of each alert was given out."""
    run_id = f"{time.time():.0f}-{os.getpid()}-{id(due)}"
    for number, call in enumerate(calls(sys.maxsize, customers=PACE_CUSTOMERS, seed=hash(run_id))):
        if number % ALERT_EVERY:
            yield load.request(call["type"], orjson.dumps(call), KEY)
            continue
        parcel = f"late-{run_id}-{number}"
        properties = {"tracking_number": parcel, "status": "exception", "reason": "address"}
        late = {"event": "Shipment Scanned", "messageId": parcel, "context": CONTEXT, "properties": properties}
        due[parcel] = time.perf_counter()
        yield load.request("track", orjson.dumps(late), KEY)


async def _watch(whole: Whole, saw: Callable[[str], Any], ready: asyncio.Event) -> None:
    """Read the console's live stream, and tell of each alert the value of what it is about."""
    token = credential.api_token(whole.home)
    address = f"http://{whole.address['console']}/api/v1/stream?events=alert"
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=STREAM_TIMEOUT) as client,
        client.stream("GET", address) as answer,
    ):
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            ready.set()
            if line.startswith("data: ") and '"alert"' in line:
                saw(orjson.loads(line[6:])["alert"]["entity"]["value"])
