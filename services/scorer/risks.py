"""Customers whose alerts add up, live: after each change of an alert, and when time alone takes the score down.

It never runs in the transaction that changed the alert: the customer's root is another lock than the story's, and two
scorers that took both, each in its own order, would wait for each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pathline.consuming.patience import pause
from pathline.consuming.persistence import REFUSALS
from pathline.domain import composing, judging
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment
from pathline.kit.logging import get_logger
from pathline.storage import detectors as states
from pathline.storage import fences, judgements, risks
from services.scorer.judgement import Judged

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from pathline.consuming.persistence import Persistence
    from pathline.storage.connection import Db
    from services.scorer.judgement import Judge
    from services.scorer.settings import ScorerSettings
    from services.scorer.transactions import Transactions

log = get_logger(__name__)

BATCH: Final = 50
"""Customers looked at in one transaction, at most."""


class Composer:
    """Looks at customers, each under a lock of their own."""

    def __init__(
        self, pool: asyncpg.Pool[Any], judge: Judge, persistence: Persistence, transactions: Transactions
    ) -> None:
        """Look by the detectors of `judge`; what comes of it is told as that of `transactions` is."""
        self._pool = pool
        self._judge = judge
        self._persistence = persistence
        self._transactions = transactions

    async def run(self, settings: ScorerSettings, stop: asyncio.Event) -> None:
        """Every `scorer_poll_ms` look at whoever is asked for or due, until nobody is left; until `stop`."""
        while not stop.is_set():
            if await self.step() < BATCH:
                await pause(stop, settings.scorer_poll_ms / 1_000)

    async def step(self) -> int:
        """Look at some; returns how many looks were taken, of those asked for or of those due."""
        return max(await self._taken(self._asked), await self._taken(self._due))

    async def _taken(self, work: Any) -> int:
        """Run one kind of work; where the database refuses something, one look at a time."""
        try:
            return await self._one(work, BATCH)
        except REFUSALS:
            for _ in range(BATCH):
                try:
                    if not await self._one(work, 1):
                        break
                except REFUSALS as refusal:
                    # Its message may quote what a customer sent.
                    log.error("the database refuses a customer's risk", error=type(refusal).__name__)  # noqa: TRY400
                    await self._persistence.run(self._pass_by, work)
            return BATCH

    async def _one(self, work: Any, limit: int) -> int:
        started = time.perf_counter()
        judged: Judged = await self._persistence.run(work, limit)
        self._transactions.tell(judged, "risk", time.perf_counter() - started)
        return judged.taken

    async def _pass_by(self, work: Any) -> None:
        """Leave out the one that is refused: the next change of theirs asks for another look."""
        async with self._pool.acquire() as db, db.transaction():
            if work == self._asked:
                await risks.take(db, 1)
            else:
                due = await risks.take_due(db, await self._clock(db), 1)
                await risks.schedule(db, dict.fromkeys(due))

    async def _asked(self, limit: int) -> Judged:
        async with self._pool.acquire() as db, db.transaction():
            taken = await risks.take(db, limit)
            if not taken:
                return Judged()
            roots = await risks.roots(db, taken)
            await risks.lock(db, roots)
            judged = await self._look(db, roots)
        judged.taken = len(taken)
        return judged

    async def _due(self, limit: int) -> Judged:
        async with self._pool.acquire() as db, db.transaction():
            taken = await risks.take_due(db, await self._clock(db), limit)
            if not taken:
                return Judged()
            # Who is somebody else's by now has another lock; that look is taken like all others.
            roots = await risks.roots(db, taken)
            gone = set(taken) - roots
            await risks.schedule(db, dict.fromkeys(gone))
            await risks.ask(db, gone)
            judged = await self._look(db, roots.intersection(taken))
        judged.taken = len(taken)
        return judged

    async def _clock(self, db: Db) -> datetime:
        return await fences.clock(db)

    async def _look(self, db: Db, roots: Collection[UUID]) -> Judged:
        """Judge these locked customers."""
        detectors = self._judge.detectors
        # After the lock, so that the clock is not behind what is read.
        clock = await self._clock(db)
        when = Moment(clock, clock, clock)
        troubled = await risks.load(db, roots, composing.composites(detectors))
        looked = {one.root: composing.look(detectors, one, when) for one in troubled}
        every = [one for listed in looked.values() for one in listed]
        causes = composing.causes_of(every)
        judged = Judged(keys=set(looked))
        for ended, stays in composing.merge(every, when):
            await risks.inherit(db, stays.detector, [cause for _, cause in causes], ended.alert.id, stays.id)
            judged.changes.append(ended)
        spent = await judgements.spent(db, causes) if causes else {}
        on_trial = await states.on_trial(db) if every else frozenset[str]()
        changes, due = list[Change](), dict.fromkeys(roots)
        for root, listed in looked.items():
            assessed = composing.settle(listed, spent, when)
            own = {(one.detector.name, one.own[0].entity_id): one.own[0] for one in listed if one.own}
            new = {one.view.id for one in assessed if one.verdict.holding and one.episode not in own}
            memory = Memory(own, spent, await judgements.latest(db, new) if new else {})
            mine = judging.judge(assessed, memory, when, on_trial)
            changes += mine
            due[root] = judging.next_due(assessed, memory, mine)
        judged.changes += changes
        if judged.changes:
            await judgements.keep(db, judged.changes)
        await risks.schedule(db, due)
        return judged
