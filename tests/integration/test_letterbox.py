"""Dead letters of the stitcher on their topic, those of the topic in the table, each once, whatever happens between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from pathline.contracts.letters import Letter, encode
from pathline.kit.kafka import Topics
from pathline.storage import letters as store
from pathline.storage.letters import DeadLetter
from tests.conftest import Stack
from tests.support import letters
from tests.support.letters import Stitcher
from tests.support.records import produce, record, until

pytestmark = pytest.mark.integration


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str) -> None:
    monkeypatch.setenv("PATHLINE_KAFKA", stack.bootstrap)
    monkeypatch.setenv("PATHLINE_DATABASE_URL", database)
    monkeypatch.setenv("PATHLINE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("PATHLINE_STITCHER", "127.0.0.1:0")
    monkeypatch.setenv("PATHLINE_TICK_MS", "50")


@pytest.fixture
async def stitcher(environment: None, topics: Topics) -> AsyncIterator[Stitcher]:
    running = Stitcher()
    yield running
    await running.end()


async def _write(pool: asyncpg.Pool[Any], topic: str, offsets: range) -> None:
    """Letters as a stitcher leaves them that was killed right after its commit."""
    written = [DeadLetter(0, offset, "no_subject", "m", b"k", b"v%d" % offset, "[]", "shop") for offset in offsets]
    async with pool.acquire() as db, db.transaction():
        await store.write(db, topic, "stitcher", written)


async def test_poison_is_a_row_and_stands_on_the_topic_with_its_bytes_and_the_reason(
    stitcher: Stitcher, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    nobody = record({"event": "Product Viewed", "userId": "null"}, message_id="n", source="shop")
    await produce(stack.bootstrap, topics.touchpoints, [b"not json", nobody])
    found = await letters.rows(pool, 2, "topic = $1", topics.touchpoints)
    await until(lambda: letters.none_untold(pool, topics.touchpoints))
    read = {one.code: one for one in await letters.read(stack.bootstrap, topics.dead_letters)}
    assert {row["code"]: (row["stage"], row["value"], row["source"]) for row in found} == {
        "unreadable_record": ("stitcher", b"not json", None),
        "no_subject": ("stitcher", nobody, "shop"),
    }
    assert {code: (one.stage, one.value, one.source, one.topic) for code, one in read.items()} == {
        "unreadable_record": ("stitcher", b"not json", None, topics.touchpoints),
        "no_subject": ("stitcher", nobody, "shop", topics.touchpoints),
    }
    assert {(row["partition"], row["offset"]) for row in found} == {(o.partition, o.offset) for o in read.values()}
    # What it told itself it reads again, and keeps no second time.
    await until(lambda: letters.all_kept(pool, stack.bootstrap, topics.dead_letters))
    assert len(await letters.rows(pool, 2, "topic IN ($1, $2)", topics.touchpoints, topics.dead_letters)) == 2


async def test_what_others_put_on_the_topic_is_a_row_even_if_nobody_knows_what_it_is(
    stitcher: Stitcher, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    received = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    refused = Letter(
        stage="collector", code="missing_event", message="a track call names its event", topic=topics.touchpoints,
        source="till", namespace="uk", received_at=received, size=70_000, headers=(("pathline.call.type", b"track"),),
    )  # fmt: skip
    await letters.put(stack.bootstrap, topics.dead_letters, b'{"a":', encode(refused))
    await letters.put(stack.bootstrap, topics.dead_letters, b"\0\xff", [("\0", b"\xff\0")], b"key")
    found = await letters.rows(pool, 2, "topic = $1", topics.dead_letters)
    by_stage = {row["stage"]: row for row in found}
    kept = by_stage["collector"]
    assert (kept["code"], kept["source"], kept["namespace"], kept["received_at"], kept["size"], kept["value"]) == (
        "missing_event", "till", "uk", received, 70_000, b'{"a":',
    )  # fmt: skip
    assert kept["told_at"] is not None
    other = by_stage["unknown"]
    assert (other["code"], other["key"], other["value"]) == ("unexplained", b"key", b"\0\xff")


async def test_what_a_stitcher_left_untold_when_it_was_killed_is_told_by_the_next(
    environment: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    await _write(pool, topics.touchpoints, range(250))
    running, peer = Stitcher(), Stitcher()
    try:
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
        read = await letters.read(stack.bootstrap, topics.dead_letters)
        assert sorted(one.offset or 0 for one in read) == list(range(250))
        await until(lambda: letters.all_kept(pool, stack.bootstrap, topics.dead_letters))
        await letters.rows(pool, 250, "topic = $1 OR topic = $2", topics.touchpoints, topics.dead_letters)
    finally:
        await running.end()
        await peer.end()


async def test_who_dies_between_telling_and_noting_it_tells_twice_and_there_is_one_row(
    environment: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = store.told
    died: list[bool] = []

    async def dies_once(db: Any, ids: Any) -> None:
        if not died:
            died.append(True)
            message = "the connection went away"
            raise asyncpg.ConnectionDoesNotExistError(message)
        await note(db, ids)

    monkeypatch.setattr(store, "told", dies_once)
    await _write(pool, topics.touchpoints, range(3))
    running = Stitcher()
    try:
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
        read = await letters.read(stack.bootstrap, topics.dead_letters)
        assert sorted(one.offset or 0 for one in read) == [0, 0, 1, 1, 2, 2]
        await until(lambda: letters.all_kept(pool, stack.bootstrap, topics.dead_letters))
        await letters.rows(pool, 3, "topic = $1 OR topic = $2", topics.touchpoints, topics.dead_letters)
    finally:
        await running.end()


async def test_letters_that_are_too_old_go_and_the_others_stay(
    environment: None, pool: asyncpg.Pool[Any], topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_DEAD_LETTERS_KEPT_DAYS", "2")
    await _write(pool, topics.touchpoints, range(6))
    await pool.execute(
        "UPDATE dead_letter SET created_at = now() - '49 hours'::interval WHERE topic = $1 AND \"offset\" < 4",
        topics.touchpoints,
    )
    running = Stitcher()
    try:

        async def gone() -> bool:
            left = await pool.fetch('SELECT "offset" FROM dead_letter WHERE topic = $1', topics.touchpoints)
            return sorted(row["offset"] for row in left) == [4, 5]

        await until(gone)
    finally:
        await running.end()
