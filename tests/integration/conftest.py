"""Services in the process of a test, on its topics and its module's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pathline.kit.kafka import Topics, make_consumer
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, is_ready, running
from tests.support.console import Running
from tests.support.console import running as running_console
from tests.support.letters import Stitcher
from tests.support.records import produce, until


@pytest.fixture
async def collector(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, topics: Topics
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a collector that is ready, with the keys of the demo."""
    await add_demo_keys(database)
    async with running(monkeypatch, environment(stack.bootstrap, database, topic_prefix)) as client:
        await until(lambda: is_ready(client))
        yield client


@pytest.fixture
async def log(stack: Stack, topics: Topics) -> AsyncIterator[Log]:
    """What the collector stores."""
    consumer = make_consumer(stack.bootstrap, topics.touchpoints, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    yield Log(consumer)
    await consumer.stop()


@pytest.fixture
def stitcher_settings(monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str) -> None:
    """What a stitcher of this test finds in its environment."""
    monkeypatch.setenv("PATHLINE_KAFKA", stack.bootstrap)
    monkeypatch.setenv("PATHLINE_DATABASE_URL", database)
    monkeypatch.setenv("PATHLINE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("PATHLINE_STITCHER", "127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_TICK_MS", "50")


@pytest.fixture
async def stitcher(stitcher_settings: None, topics: Topics) -> AsyncIterator[Stitcher]:
    """A running stitcher."""
    started = Stitcher()
    yield started
    await started.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(stack: Stack, database: str) -> AsyncIterator[Running]:
    """A stitcher and a console of a module's own, the console ready."""
    async with running_console(stack, database) as one, one.console():
        yield one


@pytest.fixture
def send(stack: Stack, topics: Topics) -> Any:
    """Puts records on the topic of touchpoints."""

    async def send(*values: bytes) -> None:
        await produce(stack.bootstrap, topics.touchpoints, values)

    return send
