"""Senders whose records PostgreSQL keeps refusing: each is paused by itself, and its records are set aside untried."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW_SECONDS: Final = 60.0
"""Refusals of so long count."""

PAUSE_SECONDS: Final = 60.0
"""For so long a sender is paused after the refusal that was too many."""

MOST_SENDERS: Final = 10_000
"""Of so many at once refusals are counted; write keys are made by hand. The one refused longest ago is forgotten."""


class Aside:
    """Counts refusals by sender.

    A refused record costs its batch about 20 transactions until it is found. A sender of many would have the others
    wait for each of them; one that is paused costs what dead letters cost, which is a row each.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Pause whoever has more than `most` refused in WINDOW_SECONDS by `clock`; 0 pauses nobody."""
        self._most = most
        self._clock = clock
        self._refused: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}

    def refused(self, sender: str) -> bool:
        """Count a record of this sender that was refused; whether that pauses it."""
        if self._most == 0:
            return False
        now = self._clock()
        times = self._refused.pop(sender, deque())
        times.append(now)
        while times[0] < now - WINDOW_SECONDS:
            times.popleft()
        if len(times) > self._most:
            self._until[sender] = now + PAUSE_SECONDS
            return True
        self._refused[sender] = times
        if len(self._refused) > MOST_SENDERS:
            del self._refused[next(iter(self._refused))]
        return False

    def senders(self) -> frozenset[str]:
        """Who is paused now."""
        if not self._until:
            return frozenset()
        now = self._clock()
        self._until = {sender: until for sender, until in self._until.items() if until > now}
        return frozenset(self._until)
