"""Couriers: each empties the outbox of one endpoint, so that a dead one slows no other.

At least once, with the same delivery id: a row is taken on lease, sent, and deleted. Who dies in
between leaves the lease to run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import fences, outbox

if TYPE_CHECKING:
    from pathline.storage.outbox import Delivery
    from services.scorer.metrics import ScorerMetrics

log = get_logger(__name__)

AGAIN_SECONDS: Final = 1.0
"""How long a courier waits after the database failed it."""

DRAIN_SECONDS: Final = 8
"""How long deliveries under way may take at the end. What is cut off is sent again, with the same id."""


class Delivered(msgspec.Struct, frozen=True):
    """The endpoint has it."""


class Postponed(msgspec.Struct, frozen=True):
    """It did not work; try again in so many seconds."""

    seconds: float
    why: str


class GivenUp(msgspec.Struct, frozen=True):
    """It will not work: kept for a person to see."""

    why: str


class Gone(msgspec.Struct, frozen=True):
    """The endpoint wants no more: it is switched off."""

    why: str


Outcome = Delivered | Postponed | GivenUp | Gone

Deliver = Callable[[Sequence["Delivery"]], Awaitable[list[Outcome]]]
"""Sends deliveries of different alerts, and says in the same order what became of each. Raises nothing."""


class Courier:
    """Empties one endpoint's queue."""

    def __init__(
        self,
        endpoint: str,
        deliver: Deliver,
        pool: asyncpg.Pool[Any],
        metrics: ScorerMetrics,
        *,
        batch: int,
        at_once: int,
        lease: timedelta,
        poll_seconds: float,
    ) -> None:
        """Deliver what waits for `endpoint`.

        Args:
            endpoint: its name in the outbox.
            deliver: how.
            pool: where the outbox is.
            metrics: what is counted.
            batch: deliveries given to one call of `deliver`, at most.
            at_once: calls of it under way, at most.
            lease: for how long nobody else gets what was taken; longer than a call takes.
            poll_seconds: how often the outbox is looked at when nobody rings.
        """
        self._endpoint = endpoint
        self._deliver = deliver
        self._pool = pool
        self._metrics = metrics
        self._batch = batch
        self._at_once = at_once
        self._lease = lease
        self._poll_seconds = poll_seconds
        self._calls: set[asyncio.Task[None]] = set()
        self.news = asyncio.Event()
        """Set by whoever wrote to the outbox, so that it need not be polled often."""

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`, then let what is under way end."""
        ending = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self.news.clear()
                taken = await self._take((self._at_once - len(self._calls)) * self._batch)
                for first in range(0, len(taken), self._batch):
                    self._start(taken[first : first + self._batch])
                if not taken or len(self._calls) >= self._at_once:
                    await self._wait(ending, full=len(self._calls) >= self._at_once)
        finally:
            ending.cancel()
            if self._calls:
                _done, late = await asyncio.wait(self._calls, timeout=DRAIN_SECONDS)
                for call in late:
                    call.cancel()

    def _start(self, deliveries: Sequence[Delivery]) -> None:
        call = asyncio.create_task(self._call(deliveries))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        # The next of the same alerts may go now.
        call.add_done_callback(lambda _: self.news.set())

    async def _wait(self, ending: asyncio.Task[Any], *, full: bool) -> None:
        """For a call to end while all are under way, else for news or the next look."""
        waits: set[asyncio.Task[Any]] = {ending, *self._calls} if full else {ending}
        ringing = asyncio.create_task(self.news.wait())
        if not full:
            waits.add(ringing)
        try:
            await asyncio.wait(waits, timeout=self._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()

    async def _take(self, limit: int) -> list[Delivery]:
        try:
            async with self._pool.acquire() as db:
                return await outbox.take(db, self._endpoint, await fences.clock(db), limit, self._lease)
        except DATABASE_ERRORS as error:
            log.warning("outbox not read", endpoint=self._endpoint, error=type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
            return []

    async def _call(self, deliveries: Sequence[Delivery]) -> None:
        outcomes = await self._deliver(deliveries)
        try:
            async with self._pool.acquire() as db, db.transaction():
                now = await fences.clock(db)
                done = [d.id for d, o in zip(deliveries, outcomes, strict=True) if isinstance(o, Delivered)]
                if done:
                    await outbox.delivered(db, done)
                for delivery, outcome in zip(deliveries, outcomes, strict=True):
                    match outcome:
                        case Postponed(seconds, why):
                            await outbox.postpone(db, delivery.id, now + timedelta(seconds=seconds), why)
                        case GivenUp(why):
                            await outbox.fail(db, delivery.id, now, why)
                        case Gone(why):
                            await outbox.disable(db, self._endpoint, now, why)
        except DATABASE_ERRORS as error:
            # The lease runs out, and they are sent again with the same ids.
            log.warning("deliveries not noted", endpoint=self._endpoint, error=type(error).__name__)
        self._count(deliveries, outcomes)

    def _count(self, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]) -> None:
        now = datetime.now(UTC)
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            match outcome:
                case Delivered():
                    seconds = max(0.0, (now - delivery.created_at).total_seconds())
                    self._metrics.delivered_seconds.labels(self._endpoint).observe(seconds)
                    self._metrics.deliveries.labels(self._endpoint, "delivered").inc()
                case Postponed(_, why):
                    self._metrics.deliveries.labels(self._endpoint, "retried").inc()
                    log.warning("not delivered", endpoint=self._endpoint, delivery=delivery.delivery_id, reason=why)
                case GivenUp(why) | Gone(why):
                    self._metrics.deliveries.labels(self._endpoint, "failed").inc()
                    log.error("given up", endpoint=self._endpoint, delivery=delivery.delivery_id, reason=why)
