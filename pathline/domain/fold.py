"""What a batch of touchpoints changes, before anybody looks at what is stored.

`Changes` gathers the touchpoints of a batch into one delta for each strand and entity, one best
proposal for each pointer. Storage then joins each delta into its row. The same code runs in the
stitcher, in a rebuild and in a backtest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from pathline.domain import bonds
from pathline.domain.bonds import Bond, Pointer
from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX, State
from pathline.domain.identifiers import Identifier, name_id, person
from pathline.domain.recording import fact_of, record
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint

CLAIMING_KINDS: Final = frozenset({"user_id", "email", "phone"})
"""Of a report only these identifiers count: a courier's invented anonymous id makes no customer."""


class Stitched(msgspec.Struct, frozen=True, gc=False):
    """A touchpoint with what the fold found out about it."""

    touchpoint: Touchpoint
    subject: UUID
    """The strand or entity it belongs to and is counted in."""
    entities: tuple[UUID, ...]
    """The things it names."""
    stage: str | None
    moment_of_truth: bool


class Join(msgspec.Struct, frozen=True, gc=False):
    """Two user_ids said to be one person by an alias; `a` < `b`, so a pair has one row."""

    a: UUID
    b: UUID
    bond: Bond

    def later_than(self, bond: Bond) -> bool:
        """Whether this one is kept, and not that one: of two aliases about a pair the later says why they are one."""
        return (self.bond.at, self.bond.source, self.bond.message_id, self.bond.target) > (
            bond.at, bond.source, bond.message_id, bond.target
        )  # fmt: skip


class Membership(msgspec.Struct, frozen=True, gc=False):
    """An identifier belongs to an account: since when it is told of so, and whether a server has said so."""

    account: str
    since: datetime
    trusted: bool

    def join(self, other: Membership) -> Membership:
        """Both as one. Commutative, associative and idempotent."""
        return Membership(self.account, min(self.since, other.since), self.trusted or other.trusted)


class _States(dict[Identifier, State]):
    """States by name; a missing one is made."""

    def __missing__(self, key: Identifier) -> State:
        state = self[key] = State()
        return state


class Changes:
    """The sum of a batch. Give each new touchpoint to `add` once; duplicates must be gone by then."""

    def __init__(self, stages: Stages) -> None:
        """Start with nothing changed; `stages` tells which stage a touchpoint enters."""
        self.states: dict[Identifier, State] = _States()
        """A delta for each strand and entity that is told something."""
        self.people: set[Identifier] = set()
        """Every identifier of a person that was met."""
        self.parents: dict[Identifier, Pointer] = {}
        self.claims: dict[Identifier, Bond] = {}
        self.orders: dict[Identifier, Bond] = {}
        self.things: set[Identifier] = set()
        self.members: dict[tuple[UUID, UUID], Membership] = {}
        """Who belongs to which account, by (account, identifier)."""
        self.stitched: list[Stitched] = []
        self._stages = stages

    def add(self, touchpoint: Touchpoint) -> Stitched:
        """Fold one touchpoint; returns what was found out about it.

        Raises:
            ValueError: it has no subject; such a one must be refused before.
        """
        subject = touchpoint.subject
        if subject is None:
            message = "a touchpoint without a subject"
            raise ValueError(message)
        stage, moment = self._stages.place(touchpoint)
        self._count(touchpoint, subject)
        self._link_people(touchpoint)
        self._link_things(touchpoint)
        self._belong(touchpoint)
        record(touchpoint, self.states)
        if stage is not None:
            self._staged(touchpoint, subject).tell(STAGE_PREFIX + stage, fact_of(touchpoint, touchpoint.channel))
        for action in self._stages.completed(touchpoint):
            self._staged(touchpoint, subject).tell(ACTION_PREFIX + action, fact_of(touchpoint, touchpoint.channel))
        entities = tuple([t.id for t in touchpoint.things])
        stitched = Stitched(touchpoint, subject.id, entities, stage, moment)
        self.stitched.append(stitched)
        return stitched

    def _staged(self, touchpoint: Touchpoint, subject: Identifier) -> State:
        """What is in a stage: the purchase, where the touchpoint names one, else the person."""
        return self.states[touchpoint.named("order") or (touchpoint.things[0] if touchpoint.things else subject)]

    def _count(self, touchpoint: Touchpoint, subject: Identifier) -> None:
        state = self.states[subject]
        state.count += 1
        state.channels[touchpoint.channel] = state.channels.get(touchpoint.channel, 0) + 1
        at = touchpoint.occurred_at
        if state.first_seen_at is None or at < state.first_seen_at:
            state.first_seen_at = at
        if state.last_seen_at is None or at > state.last_seen_at:
            state.last_seen_at = at

    def _link_people(self, touchpoint: Touchpoint) -> None:
        people = touchpoint.people
        if touchpoint.report:
            people = tuple(p for p in people if p.kind in CLAIMING_KINDS)
        if not people:
            return
        self.people.update(people)
        strongest = people[0]
        weaker = people[1:]
        before = _before_alias(touchpoint)
        if before is not None:
            self.people.update(before)
            weaker = (*weaker, before[1])
        if weaker:
            bond = bonds.parent_bond(touchpoint, strongest)
            for child in weaker:
                self.parents[child] = bonds.keep(self.parents.get(child), bond)

    def _link_things(self, touchpoint: Touchpoint) -> None:
        if not touchpoint.things:
            return
        self.things.update(touchpoint.things)
        claimant = touchpoint.people[0] if touchpoint.people else None
        if claimant is not None and touchpoint.report and claimant.kind not in CLAIMING_KINDS:
            claimant = None
        order = touchpoint.named("order")
        for thing in touchpoint.things:
            if claimant is not None:
                _least(self.claims, thing, bonds.claim(touchpoint, thing, claimant))
            if order is not None and thing.kind != "order":
                _least(self.orders, thing, bonds.order_bond(touchpoint, order))

    def _belong(self, touchpoint: Touchpoint) -> None:
        if touchpoint.account is None or touchpoint.report or not touchpoint.people:
            return
        account = name_id(touchpoint.namespace, "account", touchpoint.account)
        told = Membership(touchpoint.account, touchpoint.occurred_at, touchpoint.trusted)
        held = self.members.get((account, touchpoint.people[0].id))
        self.members[account, touchpoint.people[0].id] = told if held is None else held.join(told)


def join_of(touchpoint: Touchpoint) -> Join | None:
    """The two user_ids that an alias from a server says are one person, if it is one."""
    before = _before_alias(touchpoint)
    if before is None or not touchpoint.trusted or before[0] == touchpoint.people[0]:
        return None
    a, b = sorted((before[0].id, touchpoint.people[0].id))
    return Join(a, b, bonds.parent_bond(touchpoint, touchpoint.people[0]))


def _before_alias(touchpoint: Touchpoint) -> tuple[Identifier, Identifier] | None:
    """Who an alias says its user was: `previousId` may be a user_id or an anonymous_id, so it is read as both."""
    if touchpoint.type != "alias" or not touchpoint.people or touchpoint.people[0].kind != "user_id":
        return None
    user = person(touchpoint.namespace, "user_id", touchpoint.previous_id)
    visitor = person(touchpoint.namespace, "anonymous_id", touchpoint.previous_id)
    return None if user is None or visitor is None else (user, visitor)


def _least(held: dict[Identifier, Bond], thing: Identifier, bond: Bond) -> None:
    before = held.get(thing)
    if before is None or bond < before:
        held[thing] = bond
