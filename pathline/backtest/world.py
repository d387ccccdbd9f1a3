"""People and things in memory: what the stitcher makes of touchpoints, without its tables. Not for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest.kin import Kin
from pathline.domain import bonds
from pathline.domain.bonds import Bond
from pathline.domain.detectors.owners import customer_of
from pathline.domain.detectors.view import Customer, Story, Strand
from pathline.domain.entities import Entity, claimant_of
from pathline.domain.facts import State, join
from pathline.domain.fold import Changes, Stitched, join_of
from pathline.domain.identifiers import NAMED, STRENGTH, Identifier
from pathline.domain.people import MAX_JOINED
from pathline.domain.relation import profile_changes
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint

MAX_OWNED: Final = 1_000
"""Things of one identifier that are looked at, those last claimed."""

MAX_PARTS: Final = 200
"""Parts of one order that are judged with it. Both as in the live services."""


class Added(msgspec.Struct, frozen=True):
    """What a batch did."""

    stitched: list[Stitched]
    moved: set[UUID]
    """Identifiers whose customer may be another one now, or another one to detectors."""
    reowned: set[UUID]
    """Things that have another claimant or order now, and the claimants and orders they left."""
    refused: list[Touchpoint]
    """Aliases that would join more than MAX_JOINED user_ids."""
    told: list[tuple[UUID, State | None, State]]
    """Of each thing and strand that was told something, what was known before, and what was added."""


class World:
    """The same fold, merges and climbs as in the stitcher, row by row."""

    def __init__(self, stages: Stages, *, mailbox_limit: int = bonds.MAILBOX_LIMIT) -> None:
        """Start empty; `stages` tells which stage a touchpoint enters."""
        self.seen: set[UUID] = set()
        self.kin = Kin(mailbox_limit)
        self.states: dict[UUID, State] = {}
        self.things: dict[UUID, Identifier] = {}
        self.claims: dict[UUID, Bond] = {}
        self.orders: dict[UUID, Bond] = {}
        self._stages = stages
        # Used as sets that remember the order of coming.
        self._claimed: dict[UUID, dict[UUID, None]] = {}
        self._parts: dict[UUID, dict[UUID, None]] = {}

    def add(self, batch: Iterable[Touchpoint]) -> Added:
        """Stitch a batch, each touchpoint once however often it comes."""
        changes = Changes(self._stages)
        added = Added(changes.stitched, set(), set(), [], [])
        for one in batch:
            if one.id in self.seen:
                continue
            pair = join_of(one)
            if pair is not None:
                if len(self.kin.joined(pair.a, pair.b)) > MAX_JOINED:
                    added.refused.append(one)
                    continue
                added.moved.update(self.kin.join(pair.a, pair.b))
            self.seen.add(one.id)
            changes.add(one)
        self.kin.meet(changes.people)
        for name, pointer in changes.parents.items():
            added.moved.update(self.kin.propose(name, pointer))
        added.moved.update(self._changed(changes))
        added.told.extend((name.id, self.states.get(name.id), delta) for name, delta in changes.states.items())
        added.reowned.update(self._keep_things(changes))
        return added

    def _changed(self, changes: Changes) -> Iterator[UUID]:
        """Strands whose person is another one to detectors."""
        for name, delta in changes.states.items():
            if name not in changes.things and profile_changes(self.states.get(name.id), delta):
                yield name.id

    def _keep_things(self, changes: Changes) -> set[UUID]:
        reowned: set[UUID] = set()
        for name, state in changes.states.items():
            held = self.states.get(name.id)
            self.states[name.id] = state if held is None else join(held, state)
        self.things.update({thing.id: thing for thing in changes.things})
        for told, kept, index in (
            (changes.claims, self.claims, self._claimed),
            (changes.orders, self.orders, self._parts),
        ):
            for name, bond in told.items():
                reowned |= _keep(kept, index, name.id, bond)
        return reowned

    def entity(self, one: UUID) -> Entity | None:
        """The thing of this id, if it was met."""
        name = self.things.get(one)
        if name is None:
            return None
        return Entity(name, self.states.get(one) or State(), self.claims.get(one), self.orders.get(one))

    def key_of(self, one: UUID) -> UUID:
        """The story that a thing or strand is judged in: that of its order, else its own."""
        bond = self.orders.get(one)
        return one if bond is None else bond.target

    def story(self, key: UUID, zone: ZoneInfo) -> Story | None:
        """What is judged together under this key; None where nothing is known of it."""
        parts = islice(self._parts.get(key, ()), MAX_PARTS)
        things = [entity for one in (key, *parts) if (entity := self.entity(one)) is not None]
        if things:
            return Story(key, things, zone)
        person = self.kin.people.get(key)
        if person is None:
            return None
        return Story(key, (), zone, strand=Strand(person.identifier, self.states.get(key) or State()))

    def claimant(self, one: UUID) -> UUID | None:
        """The identifier that owns a thing."""
        entity = self.entity(one)
        if entity is None:
            return None
        return claimant_of(entity, self.entity(entity.order.target) if entity.order is not None else None)

    def root_of(self, one: UUID) -> UUID | None:
        """The customer who owns a thing, or is behind a strand; None while nobody does."""
        if one not in self.things:
            return self.kin.root(one)
        claimant = self.claimant(one)
        return None if claimant is None else self.kin.root(claimant)

    def customer(self, one: UUID) -> Customer:
        """What detectors ask of the customer who owns a thing, or is behind a strand."""
        root = self.root_of(one)
        if root is None:
            return Customer(named=False)
        person = self.kin.people.get(root)
        family = self.kin.family(root)
        mine = set(family)
        owned = [
            entity
            for thing in self._around(family)
            if self.claimant(thing) in mine and (entity := self.entity(thing)) is not None
        ]
        strands = (state for one in family if (state := self.states.get(one)) is not None)
        return customer_of(owned, strands, named=person is not None and person.identifier.kind in NAMED)

    def identifiers(self, one: UUID) -> list[Identifier]:
        """The names of the customer who owns a thing, or is behind a strand: strongest first, else by the alphabet."""
        root = self.root_of(one)
        names = [] if root is None else [self.kin.people[who].identifier for who in self.kin.family(root)]
        return sorted(names, key=lambda n: (STRENGTH[n.kind], n.value))

    def neighbours(self, people: Iterable[UUID], things: Iterable[UUID]) -> set[UUID]:
        """What hangs on what customers do elsewhere: all that is theirs, and they themselves.

        Args:
            people: identifiers of the customers.
            things: things whose owners are meant, too.
        """
        met = set(people)
        roots = {self.kin.root(one) for one in met} | met
        roots |= {root for one in things if (root := self.root_of(one)) is not None}
        below = self.kin.below(roots)
        return below | set(self._around(below))

    def _around(self, claimants: Iterable[UUID]) -> Iterator[UUID]:
        """Things that one of these claims, and the parts of their orders; each once."""
        found: dict[UUID, None] = {}
        for claimant in claimants:
            found |= dict.fromkeys(islice(reversed(self._claimed.get(claimant, {})), MAX_OWNED))
        for one in tuple(found):
            found |= dict.fromkeys(islice(self._parts.get(one, ()), MAX_PARTS))
        return iter(found)


def _keep(kept: dict[UUID, Bond], index: dict[UUID, dict[UUID, None]], one: UUID, bond: Bond) -> set[UUID]:
    """Keep the least bond of a thing, and the index by target. Returns the thing and what it left, where it did."""
    held = kept.get(one)
    if held is not None:
        if held <= bond:
            return set()
        index[held.target].pop(one, None)
    kept[one] = bond
    index.setdefault(bond.target, {})[one] = None
    if held is None:
        return {one}
    return set() if held.target == bond.target else {one, held.target}
