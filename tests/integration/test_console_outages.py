"""The console through restarts, and while PostgreSQL or Kafka is away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from services.console import reader
from tests.conftest import Stack
from tests.support.console import Listener, Running, of, running
from tests.support.records import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(stack: Stack, database: str) -> AsyncIterator[Running]:
    async with running(stack, database, stitches=False) as one:
        yield one


async def ended(stream: Listener) -> bool:
    return stream.ended


async def ready(system: Running, reason: str | None = None) -> bool:
    """Whether the console is ready, or is not for this reason."""
    answer = await system.client.get("/health/ready")
    if reason is None:
        return answer.status_code == httpx.codes.OK
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and reason in answer.json()["reasons"]


async def test_the_next_process_resumes_the_streams_of_the_one_before(system: Running) -> None:
    async with system.console():
        first = await system.listen().opened()
        await system.hint("leo", "leo-0")
        await first.until("touchpoint", of("leo"))
    await until(lambda: ended(first))
    await system.hint("leo", "leo-1")
    async with system.console():
        second = await system.listen(first.last_id).opened()
        await second.until("touchpoint", lambda data: data["message_id"] == "leo-1")
        assert not second.of("reset")
        await second.close()


async def test_streams_end_at_once_when_the_process_is_told_to_stop(system: Running) -> None:
    async with system.console() as stop:
        stream = await system.listen().opened()
        began = time.monotonic()
        stop.set()
        await until(lambda: ended(stream))
    assert time.monotonic() - began < 5


async def test_without_listeners_records_are_passed_over_unread(
    system: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def passed() -> bool:
        return await system.metric(f'pathline_consumer_lag{{topic="{system.topics.journeys}"}}') == 0

    monkeypatch.setattr(reader, "IDLE_SECONDS", -1.0)
    async with system.console():
        await system.hint("ned", "ned-0")
        await until(passed)
        assert await system.metric("pathline_console_stream_memory") == 0


async def test_news_wait_while_the_database_is_away(system: Running) -> None:
    async with system.console():
        stream = await system.listen().opened()
        await system.stack.stop("postgres")
        try:
            await until(lambda: ready(system, "database"))
            away = await system.client.get("/api/v1/alerts")
            assert away.status_code == httpx.codes.SERVICE_UNAVAILABLE and away.headers["retry-after"]
            assert away.json()["code"] == "unavailable"
            await system.hint("ola", "ola-0")
        finally:
            await system.stack.start("postgres")
        await until(lambda: ready(system))
        assert (await system.client.get("/api/v1/alerts")).status_code == httpx.codes.OK
        await stream.until("touchpoint", of("ola"))
        await stream.close()


async def test_streams_go_on_after_kafka_was_away(system: Running) -> None:
    async with system.console():
        stream = await system.listen().opened()
        await system.stack.stop("kafka")
        try:
            await until(lambda: ready(system, "kafka"))
            assert (await system.client.get("/api/v1/alerts")).status_code == httpx.codes.OK
        finally:
            await system.stack.start("kafka")
        await until(lambda: ready(system))
        await system.hint("pia", "pia-0")
        await stream.until("touchpoint", of("pia"))
        await stream.close()
