"""One connection to the database for what a command does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from pathline.kit.settings import Settings

CONNECT_SECONDS = 10
T = TypeVar("T")


def with_database(work: Callable[[Any], Awaitable[T]]) -> T:
    """What `work` answers, done in one transaction."""

    async def run() -> T:
        connection = await asyncpg.connect(Settings.load().dsn(), timeout=CONNECT_SECONDS)
        try:
            async with connection.transaction():
                return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
