"""A pace for what works in batches: what comes often is let gather, what comes alone waits for nothing."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Keeps so many seconds between the beginnings of batches, where they are not full.

    A transaction of ten rows costs half of one of a hundred: with nothing that held it back, a service would take
    whatever is there, and spend most of its time on small ones.
    """

    def __init__(self, seconds: float) -> None:
        """Let so much time pass."""
        self._seconds = seconds
        self._free_at = 0.0

    async def kept(self) -> None:
        """Wait until the next batch may begin."""
        seconds = self._free_at - time.monotonic()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def began(self, *, full: bool) -> None:
        """A batch begins now; after a `full` one more waits already, and the next follows at once."""
        self._free_at = 0.0 if full else time.monotonic() + self._seconds
