"""Work ends soon after it is told to, whatever it waits for."""

from __future__ import annotations

import asyncio

import pytest

from pathline.kit.draining import drain

SOON = 0.05
SWALLOWED = 2


class Cut:
    """Notes that it was called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def test_work_that_ends_in_time_is_not_cut() -> None:
    stop, cut = asyncio.Event(), Cut()
    asyncio.get_running_loop().call_later(SOON, stop.set)

    async def work() -> None:
        await stop.wait()

    await drain(work(), stop, seconds=60, cut=cut)
    assert cut.times == 0


async def test_work_that_waits_for_ever_is_cut_then_cancelled_until_it_ends() -> None:
    stop, cut = asyncio.Event(), Cut()
    stop.set()
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while swallowed < SWALLOWED:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                assert cut.times == 1
                swallowed += 1
        message = "met on the way out"
        raise OSError(message)

    await drain(work(), stop, seconds=SOON, cut=cut)
    assert swallowed == SWALLOWED


async def test_an_error_before_the_end_is_the_callers() -> None:
    cut = Cut()

    async def work() -> None:
        message = "broken"
        raise ValueError(message)

    with pytest.raises(ValueError, match="broken"):
        await drain(work(), asyncio.Event(), seconds=60, cut=cut)
    assert cut.times == 0


async def test_who_is_cancelled_while_it_works_cuts_it_too() -> None:
    cut, ended = Cut(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    draining = asyncio.create_task(drain(work(), asyncio.Event(), seconds=60, cut=cut))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert ended.is_set()
    assert cut.times == 1
