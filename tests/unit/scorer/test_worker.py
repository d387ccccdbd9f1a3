"""The loop over hints: what is worked on at once, and what becomes of it when one of them fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pathline.consuming.partitions import Shares
from pathline.consuming.persistence import Persistence
from pathline.kit.health import Health
from pathline.storage.fences import FenceLostError
from services.scorer.batch import Batch
from services.scorer.metrics import ScorerMetrics
from services.scorer.settings import ScorerSettings
from services.scorer.worker import Worker
from tests.unit.scorer.test_batch import shares_of

MUCH = {0: [600], 1: [600, 600], 2: [600], 3: [600]}


class Source:
    """Partitions that give these records once, and then nothing until the end."""

    joined, missing, owned = True, (), {}  # type: ignore[var-annotated]

    def __init__(self, shares: Shares, stop: asyncio.Event) -> None:
        self._shares, self._stop = shares, stop

    def subscribe(self) -> None:
        pass

    async def poll(self, _timeout_ms: int, _most: int) -> Shares:
        given, self._shares = self._shares, {}
        if not given:
            self._stop.set()
        return given


class Sink:
    """Transactions, each of which lasts until there are as many at once as are waited for, or fails."""

    def __init__(self, wait_for: int, failing: int | None = None) -> None:
        self._wait_for, self._failing = wait_for, failing
        self._met = asyncio.Event()
        self.under_way: set[int] = set()
        self.most = 0
        self.done: list[tuple[int, int]] = []
        self.cut = 0

    async def batch(self, batch: Batch, _partitions: Any) -> None:
        mine = set(batch.shares)
        assert not mine & self.under_way, "a partition is in two transactions"
        self.under_way |= mine
        self.most = max(self.most, len(self.under_way))
        if len(self.under_way) >= self._wait_for:
            self._met.set()
        try:
            await self._met.wait()
            if self._failing in mine:
                raise FenceLostError
            if self._failing is not None:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.under_way -= mine
        self.done += [(record.partition, record.offset) for _, records in batch.shares.values() for record in records]


async def worked(sizes: dict[int, list[int]], sink: Sink) -> None:
    stop = asyncio.Event()
    metrics, health, source = ScorerMetrics(CollectorRegistry(), "hints", ()), Health(), Source(shares_of(sizes), stop)
    given: Any = source, sink, Persistence(health, metrics.failures), metrics, health
    await Worker(ScorerSettings.load(), *given).run(stop)


async def test_of_much_two_transactions_are_under_way_each_of_partitions_of_its_own() -> None:
    sink = Sink(wait_for=2)
    await worked(MUCH, sink)
    assert sink.most == 2
    assert sorted(sink.done) == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]
    assert sink.done.index((1, 0)) < sink.done.index((1, 1))


async def test_of_little_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink(wait_for=1)
    await worked({0: [1], 1: [1]}, sink)
    assert (sink.most, len(sink.done)) == (2, 2), "two partitions in one transaction"
    monkeypatch.setenv("PATHLINE_SCORER_AT_ONCE", "1")
    alone = Sink(wait_for=1)
    await worked(MUCH, alone)
    assert alone.most == 1


async def test_where_one_lane_fails_the_other_is_given_up_and_the_failure_is_told() -> None:
    sink = Sink(wait_for=2, failing=1)
    with pytest.raises(FenceLostError):
        await worked(MUCH, sink)
    assert (sink.cut, sink.under_way, sink.done) == (1, set(), [])
