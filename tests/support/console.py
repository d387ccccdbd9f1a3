"""A console and a stitcher running in this process, on Kafka topics of their own, and alerts to look at."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.domain.alerts import Alert, Notice
from pathline.domain.identifiers import Identifier, name_id, touchpoint_id
from pathline.domain.judging import Change
from pathline.embedded import ports
from pathline.kit import kafka
from pathline.kit.database import create_pool
from pathline.kit.topics import ensure_topics
from pathline.storage import judgements
from services.console import app as console
from services.stitcher import app as stitcher
from tests.conftest import Stack
from tests.support.alerts import alert_about
from tests.support.records import produce, until

TOKEN = "a-token-for-tests-only"


class Told(msgspec.Struct):
    """An event of the live stream."""

    name: str
    id: str
    data: Any


class Listener:
    """A live stream that is read in the background."""

    def __init__(self, client: httpx.AsyncClient, last_id: str | None = None, **params: str) -> None:
        self._client = client
        self._headers = {} if last_id is None else {"last-event-id": last_id}
        self._params = params
        self.told: list[Told] = []
        self.status = 0
        self._opened = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    @property
    def ended(self) -> bool:
        """Whether the server has ended it."""
        return self._task.done()

    @property
    def last_id(self) -> str:
        """What to resume from."""
        return self.told[-1].id

    def of(self, name: str) -> list[Any]:
        """The data of the events of this name."""
        return [one.data for one in self.told if one.name == name]

    async def opened(self) -> Listener:
        """Wait for the first event."""
        await until(self._first)
        return self

    async def close(self) -> None:
        """Break it off."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, name: str, holds: Callable[[Any], bool] = bool) -> Any:
        """The data of the first event of this name for which it holds."""

        async def found() -> Any:
            return next((data for data in self.of(name) if holds(data)), None)

        return await until(found)

    async def _first(self) -> bool:
        if self.ended:
            self._task.result()
        return bool(self.told)

    async def _listen(self) -> None:
        async with self._client.stream(
            "GET", "/api/v1/stream", params=self._params, headers=self._headers, timeout=30
        ) as answer:
            self.status = answer.status_code
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    key, _colon, value = line.partition(": ")
                    fields[key] = value
                    continue
                if "event" in fields:
                    self.told.append(Told(fields["event"], fields["id"], msgspec.json.decode(fields["data"])))
                fields = {}


@dataclass
class Running:
    """What a test of the console speaks to."""

    stack: Stack
    dsn: str
    address: str
    topics: kafka.Topics
    pool: asyncpg.Pool[Any]
    client: httpx.AsyncClient
    """With the API token."""

    @asynccontextmanager
    async def console(self) -> AsyncIterator[asyncio.Event]:
        """Run a console until the end, or until the event that it gives is set."""
        stop = asyncio.Event()
        serving = asyncio.create_task(console.main(stop))
        try:
            await until(lambda: ready(self.client))
            yield stop
        finally:
            stop.set()
            await serving

    async def send(self, *values: bytes) -> None:
        """Write accepted touchpoints and wait until they are stitched."""
        before = await self.stored()
        await produce(self.stack.bootstrap, self.topics.touchpoints, values)
        wanted = before + len(values)

        async def there() -> bool:
            return await self.stored() >= wanted

        await until(there)

    async def stored(self) -> int:
        """How many touchpoints there are."""
        return int(await self.pool.fetchval("SELECT count(*) FROM touchpoint"))

    async def hint(self, name: str, message_id: str) -> None:
        """Say on the journeys topic that this user_id did something, as a stitcher does."""
        now = datetime.now(UTC)
        subject = name_id("default", "user_id", name)
        one = Hint(subject, touchpoint_id("demo", message_id), message_id, "Seen", "web", now, now)
        await produce(self.stack.bootstrap, self.topics.journeys, [hint.encode([one], now)])

    async def tell(self, notice: Notice) -> None:
        """Put news of an alert on the alerts topic."""
        await produce(self.stack.bootstrap, self.topics.alerts, [msgspec.json.encode(notice)])

    async def get(self, path: str, **params: Any) -> Any:
        """The answer to a GET, which must be a 200."""
        answer = await self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def listen(self, last_id: str | None = None, **params: str) -> Listener:
        """Open a live stream."""
        return Listener(self.client, last_id, **params)

    async def metric(self, line: str) -> float:
        """The value of a metric, by its name and labels."""
        text = (await self.client.get("/metrics")).text
        return float(next(one.rpartition(" ")[2] for one in text.splitlines() if one.startswith(line + " ")))

    async def raise_alert(self, name: Identifier, **given: Any) -> Alert:
        """An alert about this thing or person, stored as the scorer stores one."""
        alert = alert_about(name, **given)
        async with self.pool.acquire() as db, db.transaction():
            notice = Notice("opened", "pathline", alert.updated_at, alert)
            await judgements.keep(db, [Change(alert, notice, causes=(f"{alert.id}",), new=True)])
        return alert


def environment(stack: Stack, dsn: str, prefix: str) -> dict[str, str]:
    """Settings of a console and a stitcher."""
    return {
        "PATHLINE_KAFKA": stack.bootstrap,
        "PATHLINE_DATABASE_URL": dsn,
        "PATHLINE_TOPIC_PREFIX": prefix,
        "PATHLINE_API_TOKEN": TOKEN,
        "PATHLINE_CONSOLE": ports.resolve("127.0.0.1:0"),
        "PATHLINE_STITCHER": "127.0.0.1:0",
        "PATHLINE_TICK_MS": "50",
        "PATHLINE_CONSOLE_HEARTBEAT_SECONDS": "0.2",
    }


@asynccontextmanager
async def running(
    stack: Stack, dsn: str, more: Mapping[str, str] | None = None, *, stitches: bool = True
) -> AsyncIterator[Running]:
    """What a console needs to run, a stitcher among it where it `stitches`; `more` are settings."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    await ensure_topics(stack.bootstrap, prefix=prefix, partitions=2, replicas=1)
    env = {**environment(stack, dsn, prefix), **(more or {})}
    async with AsyncExitStack() as opened:
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        for name, value in env.items():
            patch.setenv(name, value)
        pool = await create_pool(dsn, min_size=1, max_size=8, application_name="test")
        opened.push_async_callback(pool.close)
        address = env["PATHLINE_CONSOLE"]
        client = await opened.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://{address}", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
            )
        )
        one = Running(stack, dsn, address, kafka.topics(prefix), pool, client)
        over = asyncio.Event()
        stitching = asyncio.create_task(stitcher.main(over)) if stitches else None
        try:
            yield one
        finally:
            over.set()
            if stitching is not None:
                await stitching


def user(name: str) -> str:
    """The id of the customer with this user_id."""
    return str(name_id("default", "user_id", name))


def of(name: str) -> Callable[[Any], bool]:
    """Whether an event's data is about the customer with this user_id."""
    return lambda data: bool(data["customer_id"] == user(name))


async def ready(client: httpx.AsyncClient) -> bool:
    """Whether the console says so."""
    try:
        return (await client.get("/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
