"""A Kafka or a PostgreSQL that is not the one of before: made anew, or back from a backup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pathline.kit.origin import Origin, origin
from pathline.kit.topics import ensure_topics
from tests.chaos.conftest import Make
from tests.chaos.trial import Trial
from tests.conftest import Stack
from tests.support import checker
from tests.support.crowd import crowd
from tests.support.programs import Program
from tests.support.records import record, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


async def _make_anew(trial: Trial, prefix: str) -> Origin:
    """Delete the topic of touchpoints and make it again; returns what it was."""
    topic = trial.topics.touchpoints
    before = await origin(trial.bootstrap, topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=trial.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()

    async def another() -> bool:
        await ensure_topics(trial.bootstrap, prefix=prefix, partitions=2, replicas=1)
        try:
            return (await origin(trial.bootstrap, topic)).topic_id != before.topic_id
        except KafkaError:
            return False

    await until(another)
    return before


async def _refusal(program: Program) -> str:
    """Why it stopped consuming, once it did."""

    async def refused() -> str | None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{program.address}/health/ready")
        reason: str | None = answer.json()["reasons"].get("refused")
        return reason

    return str(await until(refused, 60))


def _views(prefix: str, count: int) -> list[tuple[str, bytes]]:
    return [
        (f"{prefix}{n}", record({"event": "Product Viewed", "userId": f"user-{n % 9}"}, message_id=f"{prefix}{n}"))
        for n in range(count)
    ]


async def test_a_topic_has_an_id_that_its_name_does_not_give_away(trial: Trial, topic_prefix: str) -> None:
    before = await _make_anew(trial, topic_prefix)
    after = await origin(trial.bootstrap, trial.topics.touchpoints)
    assert before.topic_id is not None
    assert after.topic_id is not None
    assert (before.cluster_id, before.topic_id != after.topic_id) == (after.cluster_id, True)
    with pytest.raises(KafkaError):
        await origin(trial.bootstrap, f"{topic_prefix}.nothing")


async def test_a_topic_that_was_made_anew_and_is_longer_than_before_is_refused_until_the_runbook_was_followed(
    trial: Trial, make: Make, topic_prefix: str
) -> None:
    stitcher = await make("stitcher").start()
    await trial.send(_views("before", 20))
    await trial.stitched()
    assert await stitcher.end() == 0
    before = await _make_anew(trial, topic_prefix)
    await trial.send(_views("after", 200))
    refused = make("stitcher")
    refused.spawn()
    await refused.speaks()
    assert f"was read from topic {before.topic_id}" in await _refusal(refused)
    assert await trial.value("SELECT count(*) FROM touchpoint") == 20
    async with trial.db() as db:
        await db.execute("DELETE FROM fence WHERE topic = $1", trial.topics.touchpoints)
    assert await refused.end() == 0
    await make("stitcher").start()
    await trial.stitched()
    assert await trial.value("SELECT count(*) FROM touchpoint") == 220


async def test_a_topic_that_is_made_anew_under_a_stitcher_is_refused(
    trial: Trial, make: Make, topic_prefix: str
) -> None:
    stitcher = await make("stitcher").start()
    await trial.send(_views("before", 20))
    await trial.stitched()
    await _make_anew(trial, topic_prefix)
    assert "made anew" in await _refusal(stitcher)
    assert stitcher.running


@asynccontextmanager
async def _backup(stack: Stack, dsn: str) -> AsyncIterator[str]:
    """The URL of a copy of the database as it is now. Nobody may be connected to it."""
    name = dsn.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(stack.dsn())
    try:
        await connection.execute(f'CREATE DATABASE "{name}_backup" TEMPLATE "{name}"')
        yield stack.dsn(f"{name}_backup")
        await connection.execute(f'DROP DATABASE "{name}_backup" WITH (FORCE)')
    finally:
        await connection.close()


async def test_a_database_from_a_backup_older_than_kafka_reads_again_what_it_lacks(
    trial: Trial, make: Make, stack: Stack
) -> None:
    programs = [await make(name).start() for name in ("stitcher", "scorer")]
    await trial.send(list(crowd(1_000, customers=100, seed=11)))
    await trial.judged()
    for program in programs:
        assert await program.end() == 0
    async with _backup(stack, trial.dsn) as restored:
        later = await make("stitcher").start()
        await trial.send(list(crowd(1_000, customers=100, seed=12)))
        await trial.stitched()
        assert await later.end() == 0
        trial.dsn = restored
        programs = [await make(name, PATHLINE_DATABASE_URL=restored).start() for name in ("stitcher", "scorer")]
        await trial.judged()
        report = await trial.report()
        for program in programs:
            assert await program.end() == 0
    assert report.findings == [], report.table
    assert report.stored == 2_000


async def test_a_database_from_a_backup_newer_than_kafka_is_refused(trial: Trial, make: Make) -> None:
    """As when Kafka itself came back from an older one: the topic is the same and ends before what was read."""
    async with trial.db() as db:
        found = await origin(trial.bootstrap, trial.topics.touchpoints)
        await db.execute(
            "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id, topic_id)"
            " VALUES ($1, 0, 1, 7, now(), $2, $3), ($1, 1, 1, 7, now(), $2, $3)",
            trial.topics.touchpoints,
            *found,
        )
    stitcher = make("stitcher")
    stitcher.spawn()
    await stitcher.speaks()
    assert "ends at 0, but was read up to 7" in await _refusal(stitcher)
    assert await checker.ends_of(trial.bootstrap, trial.topics.touchpoints) == {0: 0, 1: 0}
