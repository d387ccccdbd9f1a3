"""What a detector is read off, so that who remembers what it said knows when to ask it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pathline.domain.detectors.compiled import Detector
from pathline.domain.detectors.guards import Guard
from pathline.domain.detectors.sources import read_off
from pathline.domain.detectors.view import CUSTOMER

EVERYWHERE: Final = frozenset({"zone"})
"""What a deadline may be counted in, whatever it is counted from."""

_GUARDED: Final[dict[str, tuple[str, ...] | None]] = {
    "total": ("total", "value"),
    "return_reason": ("return_requested",),
    "status": None,
    "next_attempt": None,
}
"""The same of what a guard may name and is not the fact of that name; None is anything."""


def reads(detector: Detector) -> frozenset[str] | None:
    """Facts and marks of which one must be told for it to say something else of a thing; None where it may be any.

    Of what the customer does elsewhere nothing is here: it never makes a detector hold.
    """
    found = [read_off(kind, name) for kind in detector.kinds for name in detector.facts()]
    if detector.guard is not None:
        found += _guarded(detector.guard)
    return _together(found)


def _guarded(guard: Guard) -> Iterable[frozenset[str] | None]:
    for variable, names in guard.names.items():
        if variable != CUSTOMER:
            for name in names:
                told = _GUARDED.get(name, (name,))
                yield None if told is None else frozenset(told)


def _together(found: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    every = EVERYWHERE
    for one in found:
        if one is None:
            return None
        every |= one
    return every
