"""Which stitchers run, and by which stage file. A rebuild looks here; nothing that is stitched depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from pathline.domain.facts import FOLD_VERSION

if TYPE_CHECKING:
    from pathline.storage.connection import Db

RECENT: Final = "30 seconds"
"""Who was seen in this time is there. Stitchers say so every few seconds."""


async def announce(db: Db, process: UUID, stages: str) -> None:
    """Say that this stitcher runs, and by which stage file."""
    await db.execute(
        "INSERT INTO stitcher_process (id, stages, fold_version, seen_at) VALUES ($1, $2, $3, clock_timestamp())"
        " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        process,
        stages,
        FOLD_VERSION,
    )
    await db.execute("DELETE FROM stitcher_process WHERE seen_at < clock_timestamp() - interval '1 day'")


async def leave(db: Db, process: UUID) -> None:
    """Say that this stitcher runs no more."""
    await db.execute("DELETE FROM stitcher_process WHERE id = $1", process)


async def stitchers(db: Db, stages: str) -> tuple[int, int]:
    """How many stitchers run, and how many of these by another stage file or are of an older version."""
    row = await db.fetchrow(
        "SELECT count(*) AS all, count(*) FILTER (WHERE stages <> $1 OR fold_version < $2) AS others"
        f" FROM stitcher_process WHERE seen_at > clock_timestamp() - interval '{RECENT}'",
        stages,
        FOLD_VERSION,
    )
    return (0, 0) if row is None else (row["all"], row["others"])
