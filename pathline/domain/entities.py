"""Things: what is known of one, and who owns it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from pathline.domain.bonds import Bond, makes_the_thing
from pathline.domain.facts import State
from pathline.domain.identifiers import Identifier


class Entity(msgspec.Struct, frozen=True, gc=False):
    """An order, parcel, checkout, invoice, case or dispute with its facts."""

    identifier: Identifier
    state: State
    claim: Bond | None = None
    """The best claim; its target is the claimant's id."""
    order: Bond | None = None
    """The order it is part of; none for an order itself."""

    @property
    def id(self) -> UUID:
        """Its id, a hash of its name."""
        return self.identifier.id

    @property
    def follows_order(self) -> bool:
        """Whether the owner of its order owns it too: not so for an order, nor for a case somebody opened."""
        if self.order is None:
            return False
        opened = self.identifier.kind == "case" and self.claim is not None and makes_the_thing(self.claim)
        return not opened


def claimant_of(entity: Entity, order: Entity | None) -> UUID | None:
    """The identifier that owns a thing: through its order where that has an owner, else by its own best claim.

    Args:
        entity: the thing.
        order: the order it is part of, when it has one that is known.
    """
    if entity.follows_order and order is not None and order.claim is not None:
        return order.claim.target
    return None if entity.claim is None else entity.claim.target
