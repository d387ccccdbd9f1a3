"""Postgres pools: named, bounded, and unable to hold a lock while asleep."""

import asyncio
from typing import Final

import asyncpg

DATABASE_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection that was cut in the middle of a statement, when it is given back to its pool.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What the database, or the way to it, may answer with."""

CLOSE_SECONDS: Final = 5
"""How long connections may take to end."""

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
"""A frozen process loses its transaction after this, so that it cannot block the peer that takes over."""


async def create_pool(
    dsn: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    lock_timeout_ms: int = LOCK_TIMEOUT_MS,
    idle_in_transaction_timeout_ms: int = IDLE_IN_TRANSACTION_TIMEOUT_MS,
) -> asyncpg.Pool:
    """A pool, connected. UUIDs are `uuid.UUID`; json and jsonb pass as `str`; times are aware and in UTC.

    `application_name` is what `pg_stat_activity` shows. Raises asyncpg.PostgresError or OSError.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        command_timeout=statement_timeout_ms / 1_000 + 5,
        server_settings={
            "application_name": application_name,
            "timezone": "UTC",
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(lock_timeout_ms),
            "idle_in_transaction_session_timeout": str(idle_in_transaction_timeout_ms),
        },
    )


async def close_pool(pool: asyncpg.Pool, seconds: float = CLOSE_SECONDS) -> None:
    """End the connections; those that do not end in time are cut."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except DATABASE_ERRORS:
        pool.terminate()
