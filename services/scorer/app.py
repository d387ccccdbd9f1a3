"""The scorer as a process: its parts put together, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import asyncpg
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from pathline.consuming.lookout import UNANSWERED, Lookout
from pathline.consuming.partitions import NO_PARTITION, Partitions
from pathline.consuming.patience import insist, pause
from pathline.consuming.persistence import LOCK_WAIT_MS, Persistence
from pathline.contracts import detector_files
from pathline.kit import draining, kafka, lifecycle, logging
from pathline.kit.database import close_pool, create_pool
from pathline.kit.health import Health, health_routes
from pathline.storage.fences import FenceLostError, OtherClusterError
from pathline.storage.stitching import NewerStateError
from services.scorer import delivering, gauges
from services.scorer.judgement import Judge
from services.scorer.metrics import ScorerMetrics
from services.scorer.settings import ScorerSettings
from services.scorer.transactions import Transactions
from services.scorer.waker import keep_deadlines
from services.scorer.worker import Worker

if TYPE_CHECKING:
    from pathline.domain.detectors.compiled import Detectors

log = logging.get_logger(__name__)

REJOIN_PAUSE_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 9
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""
TICK_SECONDS: Final = 0.5
"""How often the lag is measured."""


class StalledError(Exception):
    """Hints wait and none is judged: a client library has lost its way, and a fresh process will find it."""


async def main(stop: asyncio.Event) -> None:
    """Run a scorer until `stop`."""
    settings = ScorerSettings.load()
    logging.configure("scorer", settings.log_level)
    detectors = detector_files.load(settings.detectors, settings.detector_overrides)
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry, kafka.topics(settings.topic_prefix).journeys, detectors.files)
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
        work = _score(settings, detectors, pool, metrics, health, stop)
        await draining.drain(work, stop, seconds=DRAIN_SECONDS, cut=pool.terminate)
        await serving


async def _score(
    settings: ScorerSettings,
    detectors: Detectors,
    pool: asyncpg.Pool[Any],
    metrics: ScorerMetrics,
    health: Health,
    stop: asyncio.Event,
) -> None:
    """Judge hints, keep deadlines and deliver, each in a task of its own, until `stop`."""
    topics = kafka.topics(settings.topic_prefix)
    judge = Judge(
        detectors,
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
    async with delivering.couriers(settings, detectors, pool, metrics, halt) as news:
        transactions = Transactions(pool, judge, persistence, metrics, news)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_halt_with(stop, halt))
            tasks.create_task(_unless_refused(keep_deadlines(settings, transactions, halt), health, halt))
            tasks.create_task(gauges.refresh(pool, metrics, halt))
            while not halt.is_set():
                life = _one_life(settings, pool, transactions, persistence, metrics, health, halt)
                await _unless_refused(life, health, halt)
            await stop.wait()


async def _halt_with(stop: asyncio.Event, halt: asyncio.Event) -> None:
    await stop.wait()
    halt.set()


async def _unless_refused(work: Coroutine[Any, Any, None], health: Health, halt: asyncio.Event) -> None:
    """Work until it ends. What was written by a newer version, or read from another Kafka, is left alone for good."""
    try:
        await work
    except (NewerStateError, OtherClusterError) as refusal:
        health.set("refused", str(refusal))
        log.critical("stopped judging", reason=str(refusal))
        halt.set()


async def _one_life(
    settings: ScorerSettings,
    pool: asyncpg.Pool[Any],
    transactions: Transactions,
    persistence: Persistence,
    metrics: ScorerMetrics,
    health: Health,
    halt: asyncio.Event,
) -> None:
    """Join the group, judge, leave it: until `halt`, or until a peer has taken what was ours."""
    health.set("partitions", NO_PARTITION)
    metrics.lag.set(math.nan)
    consumer = kafka.make_consumer(
        settings.bootstrap(),
        client_id="pathline-scorer",
        group_id=f"{settings.topic_prefix}.scorer",
        group_instance_id=settings.instance or None,
        auto_offset_reset="earliest",
    )
    try:
        cluster_id = await kafka.cluster_id(settings.bootstrap())
        await consumer.start()
        health.set("kafka", None)
        partitions = Partitions(consumer, pool, kafka.topics(settings.topic_prefix).journeys, cluster_id)
        worker = Worker(settings, partitions, transactions, persistence, metrics, health)
        working = asyncio.create_task(worker.run(halt))
        ticking = asyncio.create_task(_tick(worker, Lookout(partitions, pool, health), settings, metrics, health))
        try:
            await asyncio.wait({ticking, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task.result for task in (working, ticking) if task.done()]
            working.cancel()
            ticking.cancel()
            await asyncio.gather(working, ticking, return_exceptions=True)
        for result in ended:
            result()
    except FenceLostError as lost:
        metrics.failures.labels("fence_lost").inc()
        log.warning("a peer took a partition; joining the group anew", reason=str(lost))
        await pause(halt, REJOIN_PAUSE_SECONDS)
    except (KafkaError, OSError) as error:
        metrics.failures.labels("kafka").inc()
        health.set("kafka", f"{type(error).__name__}: {error}"[:200])
        await pause(halt, REJOIN_PAUSE_SECONDS)
    finally:
        await kafka.stop_consumer(consumer)


async def _tick(
    worker: Worker, lookout: Lookout, settings: ScorerSettings, metrics: ScorerMetrics, health: Health
) -> None:
    """Measure the lag, and watch for a stall; while the database fails nobody can judge, and waiting is right."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            seen = await lookout.look()
        except UNANSWERED as error:
            log.warning("lag not measured", error=type(error).__name__)
            metrics.lag.set(math.nan)
            worker.progressed_at = time.monotonic()
            continue
        metrics.lag.set(seen.waiting)
        if seen.ours == 0 or "database" in health.reasons:
            worker.progressed_at = time.monotonic()
        elif time.monotonic() - worker.progressed_at > settings.stall_seconds:
            message = f"{seen.ours} records wait and none was judged for {settings.stall_seconds} s"
            raise StalledError(message)
