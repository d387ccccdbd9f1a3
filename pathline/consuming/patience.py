"""Waiting: for a while, and for the other side to come up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from aiokafka.errors import KafkaError

from pathline.kit.database import DATABASE_ERRORS

if TYPE_CHECKING:
    from pathline.kit.health import Health

CONNECT_PAUSE_SECONDS: Final = 0.5
CONNECT_END_SECONDS: Final = 3.5
"""How long a connection that is no longer wanted may take to end; a Kafka producer has three seconds."""

T = TypeVar("T")


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait that long, or until `stop`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def insist(connect: Callable[[], Awaitable[T]], health: Health, part: str, stop: asyncio.Event) -> T | None:
    """Connect, however long the other side takes to come up; None when told to stop before it did."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            connecting = asyncio.ensure_future(connect())
            try:
                # One that takes the connection and says nothing must not hold up the end.
                await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not connecting.done():
                    return None
                connected = connecting.result()
            except (KafkaError, *DATABASE_ERRORS) as error:
                health.set(part, f"{type(error).__name__}: {error}"[:200])
                await pause(stop, CONNECT_PAUSE_SECONDS)
            else:
                health.set(part, None)
                return connected
            finally:
                if not connecting.done():
                    connecting.cancel()
                    await asyncio.wait({connecting}, timeout=CONNECT_END_SECONDS)
        return None
    finally:
        stopping.cancel()
