"""Good traffic while others attack: slow clients by the thousand, bombs, and a key that floods (fault 19)."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import takewhile
from typing import Final

import asyncpg
import httpx
import orjson
import pytest

from pathline.kit.settings import split_address
from pathline.storage import keys
from tests.conftest import Stack
from tests.support.attacked import Target, attacked
from tests.support.collector import viewed
from tests.support.hostile_requests import CHUNKED, START
from tests.support.records import until

pytestmark = pytest.mark.integration

MEBIBYTE: Final = 2**20
SLOW_CLIENTS: Final = 2_000
CROWD: Final = 1_900
"""So many of them are there at least; some have just been cut off and come again."""
GOOD_CALLS_LEAST: Final = 100
MEMORY_BYTES_MAX: Final = 256 * MEBIBYTE
"""What the collector may have of the machine's memory while all that goes on; calm it has 70 MiB."""

HEADS: Final = (START + b"x: ", START + b"content-length: 30000\r\n\r\n{", CHUNKED + b"7530\r\n{", CHUNKED + b"5;x=")
"""How the slow ones begin: half a head, half a body, half a chunk, half a chunk's extension."""

BOMB: Final = gzip.compress(b"\0" * 2**28)
DEEP: Final = gzip.compress(b'{"batch":[{"x":"' + b"\\\\" * 1_900_000 + b'\\ud800"}]}')
HUGE: Final = b'{"batch":[' + b"1," * 1_900_000 + b"1]}"


@pytest.fixture(scope="module")
def target(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    # Here only the attack is to make a good call fail, not a disk that is busy with something else.
    yield from attacked(stack, database, tmp_path_factory, "crowd", PATHLINE_ACK_SECONDS="30")


@asynccontextmanager
async def attacking(*attacks: asyncio.Task[None]) -> AsyncIterator[None]:
    """End them when the good ones have had their time."""
    try:
        yield
    finally:
        for attack in attacks:
            attack.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)


async def drip(target: Target, number: int, cut: set[int]) -> None:
    """One slow client: a byte now and then, until it is cut off, which it notes; then the same again."""
    while True:
        await drip_once(target, number)
        cut.add(number)


async def drip_once(target: Target, number: int) -> None:
    """Open a line, and hold it as long as it is let."""
    reader, writer = await asyncio.open_connection(*split_address(target.program.address))
    try:
        writer.write(HEADS[number % len(HEADS)])
        while not reader.at_eof():
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await reader.read(1_000)
                    continue
            writer.write(b" ")
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


async def throw(target: Target, body: bytes, *headers: str, key: str = "demo") -> None:
    """One who throws the same body again and again."""
    while True:
        with suppress(ConnectionError, TimeoutError, IndexError):
            await target.post(body, "/v1/batch", *headers, key=key)


async def call(client: httpx.AsyncClient, numbers: Iterable[int], key: str = "demo") -> Counter[int]:
    """How often each status was answered to good calls of these numbers."""
    statuses: Counter[int] = Counter()
    left = iter(numbers)

    async def sender() -> None:
        for number in left:
            try:
                answer = await client.post("/v1/track", content=orjson.dumps(viewed(number)), auth=(key, ""))
                statuses[answer.status_code] += 1
            except httpx.TransportError:
                statuses[0] += 1

    await asyncio.gather(*(sender() for _ in range(8)))
    return statuses


def client_of(target: Target) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{target.program.address}", trust_env=False, timeout=60)


async def test_good_calls_succeed_while_slow_clients_and_bombs_come_in(target: Target) -> None:
    cut: set[int] = set()
    slow = [asyncio.create_task(drip(target, number, cut)) for number in range(SLOW_CLIENTS)]

    async def crowded() -> bool:
        return await target.metric("pathline_ingest_connections") >= CROWD

    bombs = [asyncio.create_task(throw(target, body, "content-encoding: gzip")) for body in (BOMB, DEEP, BOMB)]
    peak = 0
    async with attacking(*slow, *bombs), client_of(target) as client:
        await until(crowded)
        # Until each was cut off, however many they are.
        numbers = takewhile(lambda number: number < GOOD_CALLS_LEAST or len(cut) < SLOW_CLIENTS, itertools.count())
        good = asyncio.create_task(call(client, numbers))
        while not good.done():
            peak = max(peak, target.memory_bytes())
            await asyncio.wait({good}, timeout=0.1)
        statuses = await good
    assert statuses[200] >= 0.99 * statuses.total(), statuses
    assert peak < MEMORY_BYTES_MAX
    await target.unhurt()


async def test_a_key_that_floods_does_not_make_another_s_calls_fail(target: Target, database: str) -> None:
    connection = await asyncpg.connect(database)
    await keys.create(connection, name="calm", key="calm", kind="server")
    await connection.close()

    async with client_of(target) as client:

        async def known() -> bool:
            return (await call(client, [1], "calm"))[200] == 1

        await until(known)
        held = [asyncio.open_connection(*split_address(target.program.address)) for _ in range(16)]
        lines = [writer for _, writer in await asyncio.gather(*held)]
        for writer in lines:
            # Nearly all of a large body, and then nothing: it is held until its time is over.
            writer.write(START.replace(b"track", b"batch") + b"content-length: %d\r\n\r\n" % (4 * MEBIBYTE))
            writer.write(b" " * (4 * MEBIBYTE - 1))
        floods = [
            throw(target, HUGE),
            throw(target, b"{}"),
            throw(target, b"x" * 5 * MEBIBYTE),
            throw(target, b"[1", key="no"),
        ]
        async with attacking(*map(asyncio.create_task, floods)):
            statuses = await call(client, range(100), "calm")
        for writer in lines:
            writer.transport.abort()
    assert statuses == {200: 100}
    await target.unhurt()
