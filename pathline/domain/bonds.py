"""Who belongs to whom: one rule for parents, owners and orders.

Whatever is proposed, the minimum is kept. A minimum only falls, so a stale one read without a lock
is safe to compare with: only a proposal that beats it needs a closer look.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from pathline.domain.identifiers import NAMED, STRENGTH, Identifier
from pathline.domain.touchpoint import Touchpoint

MAILBOX_LIMIT: Final = 50
"""Emails and phones one parent may keep, counted apart for server and browser keys. More, and it is a till."""

MAILBOX_KINDS: Final = ("email", "phone")


class Bond(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A proposal: to belong to `target`. The least of all wins; fields compare in this order."""

    rank: tuple[int, ...]
    at: datetime
    source: str
    message_id: str
    target: UUID


class Pointer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The best bond, and the next best with another target: it is shown, and steps up if the best is erased."""

    best: Bond
    runner_up: Bond | None = None

    def beaten_by(self, bond: Bond) -> bool:
        """Whether keeping the bond would change the pointer."""
        if bond.target == self.best.target or bond < self.best:
            return bond < self.best
        return self.runner_up is None or bond < self.runner_up


def keep(pointer: Pointer | None, bond: Bond) -> Pointer:
    """The pointer after one more proposal. Commutative, associative and idempotent over proposals."""
    if pointer is None:
        return Pointer(bond)
    if not pointer.beaten_by(bond):
        return pointer
    held = [b for b in (pointer.best, pointer.runner_up, bond) if b is not None]
    best = min(held)
    return Pointer(best, min((b for b in held if b.target != best.target), default=None))


def merge(a: Pointer | None, b: Pointer) -> Pointer:
    """Two pointers of one name as one."""
    merged = keep(a, b.best)
    return merged if b.runner_up is None else keep(merged, b.runner_up)


def parent_bond(touchpoint: Touchpoint, parent: Identifier) -> Bond:
    """The parent proposed to every weaker identifier on a touchpoint: its strongest one."""
    rank = (STRENGTH[parent.kind], int(not touchpoint.trusted))
    return Bond(rank, touchpoint.occurred_at, touchpoint.source, touchpoint.message_id, parent.id)


def claim(touchpoint: Touchpoint, thing: Identifier, claimant: Identifier) -> Bond:
    """The claim of a thing: the act that makes it first, then servers, then who is named, then the earliest."""
    rank = (
        int(touchpoint.makes != thing.kind),
        int(not touchpoint.trusted),
        int(claimant.kind not in NAMED),
    )
    return Bond(rank, touchpoint.occurred_at, touchpoint.source, touchpoint.message_id, claimant.id)


def order_bond(touchpoint: Touchpoint, order: Identifier) -> Bond:
    """The order that a parcel, checkout, invoice, dispute or case is part of."""
    rank = (int(not touchpoint.trusted),)
    return Bond(rank, touchpoint.occurred_at, touchpoint.source, touchpoint.message_id, order.id)


def makes_the_thing(bond: Bond) -> bool:
    """Whether a claim comes from the act that made the thing."""
    return bond.rank[0] == 0
