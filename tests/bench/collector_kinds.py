"""What other kinds of requests cost a collector, each against the usual kind in the same run, and how long one waits."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec
import orjson

from pathline.embedded.ports import free_port
from pathline.embedded.processes import Child
from tests.bench import load
from tests.bench.figures import Figure, at_most
from tests.bench.platform import Platform, until_listening, until_ready
from tests.bench.traffic import calls

KEY: Final = "bench-key"
PREFIX: Final = "collector"
CUSTOMERS: Final = 10_000
BATCH: Final = 100
FEW: Final = 16
MANY: Final = 512
HALF: Final = 0.5
P99_GOAL_MS: Final = 20.0
PACED_SECONDS: Final = 5.0
PACED_TURNS: Final = 5
TICK_SECONDS: Final = 0.002
"""How often the paced load posts what is due."""


ASKED_TIMES: Final = 16
"""Whoever shares the address answers: so often asked, each has said that it is ready."""


Where = tuple[Sequence[Child], int]
"""Collectors on one address, and its port."""

TWO: Final = f"two processes on one address, {load.CONNECTIONS} connections each"


class Kind(NamedTuple):
    """Requests to measure. `events` is what their cost is divided by."""

    requests: Sequence[bytes]
    events: int
    connections: int = load.CONNECTIONS
    ending: bytes = load.ANSWER_END

    async def spent(self, children: Sequence[Child], port: int) -> tuple[float, float]:
        """(processor microseconds an event of all these collectors together, events a second)."""
        pids = [child.pid for child in children if child.pid is not None]
        seconds, spent = await load.closed_at(
            port, self.requests, pids, connections=self.connections, ending=self.ending
        )  # fmt: skip
        return spent * 1e6 / self.events, self.events / seconds


async def run(platform: Platform, collector: Child, port: int, *, events: int, rounds: int) -> list[Figure]:
    """Measure them at `collector`, which listens on `port`, and two collectors that share an address."""
    listed = [(call["type"], orjson.dumps(call)) for call in calls(events, customers=CUSTOMERS, seed=2)]
    requests = [load.request(kind, call, KEY) for kind, call in listed]
    single = Kind(requests, events)
    strange = Kind([load.request(kind, call, "no key") for kind, call in listed], events, ending=load.REFUSED_END)
    nameless = Kind([load.request("track", b"{}", KEY)] * events, events, ending=load.REFUSED_END)
    bodies = [
        b'{"batch":[%b]}' % b",".join(call for _, call in listed[first : first + BATCH])
        for first in range(0, events, BATCH)
    ]
    plain = Kind([load.request("batch", body, KEY) for body in bodies], events, FEW)
    zipped = Kind(
        [load.request("batch", gzip.compress(body, 6), KEY, more="Content-Encoding: gzip\r\n") for body in bodies],
        events,
        FEW,
    )
    one = ([collector], port)
    shared = free_port()
    two = ([await _sharing(platform, shared, number) for number in (1, 2)], shared)
    figures = [
        _against("batches of 100, gzip", "plain", 1.5, await _turns(rounds, (zipped, *one), (plain, *one))),
        _against("refused for its key", "accepted", 1.0, await _turns(rounds, (strange, *one), (single, *one))),
        _against("refused for what it says", "accepted", 1.0, await _turns(rounds, (nameless, *one), (single, *one))),
        _against(
            f"{MANY} connections", "64", 1.0,
            await _turns(more(rounds), (single._replace(connections=MANY), *one), (single, *one)),
        ),
        _against(
            TWO, "one with as many", 1.1,
            await _turns(rounds, (single._replace(connections=2 * load.CONNECTIONS), *two), (single, *one)),
        ),
        _against(
            f"two processes on one address, {load.CONNECTIONS // 2} connections each", "one with all of them", None,
            await _turns(rounds, (single, *two), (single, *one)),
        ),
    ]  # fmt: skip
    for child in two[0]:
        await platform.end(child)
    _cost, rate = await single.spent(*one)
    return [*figures, await _paced(requests, port, rate * HALF)]


def more(rounds: int) -> int:
    """The rounds of a figure that is near its goal: nine for the usual five."""
    return 2 * rounds - 1


async def bare_rise(one: Where, two: Where, *, events: int, rounds: int) -> Figure:
    """What an event costs two bare collectors on one address: more programs at work than processors cost by themselves."""
    listed = calls(events, customers=CUSTOMERS, seed=2)
    single = Kind([load.request(call["type"], orjson.dumps(call), KEY) for call in listed], events)
    both = single._replace(connections=2 * load.CONNECTIONS)
    figure = _against(TWO, "one with as many", None, await _turns(rounds, (both, *two), (single, *one)))
    return msgspec.structs.replace(figure, name=f"the bare {figure.name}")


def rises(figures: Sequence[Figure], bare: Figure) -> Figure:
    """How much more an event costs two collectors than one, against how much more it costs two bare ones."""
    ours = next(figure for figure in figures if figure.name == bare.name.removeprefix("the bare "))
    assert ours.ratio is not None
    assert bare.ratio is not None
    ratio = ours.ratio / bare.ratio
    name = f"collector, {TWO}: an event costs so many times what it costs one"
    goal = at_most(ratio, 1.1, "times what the bare one's rises by")
    return Figure(name=name, value=ours.ratio, unit="times", limit=bare.ratio, ratio=ratio, **goal)


async def _sharing(platform: Platform, port: int, number: int) -> Child:
    """One more collector that shares this address, ready."""
    env = {
        "PATHLINE_COLLECTOR": f"127.0.0.1:{port}", "PATHLINE_COLLECTOR_SHARED": "true",
        "PATHLINE_TOPIC_PREFIX": PREFIX, "PATHLINE_LOG_LEVEL": "warning",
    }  # fmt: skip
    child = platform.python(f"ingest-shared-{number}", "pathline.cli", "ingest", env=env)
    await until_listening(child, port)
    for _ in range(ASKED_TIMES):
        await until_ready(child, f"127.0.0.1:{port}")
    return child


Turn = tuple[Kind, Sequence[Child], int]


async def _turns(rounds: int, this: Turn, usual: Turn) -> list[tuple[float, float]]:
    """What both cost an event, in turn; a first round warms up."""
    spent = [
        ((await this[0].spent(*this[1:]))[0], (await usual[0].spent(*usual[1:]))[0]) for _ in range(rounds + 1)
    ]  # fmt: skip
    return spent[1:]


def _against(what: str, usual: str, most: float | None, turns: Sequence[tuple[float, float]]) -> Figure:
    """What this cost against what is usual, and its goal where there is one."""
    ratio = median(this / other for this, other in turns)
    figure = Figure(
        name=f"collector, {what}: processor time",
        value=median(this for this, _ in turns),
        unit="µs an event",
        limit=median(other for _, other in turns),
        ratio=ratio,
    )
    return figure if most is None else msgspec.structs.replace(figure, **at_most(ratio, most, f"times {usual}"))


async def _paced(requests: Sequence[bytes], port: int, rate: float) -> Figure:
    """How long one of a hundred waits at least for its answer, when so many are due a second whatever comes back.

    It is the median of some turns: one pause of the machine, which a collector can't help, is all of a turn's p99.
    """
    p99 = median([await _p99(requests, port, rate) for _ in range(PACED_TURNS)]) * 1_000
    what = f"{rate:,.0f} single calls a second (half of what it took)"
    name = f"collector, {what}: p99 from due to answered, median of {PACED_TURNS}"
    return Figure(name=name, value=p99, unit="ms", **at_most(p99, P99_GOAL_MS, "ms"))


async def _p99(requests: Sequence[bytes], port: int, rate: float) -> float:
    """One turn of it, in seconds."""
    loop = asyncio.get_running_loop()
    posting = load.Open(port, connections=load.CONNECTIONS)
    await posting.open()
    count = min(len(requests), int(rate * PACED_SECONDS))
    begun, sent = loop.time(), 0
    while sent < count:
        while sent < count and begun + sent / rate <= loop.time():
            posting.post(requests[sent], begun + sent / rate)
            sent += 1
        await asyncio.sleep(TICK_SECONDS)
    async with asyncio.timeout(PACED_SECONDS):
        while len(posting.waits) < count and posting.failure is None:
            await asyncio.sleep(TICK_SECONDS)
    posting.close()
    if posting.failure is not None:
        raise load.LoadError(posting.failure)
    return sorted(posting.waits)[int(0.99 * (count - 1))]
