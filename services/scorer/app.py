"""The scorer as a process: its parts put together, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import asyncpg
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from pathline.consuming.life import Life, Membership, unless_refused
from pathline.consuming.partitions import NO_PARTITION, Partitions
from pathline.consuming.patience import insist
from pathline.consuming.persistence import LOCK_WAIT_MS, Persistence
from pathline.contracts.detector_folder import Folder, Loaded
from pathline.kit import draining, kafka, lifecycle, logging
from pathline.kit.database import close_pool, create_pool
from pathline.kit.health import Health, health_routes
from services.scorer import delivering, gauges
from services.scorer.judgement import Judge
from services.scorer.keeping import Keeper, on_hangup
from services.scorer.metrics import ScorerMetrics
from services.scorer.risks import Composer
from services.scorer.settings import ScorerSettings
from services.scorer.sweeping import Sweeper
from services.scorer.transactions import Transactions
from services.scorer.waker import keep_deadlines
from services.scorer.worker import Worker

log = logging.get_logger(__name__)

DRAIN_SECONDS: Final = 9
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""
TICK_SECONDS: Final = 0.5
"""How often the lag is measured."""


async def main(stop: asyncio.Event) -> None:
    """Run a scorer until `stop`."""
    settings = ScorerSettings.load()
    logging.configure("scorer", settings.log_level)
    folder = Folder(settings.detectors, settings.detector_overrides, settings.holidays)
    loaded = folder.load()
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry, kafka.topics(settings.topic_prefix).journeys, loaded.detectors.files)
    health = Health(partitions=NO_PARTITION)
    app = Starlette(routes=health_routes(health, registry))
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        serving = tasks.create_task(lifecycle.serve(app, settings.scorer, stop=stop))
        stack.callback(stop.set)
        pool = await insist(
            lambda: create_pool(
                settings.dsn(),
                max_size=settings.scorer_connections,
                application_name="pathline scorer",
                lock_timeout_ms=LOCK_WAIT_MS,
            ),
            health,
            "database",
            stop,
        )
        if pool is None:
            return
        stack.push_async_callback(close_pool, pool)
        work = _score(settings, folder, loaded, pool, metrics, health, stop)
        await draining.drain(work, stop, seconds=DRAIN_SECONDS, cut=pool.terminate)
        await serving


async def _score(
    settings: ScorerSettings,
    folder: Folder,
    loaded: Loaded,
    pool: asyncpg.Pool[Any],
    metrics: ScorerMetrics,
    health: Health,
    stop: asyncio.Event,
) -> None:
    """Judge hints, keep deadlines, deliver and keep to the files, each in a task of its own, until `stop`."""
    topics = kafka.topics(settings.topic_prefix)
    judge = Judge(
        loaded.detectors,
        ZoneInfo(settings.zone),
        topics.touchpoints,
        timedelta(seconds=settings.blind_after_seconds),
        settings.scorer_neighbours,
    )
    halt = asyncio.Event()
    """Set at the end, and when the database is one that this process must not judge: then nothing may be alerted."""
    persistence = Persistence(health, metrics.failures)
    if await insist(lambda: delivering.configure(pool, settings.webhook_url), health, "database", stop) is None:
        return
    keeper = Keeper(settings, folder, judge, pool, metrics, loaded)
    if await insist(keeper.adopt, health, "database", stop) is None:
        return
    async with delivering.couriers(settings, lambda: judge.detectors, pool, metrics, halt) as news:
        transactions = Transactions(pool, judge, persistence, metrics, news)
        async with asyncio.TaskGroup() as tasks, on_hangup(keeper.wanted):
            tasks.create_task(keeper.run(halt))
            sweeper = Sweeper(settings, keeper, transactions, pool, metrics)
            tasks.create_task(unless_refused(sweeper.run(halt), health, halt))
            composer = Composer(pool, judge, persistence, transactions)
            tasks.create_task(unless_refused(composer.run(settings, halt), health, halt))
            tasks.create_task(_halt_with(stop, halt))
            tasks.create_task(unless_refused(keep_deadlines(settings, transactions, halt), health, halt))
            tasks.create_task(gauges.refresh(pool, metrics, halt))
            life = _life(settings, pool, transactions, persistence, metrics, health)
            await unless_refused(life.run(halt), health, halt)
            await stop.wait()


async def _halt_with(stop: asyncio.Event, halt: asyncio.Event) -> None:
    await stop.wait()
    halt.set()


def _life(
    settings: ScorerSettings,
    pool: asyncpg.Pool[Any],
    transactions: Transactions,
    persistence: Persistence,
    metrics: ScorerMetrics,
    health: Health,
) -> Life:
    def work(partitions: Partitions) -> Worker:
        return Worker(settings, partitions, transactions, persistence, metrics, health)

    membership = Membership(
        bootstrap=settings.bootstrap(),
        client_id="pathline-scorer",
        group_id=f"{settings.topic_prefix}.scorer",
        instance=settings.instance,
        topic=kafka.topics(settings.topic_prefix).journeys,
        tick_seconds=TICK_SECONDS,
        stall_seconds=settings.stall_seconds,
    )
    return Life(membership, pool, health=health, lag=metrics.lag, failures=metrics.failures, work=work)
