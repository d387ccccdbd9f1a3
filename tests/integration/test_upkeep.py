"""The upkeep of the tables: old weeks go, next ones are there, what was counted is known as long as is said, no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from pathline.domain.identifiers import touchpoint_id
from pathline.kit.kafka import Topics
from pathline.storage import migrate, partitions, seen
from services.stitcher import upkeep
from services.stitcher.metrics import StitcherMetrics
from services.stitcher.settings import StitcherSettings
from services.stitcher.upkeep import Upkeep
from tests.conftest import Stack
from tests.support.letters import Stitcher
from tests.support.letters import rows as letter_rows
from tests.support.records import produce, record, until

pytestmark = pytest.mark.integration

ROW = """
INSERT INTO touchpoint (subject, occurred_at, id, received_at, message_id, source, type, event, channel,
    moment_of_truth, historical, partition, "offset", entities, body)
VALUES (gen_random_uuid(), $1, gen_random_uuid(), $1, $2, 's', 'track', 'e', 'web', false, false, 0, 0, '{}', '{}')
"""


@pytest.fixture
async def db(stack: Stack, template: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a database whose partitions nobody else changes."""
    server = await asyncpg.connect(stack.dsn())
    await server.execute(f'CREATE DATABASE "pathline_upkeep" TEMPLATE "{template}"')
    connection = await asyncpg.connect(stack.dsn("pathline_upkeep"))
    yield connection
    await connection.close()
    await server.execute('DROP DATABASE "pathline_upkeep" WITH (FORCE)')
    await server.close()


@pytest.fixture
async def mine(stack: Stack, db: asyncpg.Connection[Any]) -> AsyncIterator[asyncpg.Pool[Any]]:
    """A pool on the same database."""
    async with asyncpg.create_pool(stack.dsn("pathline_upkeep"), min_size=1, max_size=4) as opened:
        yield opened


def _upkeep(pool: asyncpg.Pool[Any]) -> tuple[Upkeep, CollectorRegistry]:
    registry = CollectorRegistry()
    return Upkeep(pool, StitcherSettings.load(), StitcherMetrics(registry, "t", "d")), registry


async def _names(db: asyncpg.Connection[Any]) -> set[str]:
    return {week.name for week in await partitions.weeks(db)}


async def _kept(db: asyncpg.Connection[Any]) -> list[str]:
    return [row["message_id"] for row in await db.fetch("SELECT message_id FROM touchpoint ORDER BY 1")]


async def _long_ago(db: asyncpg.Connection[Any]) -> datetime:
    """Make weeks of two years ago, with a row, and put one that has no week in `touchpoint_rest`."""
    old = datetime.now(UTC) - timedelta(days=730)
    await partitions.ensure(db, old)
    await partitions.ensure(db, datetime.now(UTC) - timedelta(days=380))
    await db.execute(ROW, old, "old")
    await db.execute(ROW, datetime.now(UTC) - timedelta(days=600), "old, without a week")
    await db.execute(ROW, datetime.now(UTC) - timedelta(days=380), "a year old")
    await db.execute(ROW, datetime.now(UTC) - timedelta(days=200), "younger, without a week")
    return old


async def test_weeks_that_are_too_old_are_dropped_and_rows_without_a_week_deleted(
    db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any]
) -> None:
    old = await _long_ago(db)
    first = f"{(old - timedelta(days=old.weekday())):{partitions.NAME}}"
    assert first in await _names(db)
    kept, registry = _upkeep(mine)
    assert await kept.once()
    assert await _kept(db) == ["a year old", "younger, without a week"]
    assert first not in await _names(db)
    assert await db.fetchval("SELECT to_regclass($1)", first) is None
    assert registry.get_sample_value("pathline_touchpoint_weeks_dropped_total") == partitions.WEEKS_AHEAD + 1
    assert registry.get_sample_value("pathline_rows_pruned_total", {"table": "touchpoint_rest"}) == 1
    assert registry.get_sample_value("pathline_touchpoint_weeks_ready") == partitions.WEEKS_AHEAD + 1
    # What a fresh touchpoint needs is there, and a second round finds nothing to do.
    await db.execute(ROW, datetime.now(UTC), "new")
    assert await db.fetchval("SELECT count(*) FROM touchpoint_rest WHERE message_id = 'new'") == 0
    before = await _names(db)
    assert await kept.once()
    assert await _names(db) == before


async def test_a_table_in_use_is_left_for_later_and_nobody_queues_behind(
    db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any]
) -> None:
    await _long_ago(db)
    kept, registry = _upkeep(mine)
    async with db.transaction():
        await db.fetch("SELECT FROM touchpoint")
        # A report reads for long: the old week stays, and a stitcher's rows come in all the same.
        assert not await kept.once()
        await mine.execute(ROW, datetime.now(UTC), "beside a long reader")
    assert registry.get_sample_value("pathline_upkeep_failures_total", {"step": "touchpoints"}) == 1
    assert "old" in await _kept(db)
    assert await kept.once()
    assert await _kept(db) == ["a year old", "beside a long reader", "younger, without a week"]


async def test_a_week_is_made_while_others_write(db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any]) -> None:
    now = datetime(2031, 5, 7, tzinfo=UTC)
    await partitions.ensure(db, now)
    async with db.transaction():
        await db.execute(ROW, now, "not committed yet")
        async with mine.acquire() as other:
            assert await partitions.ensure(other, now + partitions.WEEK) == partitions.WEEKS_AHEAD + 1


async def test_two_that_make_weeks_at_once_make_each_once(mine: asyncpg.Pool[Any]) -> None:
    async def ensure() -> int:
        async with mine.acquire() as one:
            return await partitions.ensure(one, datetime(2033, 5, 7, tzinfo=UTC))

    assert await asyncio.gather(*(ensure() for _ in range(4))) == [partitions.WEEKS_AHEAD + 1] * 4


async def test_a_week_that_began_without_a_partition_ends_there(
    db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any]
) -> None:
    now = datetime(2035, 5, 9, tzinfo=UTC)
    await db.execute(ROW, now, "nobody had made the week")
    assert await partitions.ensure(db, now) == partitions.WEEKS_AHEAD
    await db.execute(ROW, now, "nor is it made now")
    assert await db.fetchval("SELECT count(*) FROM touchpoint_rest") == 2
    async with db.transaction(), mine.acquire() as other:
        await db.fetch("SELECT FROM touchpoint")
        assert await partitions.ensure(other, now) == partitions.WEEKS_AHEAD, "it is known without a lock"


async def test_a_week_that_was_detached_and_not_dropped_is_dropped(
    db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any]
) -> None:
    await partitions.ensure(db, datetime(2020, 5, 4, tzinfo=UTC))
    await db.execute("ALTER TABLE touchpoint DETACH PARTITION touchpoint_2020_05_04")
    kept, _ = _upkeep(mine)
    assert await kept.once()
    assert not {name for name in await _names(db) if name < "touchpoint_2021"}


async def test_what_was_counted_is_forgotten_after_its_time_portion_by_portion(
    db: asyncpg.Connection[Any], mine: asyncpg.Pool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 7)
    monkeypatch.setattr(upkeep, "BREATH_SECONDS", 0)
    kept_days = StitcherSettings.load().seen_kept_days
    for days, rows in ((kept_days + 2, 300), (kept_days - 1, 100), (0, 50)):
        await db.execute(
            "INSERT INTO seen SELECT gen_random_uuid(), now() - $1::interval FROM generate_series(1, $2)",
            timedelta(days=days),
            rows,
        )
    kept, registry = _upkeep(mine)
    assert await kept.once()
    assert await db.fetchval("SELECT count(*) FROM seen") == 150
    assert registry.get_sample_value("pathline_rows_pruned_total", {"table": "seen"}) == 300
    for partition in await seen.partitions(db):
        assert await db.fetchval("SELECT to_regclass($1 || '_received')", partition) is not None


async def test_what_was_received_too_long_ago_is_a_dead_letter_and_counts_for_nobody(
    stitcher: Stitcher, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    kept_days = StitcherSettings.load().seen_kept_days
    now = datetime.now(UTC)
    too_old, in_time = now - timedelta(days=kept_days, minutes=5), now - timedelta(days=kept_days, minutes=-5)
    view = {"event": "Product Viewed", "userId": "old-acquaintance"}
    values = [
        record(view, message_id="too old", received_at=too_old, occurred_at=too_old),
        record(view, message_id="in time", received_at=in_time, occurred_at=in_time),
    ]
    await produce(stack.bootstrap, topics.touchpoints, values)
    (letter,) = await letter_rows(pool, 1, "topic = $1", topics.touchpoints)
    assert (letter["code"], letter["value"]) == ("too_old", values[0])
    assert letter["message"] == f"received before {now - timedelta(days=kept_days):%Y-%m-%d}"

    async def counted() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM seen WHERE id = $1", touchpoint_id("demo", "in time")))

    assert await until(counted) == 1
    assert await pool.fetchval("SELECT count(*) FROM seen WHERE id = $1", touchpoint_id("demo", "too old")) == 0
    assert await pool.fetchval("SELECT count(*) FROM touchpoint WHERE message_id = 'too old'") == 0


async def test_a_migration_that_was_cut_short_makes_the_index_of_receipt_whole(
    stack: Stack, db: asyncpg.Connection[Any]
) -> None:
    await db.execute("DROP INDEX seen_received")
    await db.execute("CREATE INDEX seen_received ON ONLY seen USING brin (received_at)")
    await db.execute("CREATE INDEX seen_3_received ON seen_3 USING brin (received_at)")
    await db.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'seen_3_received'::regclass")
    await db.execute("UPDATE alembic_version SET version_num = '0010'")
    await migrate.upgrade(stack.dsn("pathline_upkeep"))
    assert await db.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'seen_received'::regclass")
    assert await migrate.drift(stack.dsn("pathline_upkeep")) == []
