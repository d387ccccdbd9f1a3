"""A source that falls silent is told of once, by whichever of several stitchers sees it first, until it speaks again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pathline.domain.rhythm import Limits
from pathline.kit.kafka import Topics
from pathline.storage import rhythms
from pathline.storage.rhythms import FORGOTTEN_AFTER, Turn
from tests.conftest import Stack
from tests.support.letters import Stitcher
from tests.support.records import produce, record, until

pytestmark = pytest.mark.integration

LIMITS = Limits(timedelta(hours=1), timedelta(hours=72))
NOW = datetime.now(UTC).replace(microsecond=0)


async def hear(db: asyncpg.Connection[Any], source: str, at: datetime) -> None:
    async with db.transaction():
        await rhythms.hear(db, {source: at}, LIMITS)


async def test_one_that_falls_silent_is_told_of_once_until_it_speaks(database: str) -> None:
    db, other = await asyncpg.connect(database), await asyncpg.connect(database)
    last = NOW - timedelta(hours=30)
    try:
        for n in range(240, -1, -1):
            await hear(db, "courier", last - timedelta(hours=n))
        await hear(db, "seldom", last)
        # A record that comes late takes nothing back.
        await hear(db, "courier", last - timedelta(hours=9))
        assert await rhythms.judge(db, last + timedelta(hours=2), LIMITS) == []
        assert await rhythms.judge(db, NOW, LIMITS) == [Turn("courier", last)]
        assert await rhythms.judge(other, NOW, LIMITS) == []
        assert {one.rhythm.source: one.silent_since for one in await rhythms.listed(db)} == {
            "courier": last, "seldom": None,
        }  # fmt: skip
        # A clock that is ahead is not believed.
        await hear(other, "courier", NOW + timedelta(days=400))
        assert await rhythms.judge(other, NOW, LIMITS) == [Turn("courier", None)]
        (courier, _) = await rhythms.listed(db)
        assert courier.rhythm.heard_at < NOW + timedelta(hours=1) and courier.silent_since is None
        await rhythms.judge(db, courier.rhythm.heard_at + FORGOTTEN_AFTER + timedelta(seconds=1), LIMITS)
        assert await rhythms.listed(db) == []
    finally:
        await db.close()
        await other.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stitchers that write down at once what they heard."""
    monkeypatch.setattr("services.stitcher.ear.EVERY_SECONDS", 0.05)


async def test_a_stitcher_hears_what_is_no_history(
    stack: Stack, database: str, topics: Topics, quick: None, stitcher: Stitcher
) -> None:
    call = {"event": "Product Viewed", "userId": "ann"}
    history = [record(call, message_id="h1", source="old", historical=True)]
    values = [record(call, message_id=f"m{n}", source="till", received_at=NOW - timedelta(minutes=n)) for n in range(3)]
    await produce(stack.bootstrap, topics.touchpoints, [*history, *values])
    db = await asyncpg.connect(database)
    try:

        async def heard() -> dict[str, datetime]:
            found = {one.rhythm.source: one.rhythm.heard_at for one in await rhythms.listed(db)}
            return found if found.get("till") == NOW else {}

        assert set(await until(heard)) == {"till"}
    finally:
        await db.close()
