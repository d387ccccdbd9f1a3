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

T = TypeVar("T")


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait that long, or until `stop`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def insist(connect: Callable[[], Awaitable[T]], health: Health, part: str, stop: asyncio.Event) -> T | None:
    """Connect, however long the other side takes to come up; None when told to stop before it did."""
    while not stop.is_set():
        try:
            connected = await connect()
        except (KafkaError, *DATABASE_ERRORS) as error:
            health.set(part, f"{type(error).__name__}: {error}"[:200])
            await pause(stop, CONNECT_PAUSE_SECONDS)
        else:
            health.set(part, None)
            return connected
    return None
