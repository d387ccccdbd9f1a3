"""From nothing to the newest version: what the tables of the code say, by whoever comes first, and only forward."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from pathline.embedded.trouble import Code, TroubleError
from pathline.storage import keys, migrate, partitions
from pathline.supervisor import first_run
from tests.conftest import Stack
from tests.support.records import until

pytestmark = pytest.mark.integration


@pytest.fixture
async def empty(stack: Stack) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    connection = await asyncpg.connect(stack.dsn())
    await connection.execute('CREATE DATABASE "pathline_empty"')
    yield stack.dsn("pathline_empty")
    await connection.execute('DROP DATABASE "pathline_empty" WITH (FORCE)')
    await connection.close()


async def test_an_empty_database_becomes_what_the_code_expects(empty: str) -> None:
    assert await migrate.current(empty) is None
    assert await migrate.upgrade(empty) == migrate.head()
    assert await migrate.current(empty) == migrate.head()
    assert await migrate.drift(empty) == []
    assert await migrate.upgrade(empty) == migrate.head()


async def test_a_column_too_many_is_drift(empty: str) -> None:
    await migrate.upgrade(empty)
    connection = await asyncpg.connect(empty)
    await connection.execute("ALTER TABLE write_key ADD COLUMN surplus text")
    await connection.close()
    assert [change[0] for change in await migrate.drift(empty)] == ["remove_column"]


async def parts_of(connection: asyncpg.Connection, name: str) -> int:
    """How many partitions a table has, or indexes of partitions an index."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::text::regclass", name
    )
    return count


async def test_partitions_that_were_there_before_and_come_later_have_the_index_of_the_map(empty: str) -> None:
    await migrate.upgrade(empty)
    connection = await asyncpg.connect(empty)
    try:
        # As the version before left it, but for one partition that a run cut short has done.
        await partitions.ensure(connection, datetime(2026, 1, 5, tzinfo=UTC))
        await connection.execute("DROP INDEX touchpoint_received")
        await connection.execute("CREATE INDEX touchpoint_received ON ONLY touchpoint USING brin (received_at)")
        await connection.execute(
            'CREATE INDEX "touchpoint_2026_01_05_received" ON touchpoint_2026_01_05 USING brin (received_at)'
        )
        await connection.execute("UPDATE alembic_version SET version_num = '0003'")
        await migrate.upgrade(empty)
        await partitions.ensure(connection, datetime(2027, 1, 4, tzinfo=UTC))
        tables, indexed = await parts_of(connection, "touchpoint"), await parts_of(connection, "touchpoint_received")
        valid = await connection.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'touchpoint_received'::regclass"
        )
        assert indexed == tables > 2 * partitions.WEEKS_AHEAD
        assert valid
        # The map's window: not the whole week.
        await connection.execute("SET enable_seqscan = off")
        plan = await connection.fetch(
            "EXPLAIN SELECT subject FROM touchpoint WHERE received_at >= '2026-01-06' AND received_at < '2026-01-07'"
        )
        assert any("Bitmap Index Scan on touchpoint_2026_01_05_received" in row[0] for row in plan), plan
    finally:
        await connection.close()
    assert await migrate.drift(empty) == []


async def test_every_week_has_the_index_of_answers_whatever_a_run_cut_short_left(empty: str) -> None:
    await migrate.upgrade(empty)
    connection = await asyncpg.connect(empty)
    try:
        await partitions.ensure(connection, datetime(2026, 1, 5, tzinfo=UTC))
        await connection.execute("DROP INDEX touchpoint_survey")
        # One that is half made: an index that covers nothing yet, and is not valid.
        await connection.execute(
            "CREATE INDEX touchpoint_2026_01_05_survey ON touchpoint_2026_01_05 (received_at)"
            " WHERE event = 'Survey Answered'"
        )
        await connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'touchpoint_2026_01_05_survey'::regclass"
        )
        await connection.execute("UPDATE alembic_version SET version_num = '0017'")
        await migrate.upgrade(empty)
        await partitions.ensure(connection, datetime(2027, 1, 4, tzinfo=UTC))
        weeks, indexed = await parts_of(connection, "touchpoint"), await parts_of(connection, "touchpoint_survey")
        valid = await connection.fetchval(
            "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid = 'touchpoint_survey'::regclass"
            " OR indexrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'touchpoint_survey'::regclass)"
        )
        assert indexed == weeks > 2 * partitions.WEEKS_AHEAD
        assert valid
        assert await migrate.drift(empty) == []
    finally:
        await connection.close()


@pytest.mark.parametrize(("version", "undone"), [("0009", "identifier_mailbox"), ("0014", "entity_claimed")])
async def test_an_index_made_beside_others_waits_for_a_backup_that_reads(
    empty: str, monkeypatch: pytest.MonkeyPatch, version: str, undone: str
) -> None:
    await migrate.upgrade(empty)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    connection, backup = await asyncpg.connect(empty), await asyncpg.connect(empty)
    try:
        await connection.execute(f"DROP INDEX {undone}")
        await connection.execute("UPDATE alembic_version SET version_num = $1", version)
        async with backup.transaction(isolation="repeatable_read"):
            await backup.fetch("SELECT FROM write_key")
            upgrade = asyncio.create_task(migrate.upgrade(empty))

            async def waits() -> bool:
                assert not upgrade.done(), upgrade.result()
                return bool(
                    await connection.fetchval(
                        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted"
                        " AND waitstart < clock_timestamp() - interval '200 ms'"
                    )
                )

            await until(waits)
        assert await upgrade == migrate.head()
    finally:
        await connection.close()
        await backup.close()
    assert await migrate.drift(empty) == []


async def test_two_processes_that_migrate_at_once_do_not_race(empty: str) -> None:
    program = (
        "import asyncio, sys; from pathline.storage import migrate; print(asyncio.run(migrate.upgrade(sys.argv[1])))"
    )
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, empty, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert {out.decode().strip() for out, _err in ended} == {migrate.head()}
    assert await migrate.drift(empty) == []


async def test_a_database_of_a_newer_pathline_is_refused(empty: str) -> None:
    await migrate.upgrade(empty)
    connection = await asyncpg.connect(empty)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    with pytest.raises(TroubleError, match="unknown here") as raised:
        await first_run.migrated(empty)
    assert raised.value.code == Code.OTHER_VERSION


async def test_a_table_that_is_locked_fails_it_rather_than_queue_everything_behind(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate.upgrade(empty)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    connection = await asyncpg.connect(empty)
    try:
        async with connection.transaction():
            await connection.execute("UPDATE alembic_version SET version_num = '0001'")
            await connection.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(TroubleError, match="lock timeout") as raised:
                await first_run.migrated(empty)
    finally:
        await connection.close()
    assert raised.value.code == Code.NOT_REACHABLE


async def test_the_demo_keys_are_made_once_and_stay_revoked(empty: str) -> None:
    await first_run.prepare_database(empty)
    connection = await asyncpg.connect(empty)
    try:
        found = {key.name: key for key in await keys.list_all(connection)}
        assert {name: found[name].kind for name in ("demo", "demo-web")} == {"demo": "server", "demo-web": "browser"}
        assert all(key.loopback_only for key in found.values())
        await keys.revoke(connection, "demo")
        await first_run.prepare_database(empty)
        assert "demo" not in {key.name for key in await keys.active(connection)}
    finally:
        await connection.close()


async def test_a_database_written_from_another_kafka_is_refused(stack: Stack, empty: str) -> None:
    await migrate.upgrade(empty)
    await first_run.check_cluster(empty, stack.bootstrap)
    connection = await asyncpg.connect(empty)
    await connection.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id)"
        " VALUES ('pathline.touchpoints.v1', 0, 1, 7, now(), 'elsewhere')"
    )
    await connection.close()
    with pytest.raises(TroubleError, match=r"another Kafka \(elsewhere\)") as raised:
        await first_run.check_cluster(empty, stack.bootstrap)
    assert raised.value.code == Code.OTHER_CLUSTER
