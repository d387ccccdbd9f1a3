"""The scorer's transactions without its processes, for tests of judging against a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from prometheus_client import CollectorRegistry

from pathline.consuming.partitions import Ownership, Partitions
from pathline.consuming.persistence import Persistence
from pathline.contracts import detector_files, hint
from pathline.contracts.hint import Hint
from pathline.domain.alerts import Alert
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.health import Health
from pathline.kit.origin import Origin
from pathline.storage import alerts
from services.scorer.batch import Batch, batches
from services.scorer.judgement import Judge, things_of
from services.scorer.metrics import ScorerMetrics
from services.scorer.transactions import Transactions
from tests.support.stitching import stitch
from tests.support.world import START, touchpoint

OF_THESE_TESTS = {
    "checkout_abandoned", "delivery_at_risk", "delivery_exception", "detractor", "late_vs_promise", "payment_failed",
}  # fmt: skip
DETECTORS = Detectors(one for name, one in detector_files.load().files.items() if name in OF_THESE_TESTS)
"""A few: how judging is stored does not depend on how many there are."""

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=30)

SLOW = """\
name: slow
title: Order {{value}} is slow
ease: obtain
advice: Look.
entity: [order]
version: {version}
thresholds: {{patience: {patience}}}
deadline: {{at: placed, after: patience}}
severity:
  - level: warning
"""
"""The file of a detector of orders that wait, to be given a version and a patience."""


def scorer(
    pool: asyncpg.Pool[Any], topic: str, detectors: Detectors = DETECTORS, *, neighbours: int = 100
) -> Transactions:
    metrics = ScorerMetrics(CollectorRegistry(), topic, detectors.files)
    judge = Judge(detectors, ZoneInfo("UTC"), topic, timedelta(minutes=5), neighbours)
    return Transactions(pool, judge, Persistence(Health(), metrics.failures), metrics, asyncio.Event())


def metric(transactions: Transactions, name: str, *labels: str) -> float:
    counter = getattr(transactions._metrics, name)
    return float((counter.labels(*labels) if labels else counter)._value.get())


def placed(order: str, promised: datetime, *, at: datetime = LONG_AGO, number: int = 1, **more: Any) -> Touchpoint:
    one = touchpoint(
        number,
        event="Order Completed",
        people={"user_id": f"buyer of {order}"},
        things={"order": order},
        properties={"promised_at": promised.isoformat()},
        seconds=(at - START).total_seconds(),
        source=order,
        **more,
    )
    return msgspec.structs.replace(one, message_id=f"{order}-{number}")


async def judge(pool: asyncpg.Pool[Any], transactions: Transactions, touchpoints: Sequence[Touchpoint]) -> None:
    await transactions.stories(set(things_of(await stitch(pool, touchpoints))))


async def late(pool: asyncpg.Pool[Any], orders: Iterable[Touchpoint]) -> list[Alert]:
    async with pool.acquire() as db:
        found = await alerts.list_alerts(db, subjects=[t.things[0].id for t in orders], limit=1_000)
    return [one for one in found if one.detector == "late_vs_promise"]


async def states_of(pool: asyncpg.Pool[Any], things: Sequence[UUID]) -> list[str]:
    async with pool.acquire() as db:
        return [one.state for one in await alerts.list_alerts(db, subjects=things)]


class _Consumer:
    """Gives no records: what is judged in these tests is in hand already."""


def in_hand(pool: asyncpg.Pool[Any], topic: str, hints: Sequence[Hint]) -> tuple[Partitions, Batch]:
    """A batch of one record, polled from a partition that was taken under epoch 1 at offset 0."""
    partitions = Partitions(_Consumer(), pool, topic, Origin("test", None))
    own = partitions.owned[0] = Ownership(1, 0)
    sent = SimpleNamespace(
        partition=0, offset=0, timestamp=NOW.timestamp() * 1_000, key=None, headers=(), value=hint.encode(hints, NOW)
    )  # fmt: skip
    (batch,) = batches({0: (own, [sent])}, 100)
    return partitions, batch
