"""From an identifier to its customer: a customer is everything under one root.

No row stores its root. It is climbed to, at most five steps: each parent is stronger than its
child, and user_ids joined by an alias or an operator answer for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec

from pathline.domain.bonds import MAILBOX_KINDS, Pointer
from pathline.domain.identifiers import PERSON_KINDS, Identifier

MAX_STEPS: Final = len(PERSON_KINDS)
MAX_STRANDS: Final = 200
"""Strands that one customer's journey joins, strongest kind first, then newest."""

MAX_JOINED: Final = 100
"""User_ids that may be one customer. A join beyond it is a dead letter."""

Till = tuple[UUID, bool]
"""A parent with too many mailboxes, and whether by servers' word (True) or browsers'."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """An operator's word about an identifier. It outranks all that touchpoints propose, until it is taken back."""

    parent: UUID | None
    """A stronger identifier; None: it has no parent, and no alias of a user_id holds."""
    act: int
    """The act of the history that said so."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """An identifier of a person, its pointer, and what an operator says in its place."""

    identifier: Identifier
    pointer: Pointer | None = None
    word: Word | None = None

    @property
    def till_key(self) -> Till | None:
        """The count that could void the link that touchpoints propose, or None where there is none that could be void.

        An operator's word changes no count: when it is taken back, all is as if it had never been said.
        """
        if self.pointer is None or self.identifier.kind not in MAILBOX_KINDS:
            return None
        best = self.pointer.best
        return best.target, best.rank[1] == 0

    @property
    def above(self) -> UUID | None:
        """The parent it has, whether or not that one is a till."""
        if self.word is not None:
            return self.word.parent
        return None if self.pointer is None else self.pointer.best.target

    def parent(self, tills: Collection[Till]) -> UUID | None:
        """The parent it has, unless that one is a till; an operator may give it to a till all the same."""
        if self.word is not None:
            return self.word.parent
        if self.pointer is None or self.till_key in tills:
            return None
        return self.pointer.best.target


def root_of(
    start: UUID,
    people: Mapping[UUID, Person],
    tills: Collection[Till],
    representatives: Mapping[UUID, UUID],
) -> UUID:
    """The customer that an identifier belongs to.

    Args:
        start: id of the identifier; one that nobody knows is its own root.
        people: all rows on the way up.
        tills: parents whose mailboxes are not theirs.
        representatives: for each joined user_id the one that stands for all.
    """
    here = start
    for _ in range(MAX_STEPS):
        person = people.get(here)
        parent = None if person is None else person.parent(tills)
        if parent is None:
            break
        here = parent
    return representatives.get(here, here)


def representatives(pairs: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """For each user_id in a pair, the least id of all it is joined with, directly or through others."""
    above: dict[UUID, UUID] = {}

    def find(one: UUID) -> UUID:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        above[high] = low
    return {one: find(one) for one in tuple(above)}
