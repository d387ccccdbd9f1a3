"""The stitcher as a process: its parts put together, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from pathline.consuming.lookout import UNANSWERED, Lookout
from pathline.consuming.partitions import NO_PARTITION, Partitions
from pathline.consuming.patience import insist, pause
from pathline.consuming.persistence import LOCK_WAIT_MS, Persistence
from pathline.contracts import stage_files
from pathline.contracts.accepted import NewerRecordError
from pathline.domain.stages import Stages
from pathline.kit import draining, kafka, lifecycle, logging
from pathline.kit.database import close_pool, create_pool
from pathline.kit.health import Health, health_routes
from pathline.kit.producer import LastingProducer
from pathline.storage.fences import FenceLostError, OtherClusterError
from pathline.storage.stitching import NewerStateError
from services.stitcher.herald import Herald
from services.stitcher.hints import HintPublisher
from services.stitcher.letterbox import Letterbox
from services.stitcher.metrics import StitcherMetrics
from services.stitcher.settings import StitcherSettings
from services.stitcher.upkeep import Upkeep
from services.stitcher.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path


log = logging.get_logger(__name__)

REJOIN_PAUSE_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 6
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""


class StalledError(Exception):
    """Records wait and none is stitched: a client library has lost its way, and a fresh process will find it."""


def read_stages(path: Path | None) -> Stages:
    """The stage file at `path`, or the one that comes with Pathline.

    Raises:
        StageError: the file cannot be used.
    """
    return stage_files.load(path)


async def main(stop: asyncio.Event) -> None:
    """Run a stitcher until `stop`."""
    settings = StitcherSettings.load()
    logging.configure("stitcher", settings.log_level)
    stages = read_stages(settings.stages)
    topics = kafka.topics(settings.topic_prefix)
    registry = CollectorRegistry()
    metrics = StitcherMetrics(registry, topics.touchpoints, topics.dead_letters)
    health = Health(partitions=NO_PARTITION)
    app = Starlette(routes=health_routes(health, registry))
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        serving = tasks.create_task(lifecycle.serve(app, settings.stitcher, stop=stop))
        stack.callback(stop.set)
        pool = await insist(
            lambda: create_pool(
                settings.dsn(),
                max_size=settings.stitcher_connections,
                application_name="pathline stitcher",
                lock_timeout_ms=LOCK_WAIT_MS,
            ),
            health,
            "database",
            stop,
        )
        if pool is None:
            return
        stack.push_async_callback(close_pool, pool)
        producer = LastingProducer(settings.bootstrap(), client_id="pathline-stitcher")
        stack.push_async_callback(producer.discard)
        if await insist(producer.started, health, "kafka", stop) is None:
            return
        publisher = HintPublisher(producer, topics.journeys)
        tasks.create_task(Letterbox(settings, metrics, stop).run())
        tasks.create_task(Herald(pool, settings.bootstrap(), topics.journeys, metrics, stop).run())
        work = _stitch(settings, pool, publisher, topics.touchpoints, stages, metrics, health, stop)
        await draining.drain(work, stop, seconds=DRAIN_SECONDS, cut=pool.terminate)
        await serving


async def _stitch(
    settings: StitcherSettings,
    pool: asyncpg.Pool[Any],
    publisher: HintPublisher,
    topic: str,
    stages: Stages,
    metrics: StitcherMetrics,
    health: Health,
    stop: asyncio.Event,
) -> None:
    while not stop.is_set():
        await _one_life(settings, pool, publisher, topic, stages, metrics, health, stop)


async def _one_life(
    settings: StitcherSettings,
    pool: asyncpg.Pool[Any],
    publisher: HintPublisher,
    topic: str,
    stages: Stages,
    metrics: StitcherMetrics,
    health: Health,
    stop: asyncio.Event,
) -> None:
    """Join the group, stitch, leave it: until `stop`, or until a peer has taken what was ours."""
    health.set("partitions", NO_PARTITION)
    metrics.lag.set(math.nan)
    consumer = kafka.make_consumer(
        settings.bootstrap(),
        client_id="pathline-stitcher",
        group_id=f"{settings.topic_prefix}.stitcher",
        group_instance_id=settings.instance or None,
        auto_offset_reset="earliest",
    )
    try:
        cluster_id = await kafka.cluster_id(settings.bootstrap())
        await consumer.start()
        health.set("kafka", None)
        partitions = Partitions(consumer, pool, topic, cluster_id)
        worker = Worker(
            settings=settings, pool=pool, partitions=partitions,
            persistence=Persistence(health, metrics.failures), publisher=publisher, stages=stages, metrics=metrics,
            health=health,
        )  # fmt: skip
        ended = asyncio.Event()
        ticking = asyncio.create_task(_tick(worker, Lookout(partitions, pool, health), settings, metrics, ended))
        maintaining = asyncio.create_task(Upkeep(pool, settings, metrics).run(ended))
        working = asyncio.create_task(worker.run(stop))
        await asyncio.wait({ticking, working}, return_when=asyncio.FIRST_COMPLETED)
        ended.set()
        if not working.done():
            working.cancel()
        ticking.cancel()
        maintaining.cancel()
        results = await asyncio.gather(working, ticking, maintaining, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
    except FenceLostError as lost:
        metrics.failures.labels("fence_lost").inc()
        log.warning("a peer took a partition; joining the group anew", reason=str(lost))
        await pause(stop, REJOIN_PAUSE_SECONDS)
    except (NewerRecordError, NewerStateError, OtherClusterError) as refusal:
        health.set("refused", str(refusal))
        log.critical("stopped consuming", reason=str(refusal))
        metrics.lag.set(math.nan)
        # Our partitions are for a peer that can read what we cannot.
        await kafka.stop_consumer(consumer)
        await stop.wait()
    except (KafkaError, OSError) as error:
        metrics.failures.labels("kafka").inc()
        health.set("kafka", f"{type(error).__name__}: {error}"[:200])
        await pause(stop, REJOIN_PAUSE_SECONDS)
    finally:
        await kafka.stop_consumer(consumer)


async def _tick(
    worker: Worker, lookout: Lookout, settings: StitcherSettings, metrics: StitcherMetrics, ended: asyncio.Event
) -> None:
    """Note how far we have read, twice a second also when nothing comes, and watch for a stall."""
    while not ended.is_set():
        await pause(ended, settings.tick_ms / 1_000)
        try:
            seen = await lookout.look()
            await lookout.note()
        except UNANSWERED as error:
            log.warning("tick failed", error=type(error).__name__)
            metrics.lag.set(math.nan)
            worker.progressed_at = time.monotonic()
            continue
        metrics.lag.set(seen.waiting)
        if seen.ours == 0:
            worker.progressed_at = time.monotonic()
        elif time.monotonic() - worker.progressed_at > settings.stall_seconds:
            message = f"{seen.ours} records wait and none was stitched for {settings.stall_seconds} s"
            raise StalledError(message)
