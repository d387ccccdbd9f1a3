"""What comes alone waits for nothing, what comes often is let gather, and nothing is held up where more waits."""

from __future__ import annotations

import pytest

from pathline.kit.pace import Pace


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pathline.kit.pace.time.monotonic", clock.monotonic)
    monkeypatch.setattr("pathline.kit.pace.asyncio.sleep", clock.sleep)
    return clock


async def test_the_first_batch_and_one_after_a_silence_begin_at_once(clock: Clock) -> None:
    kept = Pace(0.04)
    await kept.kept()
    kept.began(full=False)
    clock.now += 0.05
    await kept.kept()
    assert clock.slept == []


async def test_small_batches_keep_the_time_between_their_beginnings(clock: Clock) -> None:
    kept = Pace(0.04)
    kept.began(full=False)
    clock.now += 0.01
    await kept.kept()
    kept.began(full=False)
    await kept.kept()
    assert clock.slept == [0.03, 0.04]


async def test_after_a_full_batch_the_next_follows_at_once(clock: Clock) -> None:
    kept = Pace(0.04)
    kept.began(full=False)
    kept.began(full=True)
    await kept.kept()
    assert clock.slept == []


async def test_no_pace_is_no_wait(clock: Clock) -> None:
    kept = Pace(0)
    kept.began(full=False)
    await kept.kept()
    assert clock.slept == []
