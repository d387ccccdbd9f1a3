"""What a change of detectors makes of the stories there are: all judged again in the background, a batch at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from pathline.consuming.patience import pause
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.storage import detectors, risks, sweeps
from services.scorer.keeping import BEAT_SECONDS

if TYPE_CHECKING:
    from services.scorer.keeping import Keeper
    from services.scorer.metrics import ScorerMetrics
    from services.scorer.settings import ScorerSettings
    from services.scorer.transactions import Transactions

log = get_logger(__name__)


class Sweeper:
    """Judges every story again after a change of detectors, and what going live or away makes of open episodes."""

    def __init__(
        self,
        settings: ScorerSettings,
        keeper: Keeper,
        transactions: Transactions,
        pool: asyncpg.Pool[Any],
        metrics: ScorerMetrics,
    ) -> None:
        """Sweep by the rules of this `keeper`."""
        self._batch = settings.rejudge_batch
        self._keeper = keeper
        self._transactions = transactions
        self._pool = pool
        self._metrics = metrics
        self._told_to: dict[str, UUID] = {}
        """For each detector that went live, the shadow up to which they are told."""

    async def run(self, halt: asyncio.Event) -> None:
        """A batch at a time until `halt`, with as long a pause after each as it took: judging what comes goes first."""
        while not halt.is_set():
            began = time.monotonic()
            try:
                busy = await self.step()
            except DATABASE_ERRORS as error:
                log.warning("stories not judged again", error=type(error).__name__)
                busy = False
            await pause(halt, time.monotonic() - began if busy else BEAT_SECONDS)

    async def step(self) -> bool:
        """Do some of what there is to do; whether there may be more."""
        swept = await self._sweep()
        told = await self._tell_shadows()
        ended = await self._withdraw()
        return swept or told or ended

    async def _sweep(self) -> bool:
        rules = self._keeper.rules
        async with self._pool.acquire() as db:
            if await sweeps.again(db, rules):
                log.info("scorers ran other detectors for a while: every story is judged again", rules=rules)
            claimed = await sweeps.claim(db, self._keeper.id, rules)
            if claimed is None:
                return False
            keys = await sweeps.following(db, claimed.done_to, self._batch)
        await self._transactions.stories(keys)
        await self._ask_risks(keys)
        self._metrics.rejudged.inc(len(keys))
        over = len(keys) < self._batch
        async with self._pool.acquire() as db:
            last = keys[-1] if keys else None
            kept = await sweeps.advance(db, self._keeper.id, claimed, last, len(keys), over=over)
            standing = await sweeps.standing(db)
        if standing is not None:
            self._metrics.rejudged_share.set(standing.share)
        if kept and over and standing is not None:
            log.info("every story is judged by these detectors", rules=rules, stories=standing.judged)
        return not over

    async def _tell_shadows(self) -> bool:
        """Judge the stories of shadows whose detector has gone live: those that hold are told of."""
        async with self._pool.acquire() as db:
            waiting = {name: self._told_to.get(name, sweeps.NOBODY) for name in await detectors.gone_live(db)}
            found = {name: await detectors.shadows(db, name, after, self._batch) for name, after in waiting.items()}
        # One that cannot be judged now is passed by, and met again in the next round.
        self._told_to = {name: rows[-1][0] for name, rows in found.items() if len(rows) == self._batch}
        for rows in found.values():
            keys = {story for _, story in rows}
            await self._transactions.stories(keys)
            await self._ask_risks(keys)
        return bool(self._told_to)

    async def _ask_risks(self, keys: Collection[UUID]) -> None:
        """Have the customers looked at, too, of what is alerted in these stories."""
        async with self._pool.acquire() as db:
            await risks.ask_of_stories(db, keys)

    async def _withdraw(self) -> bool:
        """End what is left of detectors that are gone, once nobody can still run them."""
        async with self._pool.acquire() as db:
            standing = await sweeps.standing(db)
        if standing is None or not standing.quiet or standing.rules != self._keeper.rules:
            return False
        return await self._transactions.withdraw(self._batch) >= self._batch
