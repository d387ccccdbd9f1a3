"""The cycle collector, set for a process that makes many containers in batches and almost no cycles."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""Containers made before the young are looked through. Python's 700 would look 70 times at a batch of a thousand
touchpoints that are all still needed: a quarter of the stitcher's time. More delays what cycles there are, at about
100 bytes an object."""


def calm() -> None:
    """Look less often, and never again at what was there before: modules, classes, settings."""
    gc.collect()
    gc.freeze()
    _young, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, old)
