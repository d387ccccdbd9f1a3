"""Python's and the C library's memory, set for a process that makes much at a time and needs as much again at once."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""Containers made before the young are looked through. Python's 700 would look 70 times at a batch of a thousand
touchpoints that are all still needed: a quarter of the stitcher's time. More delays what cycles there are, at about
100 bytes an object."""

TRIM_THRESHOLD: Final = -1
TOP_PAD: Final = -2
MMAP_THRESHOLD: Final = -3
"""Names of glibc's settings, by the numbers of its malloc.h."""

KEPT_BYTES: Final = 32 << 20
"""What glibc may keep of freed memory at the end of its heap. It gives back 128 KiB and more, which is a fault for each
page that the next group of records is written to: a third of a fault an event, a tenth of a collector's time."""

PADDING_BYTES: Final = 4 << 20
"""What it asks for at once."""


def settle() -> None:
    """Set both. What was there before, as modules and classes, is never looked through again."""
    _calm()
    _keep_freed()


def _calm() -> None:
    """Look for cycles less often: there are almost none."""
    gc.collect()
    gc.freeze()
    _young, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, old)


def _keep_freed() -> None:
    """Keep freed memory rather than to give it back and ask for it again."""
    # Other C libraries than glibc have no such call, and need none.
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(TOP_PAD, PADDING_BYTES)
