"""What tests of the stitcher count in its tables."""

from __future__ import annotations

from typing import Any

import asyncpg


async def count(pool: asyncpg.Pool, statement: str, *args: Any) -> int:
    return int(await pool.fetchval(statement, *args))


async def stored(pool: asyncpg.Pool, source: str) -> int:
    return await count(pool, "SELECT count(*) FROM touchpoint WHERE source = $1", source)


async def becomes(value: Any, expected: Any) -> bool:
    return bool(await value == expected)
