"""The end of work that another machine may hold up: it gets its time, then its ways out are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pathline.kit.logging import get_logger

log = get_logger(__name__)

CANCELS: Final = 12
"""How often work that was cut is told to end: an error met on the way out may stand in the place of the first."""

CANCEL_SECONDS: Final = 0.5
"""How long it is waited for each time. With CANCELS more than the end of a Kafka client takes."""


async def drain(
    work: Coroutine[Any, Any, None], stop: asyncio.Event, *, seconds: float, cut: Callable[[], None]
) -> None:
    """Run `work`, which ends by itself soon after `stop`. What has not ended `seconds` later is cut off and left.

    asyncpg rolls back a transaction that is cancelled, and waits for the answer. Of a database that is away there is
    none, so being cancelled is not enough: `cut` must close the connections first.

    Raises:
        Exception: what `work` raised before its time was over.
    """
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=seconds)
        if working.done():
            working.result()
        else:
            log.warning("not drained in time; what is in hand is rolled back, and done by the next", seconds=seconds)
            await _cut(working, cut)
    finally:
        stopping.cancel()
        if not working.done():
            await _cut(working, cut)


async def _cut(working: asyncio.Task[None], cut: Callable[[], None]) -> None:
    cut()
    for _ in range(CANCELS):
        working.cancel()
        await asyncio.wait({working}, timeout=CANCEL_SECONDS)
        if working.done():
            break
    else:
        log.error("work that was cut off does not end; it is left")
        return
    error = None if working.cancelled() else working.exception()
    if error is not None:
        log.warning("ended with an error after it was cut off", error=type(error).__name__)
