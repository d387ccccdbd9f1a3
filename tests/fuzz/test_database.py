"""What the decoder takes of all that was found, PostgreSQL takes too."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import orjson
import pytest

from tests.fuzz.judge import BATCH, TRUSTED, judge, seeds

pytestmark = pytest.mark.integration

CORPUS = Path(__file__).parent / "corpus"


async def test_postgres_reads_what_is_taken(pool: asyncpg.Pool) -> None:
    known = [*seeds(), *(path.read_bytes() for path in CORPUS.iterdir())]
    ways = [bytes([how]) + data[1:] for data in known for how in {data[0], TRUSTED, TRUSTED | BATCH, 7 << 1}]
    bodies = sorted({touchpoint.body for way in ways for touchpoint in judge(way)})
    names = sorted({person.value for way in ways for touchpoint in judge(way) for person in touchpoint.people})
    assert len(bodies) > 10 and len(names) > 10
    async with pool.acquire() as db:
        read = await db.fetch("SELECT body::jsonb::text AS body FROM unnest($1::text[]) body", bodies)
        assert [orjson.loads(row["body"]) for row in read] == [orjson.loads(body) for body in bodies]
        assert [row["name"] for row in await db.fetch("SELECT name FROM unnest($1::text[]) name", names)] == names
