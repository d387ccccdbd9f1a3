"""What the stitcher cannot use becomes dead letters, and holds up nobody: unreadable, refused, over a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from pathline.domain.identifiers import touchpoint_id
from pathline.kit.kafka import Topics
from tests.support.letters import Stitcher
from tests.support.records import record, until
from tests.support.rows import becomes, count, stored

pytestmark = pytest.mark.integration

REFUSED = "Does Not Fit"


async def test_what_cannot_be_read_is_a_dead_letter_with_its_bytes(
    stitcher: Stitcher, pool: asyncpg.Pool, send: Any, topics: Topics
) -> None:
    nobody = record({"event": "Product Viewed", "userId": "null"}, message_id="n", source="s3")
    with capture_logs() as said:
        await send(b"not json", nobody, record({"userId": "fine", "event": "Seen"}, message_id="f", source="s3"))
        await until(lambda: becomes(stored(pool, "s3"), 1))

        async def told() -> bool:
            return len([one for one in said if one["event"] == "dead letter"]) == 2

        await until(told)
    assert {(one["code"], one["message_id"]) for one in said if one["event"] == "dead letter"} == {
        ("no_subject", "n"), ("unreadable_record", None),
    }  # fmt: skip
    await until(
        lambda: becomes(count(pool, "SELECT count(*) FROM dead_letter WHERE topic = $1", topics.touchpoints), 2)
    )
    rows = await pool.fetch("SELECT code, value FROM dead_letter WHERE topic = $1 ORDER BY code", topics.touchpoints)
    assert [(row["code"], row["value"]) for row in rows] == [("no_subject", nobody), ("unreadable_record", b"not json")]


@pytest.fixture
async def refusing(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """A PostgreSQL that takes no event of the name REFUSED, as it takes no value that does not fit a column."""
    await pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'does not fit' USING ERRCODE = 'data_exception'; END $$;"
        f"CREATE TRIGGER refuse BEFORE INSERT ON touchpoint FOR EACH ROW WHEN (new.event = '{REFUSED}')"
        " EXECUTE FUNCTION refuse()"
    )
    yield
    await pool.execute("DROP TRIGGER refuse ON touchpoint; DROP FUNCTION refuse()")


async def letters(pool: asyncpg.Pool, topics: Topics, code: str) -> int:
    return await count(
        pool, "SELECT count(*) FROM dead_letter WHERE topic = $1 AND code = $2", topics.touchpoints, code
    )


async def test_what_the_database_refuses_does_not_hold_up_the_others(
    refusing: None, stitcher: Stitcher, pool: asyncpg.Pool, send: Any, topics: Topics
) -> None:
    good = [record({"userId": f"g{n}", "event": "Seen"}, message_id=f"g{n}", source="s4") for n in range(20)]
    poison = record({"userId": "bad", "event": REFUSED}, message_id="bad", source="s4")
    await send(*good[:10], poison, *good[10:])
    await until(lambda: becomes(stored(pool, "s4"), 20))
    await until(lambda: becomes(letters(pool, topics, "database_refused"), 1))


async def test_a_source_whose_records_keep_being_refused_is_paused_alone(
    refusing: None,
    stitcher_settings: None,
    pool: asyncpg.Pool,
    send: Any,
    topics: Topics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most, bad = 3, 12
    monkeypatch.setenv("PATHLINE_STITCHER_REFUSED_PER_MINUTE", str(most))
    poison = [record({"userId": "bad", "event": REFUSED}, message_id=f"bad{n}", source="till") for n in range(bad)]
    good = [record({"userId": f"p{n}", "event": "Seen"}, message_id=f"p{n}", source="s4p") for n in range(20)]
    stitcher = Stitcher()
    try:
        await send(*good[:10], *poison, *good[10:])
        await until(lambda: becomes(stored(pool, "s4p"), len(good)))
        # What is good of the paused one is set aside, too: with its bytes, to be replayed.
        await send(record({"userId": "fine", "event": "Seen"}, message_id="fine", source="till"))

        async def all_aside() -> bool:
            refused = await letters(pool, topics, "database_refused")
            return refused > most and refused + await letters(pool, topics, "source_paused") == bad + 1

        await until(all_aside)
    finally:
        await stitcher.end()
    assert await letters(pool, topics, "source_paused") > 1
    assert await stored(pool, "till") == 0


async def test_a_join_over_the_limit_is_a_dead_letter_and_is_not_noted_as_seen(
    stitcher: Stitcher, pool: asyncpg.Pool, send: Any, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stitcher.transaction.MAX_JOINED", 3)
    for n in range(4):
        await send(
            record({"type": "alias", "userId": f"j{n + 1}", "previousId": f"j{n}"}, message_id=f"j{n}", source="s7")
        )
    await until(
        lambda: becomes(count(pool, "SELECT count(*) FROM dead_letter WHERE topic = $1", topics.touchpoints), 1)
    )
    codes = await pool.fetch("SELECT DISTINCT code FROM dead_letter WHERE topic = $1", topics.touchpoints)
    assert [row["code"] for row in codes] == ["join_too_large"]
    await until(lambda: becomes(stored(pool, "s7"), 3))
    refused = touchpoint_id("s7", "j2")
    assert await count(pool, "SELECT count(*) FROM seen WHERE id = $1", refused) == 0
