"""What a bad body gets, over real HTTP: never a 5xx, always the error's shape, and nothing stored that can't be read.

The list is tests/support/hostile.py, docs/bad-input.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import orjson
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.kit import kafka
from tests.conftest import Stack
from tests.support.attacked import Target, attacked, check
from tests.support.collector import Log, viewed
from tests.support.hostile import CALLS, IDS, NUMBERS, STORED, TEXTS, TIMES, Case, call

pytestmark = pytest.mark.integration

CASES = {f"{heading}: {name}": case for heading, cases in CALLS.items() for name, case in cases.items()}
ACCEPTED = 'pathline_ingest_touchpoints_total{outcome="accepted"}'


@pytest.fixture(scope="module")
def target(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from attacked(stack, database, tmp_path_factory, "badinput")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_body_gets_its_answer(target: Target, case: Case) -> None:
    await send(target, case)
    await target.unhurt()


async def send(target: Target, case: Case) -> None:
    """Its answer must be the one of the list."""
    coding = (f"content-encoding: {case.encoding}",) if case.encoding else ()
    check(await target.post(case.body, case.path, *coding, key=case.key), case.code)


async def test_bad_calls_do_not_spoil_a_batch(target: Target) -> None:
    spoilers = {"bad_number", "no_subject", "bad_character", "bad_timestamp"}
    bad = [case.body for cases in (TEXTS, NUMBERS, IDS, TIMES) for case in cases.values() if case.code in spoilers]
    calls = [orjson.dumps(viewed(1)), *bad, call(b'"\xff"'), call("[" * 40 + "]" * 40), orjson.dumps(viewed(2))]
    got = await target.post(b'{"batch":[' + b",".join(calls) + b"]}", "/v1/batch")
    assert got.status == 200
    assert [one["index"] for one in got.body["rejected"]] == list(range(1, len(calls) - 1))


async def test_a_key_in_the_body_is_text(target: Target) -> None:
    for key in (b"[]", b"{}", b"7", b'""', b"null", b'"\\ud800"'):
        body = b'{"event":"A","userId":"ann","writeKey":' + key + b"}"
        raw = b"POST /v1/track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        answer = await target.exchange(raw + body)
        assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 ")), answer


async def test_all_that_was_stored_can_be_read(target: Target, stack: Stack, pool: asyncpg.Pool) -> None:
    """What is told to be stored is there, and every reader can take it."""
    consumer = kafka.make_consumer(
        stack.bootstrap, kafka.topics(target.prefix).touchpoints, client_id="test", auto_offset_reset="latest"
    )
    await consumer.start()
    try:
        # Where the end was is known from now on; what was there before is never fetched.
        for partition in consumer.assignment():
            await consumer.position(partition)
        before = await target.metric(ACCEPTED)
        for case in CASES.values():
            if case.code == STORED:
                await send(target, case)
        records = await Log(consumer).read(int(await target.metric(ACCEPTED) - before))
    finally:
        await consumer.stop()
    touchpoints = [to_touchpoint(accepted.decode(record.value)) for record in records]
    bodies = [one.body for one in touchpoints]
    # The column is json. Its stricter kin takes all but what has too many places, as the page says.
    as_json = "SELECT body::json::text AS body FROM unnest($1::text[]) body"
    async with pool.acquire() as db:
        read = await db.fetch(as_json, bodies)
        await db.fetch(as_json.replace("json", "jsonb"), [body for body in bodies if "e-20000" not in body])
        with pytest.raises(asyncpg.NumericValueOutOfRangeError):
            await db.fetch(as_json.replace("json", "jsonb"), bodies)
    for touchpoint, row in zip(touchpoints, read, strict=True):
        assert orjson.loads(row["body"]) == orjson.loads(touchpoint.body)
    same = [one for one in touchpoints if one.message_id == "twice"]
    assert len(same) == 2 and len({one.id for one in same}) == 1
    names = {person.value for one in touchpoints for person in one.people}
    assert names & {"\u00e9", "e\u0301"} == {"\u00e9"}
