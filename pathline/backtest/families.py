"""Touchpoints that can have anything to do with each other: what is of different families can happen apart.

A family is whoever and whatever is connected by touchpoints that name both. It is never smaller than a customer with
all their things, and no person, thing or alert of one depends on another; so a backtest takes a few of them at a time,
in little memory, and in several processes if it may.
"""

from __future__ import annotations

from collections.abc import Iterable

from pathline.domain.fold import CLAIMING_KINDS
from pathline.domain.touchpoint import Touchpoint


def names_in(touchpoint: Touchpoint) -> tuple[str, ...]:
    """Whom and what it connects, all of one namespace.

    Of a report only those count who can own the thing: a courier's invented visitor would make all parcels one family.
    """
    named = [f"{one.kind}:{one.value}" for one in touchpoint.things]
    named += [
        f"{one.kind}:{one.value}" for one in touchpoint.people if not touchpoint.report or one.kind in CLAIMING_KINDS
    ]
    if touchpoint.previous_id is not None:
        # An alias does not say which of the two it is.
        named += [f"user_id:{touchpoint.previous_id}", f"anonymous_id:{touchpoint.previous_id}"]
    return tuple(named)


class Families:
    """Who belongs together, found while the names come: union-find."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._numbers: dict[str, int] = {}
        self._above: list[int] = []

    def join(self, names: Iterable[str]) -> int:
        """Make one family of all these; returns a member, by which it is found."""
        first = -1
        for name in names:
            number = self._numbers.get(name)
            if number is None:
                number = self._numbers[name] = len(self._above)
                self._above.append(number)
            if first < 0:
                first = number
            elif (mine := self.of(first)) != (other := self.of(number)):
                self._above[max(mine, other)] = min(mine, other)
        return first

    def of(self, member: int) -> int:
        """The family of a member."""
        above = self._above
        while above[member] != member:
            above[member] = above[above[member]]
            member = above[member]
        return member
