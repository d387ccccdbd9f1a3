"""RudderStack's merge, by the collector's address: who is united, and what becomes of one union too many."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from pathline.domain.identifiers import name_id
from pathline.domain.people import MAX_JOINED
from pathline.storage import people
from tests.support import letters
from tests.support.letters import Stitcher
from tests.support.records import until

pytestmark = pytest.mark.integration


async def merge(collector: httpx.AsyncClient, one: str, other: str, key: str = "demo") -> httpx.Response:
    body = {"mergeProperties": [{"type": "user_id", "value": one}, {"type": "user_id", "value": other}]}
    return await collector.post("/v1/merge", content=orjson.dumps(body), auth=(key, ""))


async def joined(pool: asyncpg.Pool, name: str) -> int:
    async with pool.acquire() as db:
        return len(await people.joined(db, [name_id("default", "user_id", name)]))


async def test_one_union_too_many_is_a_dead_letter_and_joins_nobody(
    collector: httpx.AsyncClient, stitcher: Stitcher, pool: asyncpg.Pool
) -> None:
    for number in range(1, MAX_JOINED):
        answer = await merge(collector, f"m{number}", f"m{number - 1}")
        assert (answer.status_code, answer.json()) == (200, {"success": True})

    async def all_of_them() -> bool:
        return await joined(pool, "m0") == MAX_JOINED

    await until(all_of_them)
    # The collector takes it: only who reads all of it knows that it is too much.
    assert (await merge(collector, "m0", "one-too-many")).status_code == httpx.codes.OK
    (letter,) = await letters.rows(pool, 1, "code = 'join_too_large'")
    assert letter["source"] == "demo" and b"one-too-many" in letter["value"]
    assert await joined(pool, "m0") == MAX_JOINED
    assert await joined(pool, "one-too-many") == 0
    # Two that are one already are one union more, and no user_id more.
    assert (await merge(collector, "m0", f"m{MAX_JOINED - 1}")).status_code == httpx.codes.OK

    async def again() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM user_join") == MAX_JOINED)

    await until(again)
    assert await pool.fetchval("SELECT count(*) FROM dead_letter") == 1


async def test_a_browser_merges_nobody(collector: httpx.AsyncClient) -> None:
    answer: Any = await merge(collector, "a", "b", key="demo-web")
    assert (answer.status_code, answer.json()["code"]) == (403, "needs_server_key")
