"""The watch over a stall: hints that wait and are not judged end the process, unless nobody could judge them."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pathline.consuming.lookout import Look
from pathline.kit.health import Health
from services.scorer import app
from services.scorer.app import StalledError
from services.scorer.metrics import ScorerMetrics
from tests.support.records import until


class Lookout:
    """Sees three hints of ours among five, or nothing."""

    def __init__(self) -> None:
        self.looks = 0
        self.away = False

    async def look(self) -> Look:
        self.looks += 1
        if self.away:
            raise TimeoutError
        return Look(datetime.now(UTC), {0: 5}, waiting=5, ours=3)


def ticking(lookout: Lookout, health: Health, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Task[None], Any]:
    monkeypatch.setattr(app, "TICK_SECONDS", 0)
    metrics = ScorerMetrics(CollectorRegistry(), "t", ())
    worker: Any = SimpleNamespace(progressed_at=-math.inf)
    settings: Any = SimpleNamespace(stall_seconds=60)
    seen: Any = lookout
    return asyncio.create_task(app._tick(worker, seen, settings, metrics, health)), metrics.lag._value


async def test_hints_that_nobody_judges_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    task, lag = ticking(Lookout(), Health(), monkeypatch)
    assert math.isnan(lag.get())
    with pytest.raises(StalledError):
        await task
    assert lag.get() == 5


@pytest.mark.parametrize("away", [True, False], ids=["not seen", "said"])
async def test_while_the_database_is_away_it_is_no_stall(monkeypatch: pytest.MonkeyPatch, *, away: bool) -> None:
    lookout = Lookout()
    lookout.away = away
    task, lag = ticking(lookout, Health() if away else Health(database="gone"), monkeypatch)

    async def looked() -> bool:
        return lookout.looks > 3

    await until(looked)
    assert not task.done()
    assert math.isnan(lag.get()) == away
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
