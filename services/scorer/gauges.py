"""What is done from time to time: figures read off the database, and old failures forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from pathline.consuming.patience import pause
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import fences, judgements, outbox, watch

if TYPE_CHECKING:
    from services.scorer.metrics import ScorerMetrics

log = get_logger(__name__)

REFRESH_SECONDS: Final = 5.0

KEPT: Final = timedelta(days=28)
"""How long a notice is kept, to be seen where it was given up. Under 30 days: the outbox forgets with the log."""


async def refresh(pool: asyncpg.Pool[Any], metrics: ScorerMetrics, stop: asyncio.Event) -> None:
    """Keep the figures fresh and the outbox small until `stop`. Every scorer gives the same ones: take the maximum."""
    while not stop.is_set():
        try:
            await _once(pool, metrics)
        except DATABASE_ERRORS as error:
            log.warning("figures not read", error=type(error).__name__)
        await pause(stop, REFRESH_SECONDS)


async def _once(pool: asyncpg.Pool[Any], metrics: ScorerMetrics) -> None:
    async with pool.acquire() as db:
        now = await fences.clock(db)
        pruned = await outbox.prune(db, now - KEPT)
        alive = await judgements.alive_by_detector(db)
        pending, late, first = await watch.due(db, now)
        depths = await outbox.depths(db)
        off = await outbox.disabled(db)
    if pruned:
        log.warning("old notices are forgotten", count=pruned, after_days=KEPT.days)
    for detector in alive.keys() | metrics.detectors:
        told, shadows = alive.get(detector, (0, 0))
        metrics.alive.labels(detector).set(told)
        metrics.shadows.labels(detector).set(shadows)
    metrics.pending.set(pending)
    metrics.late.set(late)
    metrics.late_seconds.set(max(0.0, (now - first).total_seconds()) if late and first is not None else 0)
    for endpoint in metrics.endpoints:
        waiting, failed = depths.get(endpoint, (0, 0))
        metrics.outbox.labels(endpoint).set(waiting)
        metrics.outbox_failed.labels(endpoint).set(failed)
        metrics.disabled.labels(endpoint).set(endpoint in off)
