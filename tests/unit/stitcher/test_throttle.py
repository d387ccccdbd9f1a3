"""The rate of a rebuild, and the room that it leaves; by a clock of the test's own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.stitcher import throttle
from services.stitcher.settings import RebuildSettings
from services.stitcher.throttle import Throttle


class Clock:
    """What is paused passes at once."""

    def __init__(self) -> None:
        self.now = 1_000.0

    async def pause(self, _stop: asyncio.Event, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(throttle, "pause", made.pause)
    return made


class Behind(Throttle):
    """Stitchers that are behind for as many looks as the test says."""

    def __init__(self, rate: int) -> None:
        super().__init__("t", "stages", RebuildSettings(rebuild_rate=rate), asyncio.Event())
        self.looks = 0

    async def behind(self, _db: Any) -> float:
        self.looks -= 1
        return 100.0 if self.looks >= 0 else 0.0


def _nothing(_behind: float) -> None:
    return


async def test_no_second_has_more_than_its_rate_also_after_a_rest_for_the_stitchers(clock: Clock) -> None:
    calm = Behind(rate=100)
    began = clock.now
    for _ in range(5):
        await calm.rest(None, 200, _nothing)
    assert clock.now - began == pytest.approx(10)
    calm.looks = 40
    await calm.rest(None, 200, _nothing)
    rested = clock.now
    assert rested - began >= 12 + 20
    await calm.rest(None, 200, _nothing)
    assert clock.now - rested == pytest.approx(2)


async def test_what_a_page_took_counts(clock: Clock) -> None:
    calm = Behind(rate=100)
    began = clock.now
    clock.now += 1.5
    await calm.rest(None, 200, _nothing)
    assert clock.now - began == pytest.approx(2)


async def test_who_waits_for_stitchers_says_so_and_goes_on_some_time(clock: Clock) -> None:
    calm = Behind(rate=0)
    calm.looks = 1_000_000
    told: list[float] = []
    began = clock.now
    await calm.rest(None, 200, told.append)
    assert clock.now - began == pytest.approx(throttle.LONGEST_SECONDS)
    assert set(told) == {100.0}
