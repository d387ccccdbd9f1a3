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
    # The column is json, which takes all; its stricter kin not a number of too many places, as docs/bad-input.md says.
    strict = [body for body in bodies if "e-20000" not in body]
    async with pool.acquire() as db:
        for kind, told in (("json", bodies), ("jsonb", strict)):
            read = await db.fetch(f"SELECT body::{kind}::text AS body FROM unnest($1::text[]) body", told)
            assert [orjson.loads(row["body"]) for row in read] == [orjson.loads(body) for body in told]
        assert [row["name"] for row in await db.fetch("SELECT name FROM unnest($1::text[]) name", names)] == names
