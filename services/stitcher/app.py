"""The stitcher as a process: its parts put together, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from pathline.consuming.life import Life, Membership, unless_refused
from pathline.consuming.partitions import NO_PARTITION, Partitions
from pathline.consuming.patience import insist
from pathline.consuming.persistence import LOCK_WAIT_MS, Persistence
from pathline.contracts import stage_files
from pathline.domain.stages import Stages
from pathline.kit import draining, kafka, lifecycle, logging
from pathline.kit.database import close_pool, create_pool
from pathline.kit.health import Health, health_routes
from pathline.kit.producer import LastingProducer
from services.stitcher.ear import Ear
from services.stitcher.herald import Herald
from services.stitcher.hints import HintPublisher
from services.stitcher.letterbox import Letterbox
from services.stitcher.metrics import StitcherMetrics
from services.stitcher.presence import Presence
from services.stitcher.settings import StitcherSettings
from services.stitcher.upkeep import Upkeep
from services.stitcher.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path


log = logging.get_logger(__name__)

DRAIN_SECONDS: Final = 6
"""How long what is in hand may take at the end, where the database or Kafka does not answer."""


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
        tasks.create_task(Presence(pool, stages.identity, metrics).run(stop))
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
    """Stitch until `stop`, which is waited for also where this process must not go on."""
    ear = Ear(pool, topic, settings, metrics)

    def work(partitions: Partitions) -> Worker:
        return Worker(
            settings=settings, pool=pool, partitions=partitions,
            persistence=Persistence(health, metrics.failures), publisher=publisher, stages=stages, metrics=metrics,
            health=health, ear=ear,
        )  # fmt: skip

    membership = Membership(
        bootstrap=settings.bootstrap(),
        client_id="pathline-stitcher",
        group_id=f"{settings.topic_prefix}.stitcher",
        instance=settings.instance,
        topic=topic,
        tick_seconds=settings.tick_ms / 1_000,
        notes=True,
        stall_seconds=settings.stall_seconds,
    )
    life = Life(
        membership, pool, health=health, lag=metrics.lag, failures=metrics.failures, work=work,
        beside=[Upkeep(pool, settings, metrics).run, ear.run],
    )  # fmt: skip
    await unless_refused(life.run(stop), health)
    await stop.wait()
