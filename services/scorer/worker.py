"""The scorer's loop over hints: take partitions, poll, judge in a transaction, or in several at once, next."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from pathline.consuming.partitions import Partitions, Shares
from pathline.kit.pace import Pace
from services.scorer.batch import batches, lanes
from services.scorer.transactions import RevokedError, Transactions

if TYPE_CHECKING:
    from pathline.consuming.persistence import Persistence
    from pathline.kit.health import Health
    from services.scorer.metrics import ScorerMetrics
    from services.scorer.settings import ScorerSettings

POLL_MS: Final = 200
"""How long a poll waits for a first record. It returns as soon as there is one."""


class Worker:
    """One consumer of the journeys topic, from joining the group to leaving it."""

    def __init__(
        self,
        settings: ScorerSettings,
        partitions: Partitions,
        transactions: Transactions,
        persistence: Persistence,
        metrics: ScorerMetrics,
        health: Health,
    ) -> None:
        """Work with `partitions` of a consumer that is not subscribed yet."""
        self._settings = settings
        self._partitions = partitions
        self._transactions = transactions
        self._persistence = persistence
        self._metrics = metrics
        self._health = health
        self._pace = Pace(settings.scorer_pace_ms / 1_000)
        self.progressed_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Judge until `stop`.

        Raises:
            FenceLostError: a peer took a partition; leave the group and join it anew.
            OtherClusterError: this process must not go on.
        """
        self._partitions.subscribe()
        while not stop.is_set():
            await self._take_assigned()
            await self._pace.kept()
            shares = await self._partitions.poll(POLL_MS, self._settings.scorer_batch)
            await self._judge_all(shares, stop)

    async def _take_assigned(self) -> None:
        # Only where there is something to take: else a database that is away would be said to be there.
        if self._partitions.missing:
            await self._persistence.run(self._partitions.take_assigned)
        self._metrics.partitions.set(len(self._partitions.owned))
        if self._partitions.joined:
            self._health.set("partitions", None)

    async def _judge_all(self, shares: Shares, stop: asyncio.Event) -> None:
        """Judge what these records point at; of much in lanes, so that one computes while PostgreSQL works for another.

        To each other they are what two scorers are: each has partitions of its own, and waits where a story is locked.
        """
        parts = lanes(shares, self._settings.scorer_batch, self._settings.scorer_at_once)
        if len(parts) == 1:
            await self._judge(shares, stop)
            return
        tasks = [asyncio.create_task(self._judge(part, stop, full=True)) for part in parts]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _judge(self, shares: Shares, stop: asyncio.Event, *, full: bool = False) -> None:
        """Judge these in order. What is left at the end is read again by whoever has the partition.

        Args:
            shares: records by partition.
            stop: the end.
            full: whether more waits for certain, so that nothing is let gather.
        """
        for batch in batches(shares, self._settings.scorer_batch):
            if stop.is_set():
                return
            self._pace.began(full=full or 2 * len(batch.hints) > self._settings.scorer_batch)
            try:
                await self._transactions.batch(batch, self._partitions)
            except RevokedError:
                await self._judge(self._partitions.still_ours(batch.shares), stop, full=full)
            self._pace.ended()
            self.progressed_at = time.monotonic()
