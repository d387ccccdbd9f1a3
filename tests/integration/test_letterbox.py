"""Dead letters of the stitcher on their topic, those of the topic in the table, each once, whatever happens between."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from pathline.contracts.letters import Letter, decode, encode
from pathline.kit import kafka
from pathline.kit.kafka import Topics
from pathline.storage import letters as store
from pathline.storage.letters import DeadLetter
from services.stitcher import letterbox
from services.stitcher.letterbox import Letterbox
from services.stitcher.metrics import StitcherMetrics
from services.stitcher.settings import StitcherSettings
from services.stitcher.teller import Teller
from tests.conftest import Stack
from tests.support import letters
from tests.support.letters import Stitcher
from tests.support.records import produce, record, until

pytestmark = pytest.mark.integration


@asynccontextmanager
async def _letterbox(topics: Topics) -> AsyncIterator[StitcherMetrics]:
    """A letterbox alone, running, and what it measures."""
    stop, metrics = asyncio.Event(), StitcherMetrics(CollectorRegistry(), topics.touchpoints, topics.dead_letters)
    running = asyncio.create_task(Letterbox(StitcherSettings.load(), metrics, stop).run())
    try:
        yield metrics
    finally:
        stop.set()
        await running


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
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
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
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch
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
    stitcher_settings: None, pool: asyncpg.Pool[Any], topics: Topics, monkeypatch: pytest.MonkeyPatch
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


async def test_where_the_topic_was_made_anew_rows_are_told_and_forgotten_and_the_runbook_has_it_read_again(
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letterbox, "REFUSED_SECONDS", 0.2)
    monkeypatch.setattr(letterbox, "PRUNE_SECONDS", 0.2)
    cluster_id = await kafka.cluster_id(stack.bootstrap)
    # As it was left: read up to where the new topic does not reach, with a row of a letter at the new one's first place.
    await pool.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id)"
        " SELECT $1, p, 1, 500, 'epoch', $2 FROM generate_series(0, 1) AS p",
        topics.dead_letters,
        cluster_id,
    )
    for partition in (0, 1):
        async with pool.acquire() as db:
            await store.write(
                db, topics.dead_letters, "collector", [DeadLetter(partition, 0, "c", "m", None, b"before", "[]")]
            )
    await pool.execute("UPDATE dead_letter SET told_at = now() WHERE topic = $1", topics.dead_letters)
    await letters.put(stack.bootstrap, topics.dead_letters, b"after", [], b"k")
    await _write(pool, topics.touchpoints, range(3))
    async with _letterbox(topics) as metrics:
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
        await pool.execute("UPDATE dead_letter SET created_at = now() - '40 days'::interval WHERE value = 'v2'")

        async def forgotten() -> bool:
            left = await pool.fetch("SELECT id FROM dead_letter WHERE topic = $1", topics.touchpoints)
            return len(left) == 2

        await until(forgotten)

        async def refused() -> bool:
            return bool(metrics.letters.labels("failed")._value.get() >= 2)

        await until(refused)
        assert math.isnan(metrics.letters_lag._value.get())
        runbook = (Path(__file__).parents[2] / "docs/runbooks.md").read_text("utf-8")
        _, _, section = runbook.partition("## DeadLettersWait")
        statements = section.split("```sql")[1].split("```")[0]
        assert statements.count("pathline.dead-letters.v1") == 2
        await pool.execute(statements.replace("pathline.dead-letters.v1", topics.dead_letters))
        (row,) = await letters.rows(pool, 1, "topic = $1 AND value = 'after'", topics.dead_letters)
        assert row["offset"] == 0
        await letters.rows(pool, 2, "topic LIKE $1 || ' until %' AND value = 'before'", topics.dead_letters)

        async def all_read() -> bool:
            return bool(metrics.letters_lag._value.get() == 0)

        await until(all_read)


async def test_a_row_larger_than_the_topic_takes_is_told_cut_and_holds_up_no_other(
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    large, headed = b"x" * 1_048_400, '[["h","%s"]]' % ("y" * 1_048_400)
    written = [DeadLetter(0, offset, "unreadable_record", "m", b"k", b"v%d" % offset, "[]") for offset in range(2, 21)]
    async with pool.acquire() as db, db.transaction():
        await store.write(
            db,
            topics.touchpoints,
            "stitcher",
            [
                DeadLetter(0, 0, "unreadable_record", "m", b"k", large, "[]"),
                DeadLetter(0, 1, "unreadable_record", "m", b"k", b"v1", headed),
                *written,
            ],
        )
    async with _letterbox(topics):
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
        read = {one.offset or 0: one for one in await letters.read(stack.bootstrap, topics.dead_letters)}
        assert sorted(read) == list(range(21))
        cut, bare, whole = read[0], read[1], read[2]
        assert cut.value == large[: len(cut.value or b"")] and 0 < len(cut.value or b"") < len(large) == cut.size
        assert (bare.value, bare.key, bare.headers, bare.size, bare.code) == (b"", None, (), 2, "unreadable_record")
        assert (whole.value, whole.size) == (b"v2", None)
        # The table has them whole, also once the topic was read.
        await until(lambda: letters.all_kept(pool, stack.bootstrap, topics.dead_letters))
        kept = await letters.rows(pool, 21, "topic IN ($1, $2)", topics.touchpoints, topics.dead_letters)
        assert (kept[0]["value"], kept[0]["size"]) == (large, None)


async def test_a_larger_row_is_told_whole_where_the_topic_takes_it(
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics
) -> None:
    # Larger than a producer sends unless it is told to.
    await letters.take_larger(stack.bootstrap, topics.dead_letters, 3_000_000)
    async with pool.acquire() as db:
        large = DeadLetter(0, 0, "c", "m", b"k", b"x" * 2_000_000, "[]")
        await store.write(db, topics.touchpoints, "stitcher", [large])
    async with _letterbox(topics):
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
        (told,) = await letters.read(stack.bootstrap, topics.dead_letters)
        assert (told.value, told.size) == (large.value, None)


async def test_one_that_cannot_be_read_is_kept_with_its_bytes_and_the_others_with_all_they_say(
    stitcher_settings: None, pool: asyncpg.Pool[Any], stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_once(topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Letter:
        if value == b"fault":
            raise OverflowError
        return decode(topic, key, value, headers)

    monkeypatch.setattr(letterbox, "decode", fails_once)
    told = Letter(stage="reader", code="missing_event", message="m", topic=topics.touchpoints, source="till")
    for value in (b"a", b"fault", b"b"):
        await letters.put(stack.bootstrap, topics.dead_letters, value, encode(told), b"k")
    async with _letterbox(topics):
        found = await letters.rows(pool, 3, "topic = $1", topics.dead_letters)
    assert {(row["value"], row["stage"], row["code"], row["source"]) for row in found} == {
        (b"a", "reader", "missing_event", "till"),
        (b"fault", "unknown", "unexplained", None),
        (b"b", "reader", "missing_event", "till"),
    }


async def test_rows_that_are_too_much_for_their_time_are_told_in_smaller_portions(
    stitcher_settings: None, pool: asyncpg.Pool[Any], topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, most = Teller._put, 7

    async def slow(teller: Teller, rows: Any, told: Any) -> None:
        if len(rows) > most:
            raise TimeoutError
        await put(teller, rows, told)

    monkeypatch.setattr(Teller, "_put", slow)
    monkeypatch.setattr(letterbox, "REJOIN_SECONDS", 0.05)
    monkeypatch.setattr(letterbox, "TELL_EVERY_SECONDS", 0.05)
    await _write(pool, topics.touchpoints, range(25))
    async with _letterbox(topics):
        await until(lambda: letters.none_untold(pool, topics.touchpoints))
