"""A stitcher beside newer collectors: it stops at what it cannot read, and whoever can goes on from there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from pathline.contracts import accepted
from pathline.embedded import ports
from pathline.kit.kafka import Topics
from services.stitcher import app
from tests.conftest import Stack
from tests.support.records import produce, record, until

pytestmark = pytest.mark.integration

LAG = 'pathline_consumer_lag{topic="'


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str) -> None:
    monkeypatch.setenv("PATHLINE_KAFKA", stack.bootstrap)
    monkeypatch.setenv("PATHLINE_DATABASE_URL", database)
    monkeypatch.setenv("PATHLINE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("PATHLINE_TICK_MS", "50")


@asynccontextmanager
async def stitching(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A stitcher in this process, and a client of it."""
    address = ports.resolve("127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_STITCHER", address)
    stop = asyncio.Event()
    task = asyncio.create_task(app.main(stop))
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=30) as client:
        try:
            yield client
        finally:
            stop.set()
            await task


async def test_a_record_of_a_newer_version_waits_for_who_can_read_it(
    environment: None,
    monkeypatch: pytest.MonkeyPatch,
    stack: Stack,
    pool: asyncpg.Pool,
    topics: Topics,
    topic_prefix: str,
) -> None:
    async def stored() -> set[str]:
        return {row["message_id"] for row in await pool.fetch("SELECT message_id FROM touchpoint")}

    old = record({"userId": "ann", "event": "Product Viewed"}, message_id="old")
    newer = record({"userId": "ann", "event": "Product Viewed"}, message_id="newer")
    newer = newer.replace(b'"v":%d' % accepted.VERSION, b'"v":%d' % (accepted.READABLE + 1))
    async with stitching(monkeypatch) as client:
        await produce(stack.bootstrap, topics.touchpoints, [old], keys=[b"one"])

        async def has_read() -> bool:
            return await stored() == {"old"}

        await until(has_read)
        await produce(stack.bootstrap, topics.touchpoints, [newer], keys=[b"one"])

        async def has_stopped() -> bool:
            with suppress(httpx.TransportError):
                answer = await client.get("/health/ready")
                return "is of version" in answer.json()["reasons"].get("refused", "")
            return False

        await until(has_stopped)
        # Its partitions are free for a peer.
        await until(lambda: _is_empty(stack, f"{topic_prefix}.stitcher"))
        lag = next(
            line
            for line in (await client.get("/metrics")).text.splitlines()
            if line.startswith(f"{LAG}{topics.touchpoints}")
        )
        assert lag.endswith(" NaN")
    assert await stored() == {"old"}
    assert await pool.fetchval("SELECT count(*) FROM dead_letter") == 0
    # The upgrade.
    monkeypatch.setattr(accepted, "READABLE", accepted.READABLE + 1)
    async with stitching(monkeypatch):

        async def has_gone_on() -> bool:
            return await stored() == {"old", "newer"}

        await until(has_gone_on)
    assert await pool.fetchval("SELECT count(*) FROM dead_letter") == 0


async def _is_empty(stack: Stack, group: str) -> bool:
    """Whether nobody is in a group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        return not answer.groups[0][5]
    finally:
        await admin.close()
