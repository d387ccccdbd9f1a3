"""Partitions of the touchpoint table by the week they were received, made ahead of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

WEEKS_AHEAD: Final = 4
"""Weeks for which a partition stands ready: a stitcher that makes none for that long still finds a place."""


async def ensure(connection: Connection[Any] | PoolConnectionProxy[Any], now: datetime) -> int:
    """Make the partitions of this week and the next ones that are missing; return how many weeks are ready.

    Weeks start on Monday, UTC. A row that finds no partition goes to `touchpoint_rest`.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    for week in range(WEEKS_AHEAD + 1):
        start = monday + timedelta(weeks=week)
        end = start + timedelta(weeks=1)
        name = f"touchpoint_{start:%Y_%m_%d}"
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF touchpoint"
                f" FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
            )
    return WEEKS_AHEAD + 1
