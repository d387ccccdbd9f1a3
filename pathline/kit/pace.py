"""A pace for what works in batches: under load small ones are let gather, and while there is little nobody waits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

SHARE: Final = 0.5
"""Of its time that a service may work on batches that are not full before it lets them gather."""


class Pace:
    """Keeps up to so many seconds between the beginnings of batches, where they are not full and work is much.

    A transaction of ten rows costs half of one of a hundred: with nothing that held it back, a service would take
    whatever is there, and spend most of its time on small ones. So it has an account of time: it earns SHARE of what
    passes, holds at most what the pace is long, and each batch is paid from it. With something on it the next batch
    begins when the last one is done: what comes alone, or as the fifth of a few, waits for nobody. With nothing on it
    the next one waits until there is again, and never longer than the pace from the beginning of the last.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Let at most so much time pass, by `clock`; 0 is no pace."""
        self._seconds = seconds
        self._clock = clock
        self._account = seconds
        self._counted_at = self._began_at = clock()
        self._full = True
        self._in_hand: deque[float] = deque()
        """When each batch began that is not done: one may be read while PostgreSQL works on the one before."""
        self._changed = asyncio.Event()

    async def kept(self) -> None:
        """Wait until the next batch may begin."""
        while (seconds := self.left()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def left(self) -> float:
        """Seconds until the next batch may begin, if nothing is done meanwhile."""
        now = self._clock()
        longest = self._began_at + self._seconds - now
        if self._full or longest <= 0:
            return 0.0
        if self._in_hand:
            return longest
        return max(0.0, min(longest, -self._balance(now) / SHARE))

    def began(self, *, full: bool) -> None:
        """A batch begins now; after a `full` one more waits already, and the next follows at once."""
        self._began_at = self._clock()
        self._full = full
        self._in_hand.append(self._began_at)
        self._changed.set()

    def ended(self) -> None:
        """The batch that was begun first, of those in hand, is done, or given up."""
        now = self._clock()
        spent = now - self._in_hand.popleft()
        if self._in_hand:
            # The next one is paid from here on: two at a time are not twice the time.
            self._in_hand[0] = now
        self._account = max(self._balance(now) - spent, -self._seconds)
        self._changed.set()

    def _balance(self, now: float) -> float:
        """What is on the account now."""
        earned = SHARE * (now - self._counted_at)
        self._counted_at = now
        self._account = min(self._account + earned, self._seconds)
        return self._account
