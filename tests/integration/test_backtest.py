"""The backtest and the live services agree: the same log through the stitcher's and the scorer's real transactions."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry

from pathline.backtest.calls import PART, Calls, instants
from pathline.backtest.simulation import Simulation
from pathline.backtest.work import Here
from pathline.commands.backtest import collector
from pathline.consuming.persistence import Persistence
from pathline.contracts import detector_files
from pathline.demo.history import history
from pathline.domain.alerts import Alert
from pathline.domain.identifiers import Identifier, touchpoint_id
from pathline.domain.moments import Moment
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.database import create_pool
from pathline.kit.health import Health
from pathline.kit.origin import Origin
from pathline.storage import alerts, fences
from pathline.storage.fences import Advance
from services.scorer.judgement import Judge, Judged
from services.scorer.metrics import ScorerMetrics
from services.scorer.risks import Composer
from services.scorer.transactions import Transactions
from services.stitcher.batch import Batch
from services.stitcher.transaction import stitch
from tests.support.world import STAGES, START, painful_logs, touchpoint

pytestmark = pytest.mark.integration

DETECTORS = detector_files.load()
UTC_ZONE = ZoneInfo("UTC")
END = START + timedelta(days=10)
_numbers = itertools.count()


class Clocked(Judge):
    """The scorer's transactions under a clock of ours."""

    now = START

    async def _moment(self, _db: Any) -> Moment:
        return Moment(self.now, self.now, self.now)


class ClockedComposer(Composer):
    """What alerts add up to, under the clock of that judge."""

    async def _clock(self, _db: Any) -> datetime:
        assert isinstance(self._judge, Clocked)
        return self._judge.now


class Live:
    """A stitcher and a scorer that run one after the other, on one partition of a topic of their own."""

    def __init__(self, pool: asyncpg.Pool[Any], topic: str) -> None:
        self.pool = pool
        self.topic = topic
        self.judge = Clocked(DETECTORS, UTC_ZONE, topic, timedelta(minutes=5), 1_000)
        self.at = Advance(0, 1, 0, 0)
        metrics = ScorerMetrics(CollectorRegistry(), topic, DETECTORS.files)
        persistence = Persistence(Health(), metrics.failures)
        told = Transactions(pool, self.judge, persistence, metrics, asyncio.Event())
        self.composer = ClockedComposer(pool, self.judge, persistence, told)

    async def run(self, log: Sequence[Touchpoint]) -> None:
        async with self.pool.acquire() as db:
            await fences.take(db, self.topic, 0, Origin("test", None))
        for at, together in groupby(sorted(log, key=lambda t: t.occurred_at), key=lambda t: t.occurred_at):
            await self.sleep_until(at, before=True)
            await self.happen(at, list(together))
        await self.sleep_until(END)

    async def happen(self, at: datetime, together: Sequence[Touchpoint]) -> None:
        offsets = {t.id: (0, self.at.next_offset + n) for n, t in enumerate(together)}
        batch = Batch({0: []}, {t.id: t for t in together}, offsets, {}, [], len(together))
        ends = self.at.next_offset + len(together)
        self.at = Advance(0, 1, self.at.next_offset, ends)
        async with self.pool.acquire() as db, db.transaction():
            stitched = await stitch(db, self.topic, batch, [self.at], STAGES, {})
        self.judge.now = at
        async with self.pool.acquire() as db, db.transaction():
            judged = await self.judge.hints(db, f"{self.topic}.hints", stitched.hints, [])
        await self.elsewhere(judged)

    async def sleep_until(self, until: datetime, *, before: bool = False) -> None:
        """Judge what is due, at its instant, up to `until`, or up to just before it."""
        while True:
            first = await self.pool.fetchval(
                "SELECT least((SELECT min(due_at) FROM watch), (SELECT min(due_at) FROM customer_risk))"
            )
            if first is None or first > until or (before and first == until):
                return
            self.judge.now = first
            async with self.pool.acquire() as db, db.transaction():
                judged = await self.judge.due(db, 1_000)
            await self.elsewhere(judged)

    async def elsewhere(self, judged: Judged) -> None:
        """What a scorer does at once besides: orders that others turned out to be part of, and whose alerts add up."""
        if judged.elsewhere:
            async with self.pool.acquire() as db, db.transaction():
                await self.judge.stories(db, judged.elsewhere)
        while await self.composer.step():
            pass

    async def alerts(self, namespace: str) -> dict[UUID, Alert]:
        async with self.pool.acquire() as db:
            listed = await alerts.list_alerts(db, limit=1_000)
        return {alert.id: alert for alert in listed if alert.namespace == namespace}


def moved(log: Iterable[Touchpoint], namespace: str) -> list[Touchpoint]:
    """The same log in a namespace of its own, so that many can run in one database."""

    def named(names: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
        return tuple(name._replace(namespace=namespace) for name in names)

    return [
        msgspec.structs.replace(
            t,
            namespace=namespace,
            people=named(t.people),
            things=named(t.things),
            source=f"{namespace}-{t.source}",
            id=touchpoint_id(f"{namespace}-{t.source}", t.message_id),
        )
        for t in log
    ]


def simulated(log: Iterable[Touchpoint]) -> dict[UUID, Alert]:
    simulation = Simulation(DETECTORS, UTC_ZONE)
    for at, together in groupby(sorted(log, key=lambda t: t.occurred_at), key=lambda t: t.occurred_at):
        simulation.happen(at, together)
    simulation.sleep_until(END)
    return {alert.id: alert for alert in simulation.alerts()}


async def live(dsn: str, log: Sequence[Touchpoint], namespace: str) -> dict[UUID, Alert]:
    pool = await create_pool(dsn, min_size=1, max_size=2, application_name="test")
    try:
        services = Live(pool, f"touchpoints-{namespace}")
        await services.run(log)
        return await services.alerts(namespace)
    finally:
        await pool.close()


def test_they_agree_about_a_shops_month(database: str) -> None:
    calls = Calls(most=10_000, on_bad=lambda bad: pytest.fail(str(bad)), on_read=lambda _: None)
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(history(3, customers=15, start=START, days=9))
        file.flush()
        calls.read(file.name, partial(Here().take, collector("month")))
    log = [touchpoint for part in calls.parts(PART) for _, together in instants(part) for _, touchpoint in together]
    found = asyncio.run(live(database, log, "month"))
    assert found == simulated(log)
    assert {alert.detector for alert in found.values()} >= {"checkout_abandoned", "late_vs_promise", "journey_risk"}


def rated(number: int, day: float, **people: str) -> Touchpoint:
    return touchpoint(
        number, event="Survey Answered", people=people, things={"case": f"{number}"}, seconds=day * 86_400,
        properties={"survey": "nps", "score": 0},
    )  # fmt: skip


def test_they_agree_about_alerts_that_add_up_fade_and_add_up_again(database: str) -> None:
    """Of two who turn out to be one, told twice; time alone ends the first, and answers the last, at their instant."""
    log = [
        rated(1, 0, user_id="ann"),
        rated(2, 0.5, anonymous_id="browser"),
        touchpoint(3, type="identify", people={"user_id": "ann", "anonymous_id": "browser"}, seconds=86_400),
        rated(4, 8, user_id="ann"),
        rated(5, 8, anonymous_id="browser"),
        *(
            touchpoint(
                n + 2, event="Contact Replied", things={"case": f"{n}"}, properties={"by": "agent"}, seconds=9 * 86_400
            )
            for n in (4, 5)
        ),
    ]
    mine = moved([*log, *log], "again")
    found = asyncio.run(live(database, mine, "again"))
    assert found == simulated(mine)
    told = sorted((a for a in found.values() if a.detector == "journey_risk"), key=lambda a: a.episode)
    assert [(a.opened_at, a.resolution) for a in told] == [
        (log[1].occurred_at, "eased"),
        (log[3].occurred_at, "eased"),
    ]
    fell_at, answered_at = (a.resolved_at for a in told)
    assert fell_at is not None and log[2].occurred_at < fell_at < log[3].occurred_at
    assert answered_at == log[5].occurred_at


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip
@given(painful_logs(most=12))
def test_the_live_transactions_find_what_the_backtest_finds(database: str, log: list[Touchpoint]) -> None:
    namespace = f"n{next(_numbers)}"
    mine = moved(log, namespace)
    assert asyncio.run(live(database, mine, namespace)) == simulated(mine)
