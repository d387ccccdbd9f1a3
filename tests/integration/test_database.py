"""The pool: named, in UTC, and bounded against a session that sleeps in a transaction."""

import asyncpg
import pytest

from pathline.kit.database import create_pool


async def test_sessions_are_named_in_utc_and_bounded(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        assert await connection.fetchval("SHOW timezone") == "UTC"
        assert await connection.fetchval("SHOW application_name") == "test"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"


async def test_a_transaction_that_sleeps_is_ended(database: str) -> None:
    pool = await create_pool(database, max_size=2, application_name="sleeper", idle_in_transaction_timeout_ms=50)
    try:
        async with pool.acquire() as watcher, pool.acquire() as sleeper:
            transaction = sleeper.transaction()
            await transaction.start()
            pid = sleeper.get_server_pid()
            while await watcher.fetchval("SELECT true FROM pg_stat_activity WHERE pid = $1", pid):
                pass
            # The last: asyncpg was just reading that it is at an end.
            ended = (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, asyncpg.InternalClientError)
            with pytest.raises(ended):
                await sleeper.fetchval("SELECT 1")
    finally:
        pool.terminate()
