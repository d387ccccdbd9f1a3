"""Customers whose alerts add up, live: after each change of an alert, and when time alone takes the score down.

It never runs in the transaction that changed the alert: the customer's root is another lock than the story's, and two
scorers that took both, each in its own order, would wait for each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from pathline.consuming.patience import pause
from pathline.consuming.persistence import REFUSALS
from pathline.domain import composing, judging
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment
from pathline.kit.logging import get_logger
from pathline.storage import detectors as states
from pathline.storage import fences, judgements, looks, risks
from services.scorer.judgement import AGAIN_AFTER, Judged

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


Look: TypeAlias = "Callable[[Db, Collection[UUID]], Awaitable[Judged]]"
"""How locked customers are judged: all at once, or each by itself."""

Work: TypeAlias = "Callable[[Look], Awaitable[Judged]]"
"""A transaction that takes looks, and judges whoever they are at."""


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

    async def _taken(self, work: Work) -> int:
        """Run one kind of work; where the database refuses something of one customer, the others' is done."""
        try:
            return await self._told(work, self._look)
        except REFUSALS:
            return await self._told(work, self._look_apart)

    async def _told(self, work: Work, look: Look) -> int:
        started = time.perf_counter()
        judged = await self._persistence.run(work, look)
        self._transactions.tell(judged, "risk", time.perf_counter() - started)
        return judged.taken

    async def _asked(self, look: Look) -> Judged:
        async with self._pool.acquire() as db, db.transaction():
            taken = await risks.take(db, BATCH)
            if not taken:
                return Judged()
            roots = await risks.roots(db, taken)
            await risks.lock(db, roots)
            judged = await look(db, roots)
        judged.taken = len(taken)
        return judged

    async def _due(self, look: Look) -> Judged:
        async with self._pool.acquire() as db, db.transaction():
            taken = await risks.take_due(db, await self._clock(db), BATCH)
            if not taken:
                return Judged()
            # Who is somebody else's by now has another lock; that look is taken like all others.
            roots = await risks.roots(db, taken)
            gone = set(taken) - roots
            await risks.schedule(db, dict.fromkeys(gone))
            await looks.ask(db, gone)
            judged = await look(db, roots.intersection(taken))
        judged.taken = len(taken)
        return judged

    async def _clock(self, db: Db) -> datetime:
        return await fences.clock(db)

    async def _look_apart(self, db: Db, roots: Collection[UUID]) -> Judged:
        """Judge each of these locked customers by itself; who is refused is looked at again later."""
        judged = Judged()
        for root in sorted(roots):
            try:
                async with db.transaction():
                    one = await self._look(db, [root])
            except REFUSALS as refusal:
                # Its message may quote what a customer sent.
                log.error("the database refuses a customer's risk", customer=str(root), error=type(refusal).__name__)  # noqa: TRY400
                await risks.schedule(db, {root: await self._clock(db) + AGAIN_AFTER})
                judged.failed += 1
            else:
                judged.changes += one.changes
                judged.keys |= one.keys
        return judged

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
