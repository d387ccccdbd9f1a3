"""A collector to speak to, and the log behind it read by a consumer that knows nothing of us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from pathline.embedded import ports
from pathline.kit.settings import split_address
from pathline.storage import keys
from services.ingest import app
from tests.support.records import until


async def add_demo_keys(database: str) -> None:
    """The keys that `pathline up` makes."""
    connection = await asyncpg.connect(database)
    try:
        await keys.create(connection, name="demo", key="demo", kind="server", loopback_only=True)
        await keys.create(connection, name="demo-web", key="demo-web", kind="browser", loopback_only=True)
    finally:
        await connection.close()


def environment(bootstrap: str, database: str, prefix: str) -> dict[str, str]:
    """The settings of a collector on these; it reads its keys often, and at its end no balancer has to hear of it."""
    return {
        "PATHLINE_KAFKA": bootstrap,
        "PATHLINE_DATABASE_URL": database,
        "PATHLINE_TOPIC_PREFIX": prefix,
        "PATHLINE_KEYS_SECONDS": "0.1",
        "PATHLINE_LEAVE_SECONDS": "0",
    }


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A collector in this process, perhaps not ready yet, and a client of it."""
    address = ports.resolve("127.0.0.1:0")
    for name, value in {**env, "PATHLINE_COLLECTOR": address}.items():
        monkeypatch.setenv(name, value)
    stop = asyncio.Event()
    task = asyncio.create_task(app.main(stop))
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=30) as client:
        try:
            await until(lambda: is_alive(client))
            yield client
        finally:
            stop.set()
            async with asyncio.timeout(20):
                await task


async def is_alive(client: httpx.AsyncClient) -> bool:
    """Whether it answers at all."""
    with suppress(httpx.TransportError):
        return (await client.get("/health/live")).status_code == httpx.codes.OK
    return False


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Whether it says that it can store."""
    with suppress(httpx.TransportError):
        return (await client.get("/health/ready")).status_code == httpx.codes.OK
    return False


class Log:
    """The touchpoints topic."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.records: list[Any] = []

    async def read(self, count: int) -> list[Any]:
        """All records, once there are so many."""

        async def enough() -> bool:
            for records in (await self._consumer.getmany(timeout_ms=50)).values():
                self.records += records
            return len(self.records) >= count

        await until(enough)
        assert len(self.records) == count
        return self.records


def viewed(number: int, **more: Any) -> dict[str, Any]:
    """A call, complete."""
    return {"type": "track", "event": "Product Viewed", "userId": "ann", "messageId": f"m{number}", **more}


async def post(client: httpx.AsyncClient, path: str, body: Any, **more: Any) -> httpx.Response:
    """Send a body, JSON unless it is bytes, with the demo's server key unless said otherwise."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await client.post(path, content=content, **{"auth": ("demo", ""), **more})


async def metric(client: httpx.AsyncClient, line: str) -> float:
    """The value of the line of `/metrics` that begins so."""
    text = (await client.get("/metrics")).text
    return float(next(one for one in text.splitlines() if one.startswith(line)).rpartition(" ")[2])


async def exchange(address: str, *parts: bytes, then: bytes = b"") -> bytes:
    """Write bytes to a connection of our own; all that is answered until it is closed.

    `then` is written after the parts, as long as anybody listens.
    """
    reader, writer = await asyncio.open_connection(*split_address(address))
    try:
        with suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while then:
                writer.write(then)
                await writer.drain()
        answer = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(20):
                answer = await reader.read()
        return answer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
