"""The demo as a process: its crowd and its shop's page. It tells the collector only, and reads the console's API."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from pathline.demo.feeder import BEHIND_SECONDS_MAX, COLLECTOR, Feeder, run_tag
from pathline.demo.journeys import Journeys
from pathline.demo.metrics import DemoMetrics
from pathline.demo.pace import utc_now
from pathline.demo.settings import DemoSettings
from pathline.demo.shop import Shop, make_app
from pathline.demo.visits import Visits
from pathline.kit import lifecycle, logging
from pathline.kit.health import Health, health_routes
from pathline.sending.client import Collector

SHOP_PATIENCE_SECONDS = 4.0
"""How long a button waits for the collector before it says that nobody answers."""


async def main(stop: asyncio.Event) -> None:
    """Run the demo until `stop`."""
    settings = DemoSettings.load()
    logging.configure("demo", settings.log_level)
    registry = CollectorRegistry()
    metrics = DemoMetrics(registry)
    health = Health(**{COLLECTOR: "nothing sent yet"})

    def on_retry(why: str, _seconds: float) -> None:
        metrics.retries.inc()
        health.set(COLLECTOR, why)

    base = f"http://{settings.collector}"
    async with AsyncExitStack() as stack:
        stack.callback(stop.set)
        for_crowd = await stack.enter_async_context(
            Collector(base, patience_seconds=BEHIND_SECONDS_MAX, on_retry=on_retry)
        )
        for_shop = await stack.enter_async_context(Collector(base, patience_seconds=SHOP_PATIENCE_SECONDS))
        journeys = Journeys(settings.console, settings.home)
        stack.push_async_callback(journeys.close)
        feeder = Feeder(for_crowd, seed=settings.demo_seed, rate=settings.demo_rate, metrics=metrics, health=health)
        shop = Shop(
            visits=Visits(run_tag(utc_now())),
            collector=for_shop,
            journeys=journeys,
            metrics=metrics,
            collector_address=settings.collector,
            console_address=settings.console,
        )
        app = make_app(shop, settings.shop, health_routes(health, registry))
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(feeder.run())
            await lifecycle.serve(app, settings.shop, stop=stop)
            feeding.cancel()
        await feeder.settle()
