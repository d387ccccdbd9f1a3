"""Guards that cannot be worked out: they count as false, so somebody has to be told that they are not meant so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import Counter as Counted

from pathline.kit.logging import get_logger

SAID_EVERY: Final = 300.0
"""Seconds between two lines of the log about one detector."""

log = get_logger(__name__)


class GuardErrors:
    """Counts them, and says so once per detector and interval: a wrong guard fails for every touchpoint."""

    def __init__(self, counted: Counted, clock: Callable[[], float] = time.monotonic) -> None:
        """Count into a counter with the label `detector`."""
        self._counted = counted
        self._clock = clock
        self._said: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def count(self, errors: Mapping[str, int]) -> None:
        """Count what one transaction met, by detector."""
        for detector, times in errors.items():
            self._counted.labels(detector).inc(times)
            self._unsaid[detector] += times
            now, said = self._clock(), self._said.get(detector)
            if said is None or now - said >= SAID_EVERY:
                self._said[detector] = now
                log.warning("a guard cannot be worked out", detector=detector, times=self._unsaid.pop(detector))
