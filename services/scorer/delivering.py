"""The couriers of a process: which endpoints there are, and how each is delivered to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from pathline.kit import kafka
from pathline.kit.logging import get_logger
from pathline.storage import outbox
from services.scorer.courier import Courier
from services.scorer.feed import SEND_TIMEOUT_SECONDS, ConsoleFeed
from services.scorer.webhook import WebhookSender

if TYPE_CHECKING:
    from pathline.domain.alerts import Alert
    from pathline.domain.detectors.compiled import Detectors
    from services.scorer.metrics import ScorerMetrics
    from services.scorer.settings import ScorerSettings

log = get_logger(__name__)

LEASE_MARGIN_SECONDS: Final = 4
"""How much longer than a call a lease is: time to note what became of it. So long a killed courier's wait, too."""


class News(asyncio.Event):
    """Rings at every courier."""

    def __init__(self, couriers: list[Courier]) -> None:
        """Ring at these."""
        super().__init__()
        self._couriers = couriers

    def set(self) -> None:
        """There is something to deliver."""
        for courier in self._couriers:
            courier.news.set()


@asynccontextmanager
async def couriers(
    settings: ScorerSettings,
    detectors: Callable[[], Detectors],
    pool: asyncpg.Pool[Any],
    metrics: ScorerMetrics,
    halt: asyncio.Event,
) -> AsyncIterator[News]:
    """Deliver from the outbox until `halt`; what is given rings when there is something.

    Args:
        settings: of the scorer.
        detectors: those of the moment, for what each advises.
        pool: of connections.
        metrics: of the scorer.
        halt: the end.
    """
    async with AsyncExitStack() as stack:
        feed = ConsoleFeed(settings.bootstrap(), kafka.topics(settings.topic_prefix).alerts)
        stack.push_async_callback(feed.close)
        running = [_console(settings, feed, pool, metrics)]
        if settings.webhook_url is not None and settings.webhook_secret is not None:
            sender = WebhookSender(
                settings.webhook_url,
                settings.webhook_secret.get_secret_value(),
                advice=lambda alert: advice_of(detectors(), alert),
                console_url=settings.console_url,
                allow_private=settings.webhook_allow_private,
                timeout_seconds=settings.webhook_timeout_seconds,
                connections=settings.webhook_concurrency,
            )
            stack.push_async_callback(sender.close)
            running.append(_webhook(settings, sender, pool, metrics))
        async with asyncio.TaskGroup() as tasks:
            for courier in running:
                tasks.create_task(courier.run(halt))
            yield News(running)


async def configure(pool: asyncpg.Pool[Any], webhook_url: str | None) -> bool:
    """Say which endpoints notices are written for, from now on."""
    async with pool.acquire() as db, db.transaction():
        await outbox.configure(db, outbox.WEBHOOK, webhook_url)
        off = await outbox.disabled(db)
    for endpoint, reason in off.items():
        log.warning("an endpoint is switched off", endpoint=endpoint, reason=reason)
    return True


def advice_of(detectors: Detectors, alert: Alert) -> str | None:
    """What to do next, as the alert's detector says it."""
    known = detectors.of(alert.namespace, alert.entity_kind)
    return next((one.advice for one in known if one.name == alert.detector), None)


def _console(settings: ScorerSettings, feed: ConsoleFeed, pool: asyncpg.Pool[Any], metrics: ScorerMetrics) -> Courier:
    return Courier(
        outbox.CONSOLE,
        feed.deliver,
        pool,
        metrics,
        batch=settings.outbox_batch,
        at_once=1,
        lease=timedelta(seconds=SEND_TIMEOUT_SECONDS + LEASE_MARGIN_SECONDS),
        poll_seconds=settings.outbox_poll_ms / 1_000,
    )


def _webhook(
    settings: ScorerSettings, sender: WebhookSender, pool: asyncpg.Pool[Any], metrics: ScorerMetrics
) -> Courier:
    return Courier(
        outbox.WEBHOOK,
        sender.deliver,
        pool,
        metrics,
        batch=1,
        at_once=settings.webhook_concurrency,
        lease=timedelta(seconds=settings.webhook_timeout_seconds + LEASE_MARGIN_SECONDS),
        poll_seconds=settings.outbox_poll_ms / 1_000,
    )
