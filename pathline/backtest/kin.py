"""Identifiers in memory: their pointers, and the climb to a customer. What the stitcher keeps in tables."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import UUID

from pathline.domain import bonds
from pathline.domain.bonds import Pointer
from pathline.domain.identifiers import PERSON_KINDS, STRENGTH, Identifier
from pathline.domain.people import MAX_STEPS, MAX_STRANDS, Person, Till, root_of

Place = tuple[int, float, UUID]
"""Where a child stands among its parent's: strongest kind first, then newest."""


class Kin:
    """Everybody who was met, and who belongs to whom."""

    def __init__(self, mailbox_limit: int = bonds.MAILBOX_LIMIT) -> None:
        """Start with nobody; a parent that keeps more than `mailbox_limit` mailboxes is a till."""
        self.people: dict[UUID, Person] = {}
        self.joins: set[tuple[UUID, UUID]] = set()
        self._limit = mailbox_limit
        self._children: dict[UUID, list[Place]] = {}
        self._mailboxes: Counter[Till] = Counter()
        self._joined: dict[UUID, set[UUID]] = {}

    def meet(self, names: Iterable[Identifier]) -> None:
        """Know these from now on."""
        for name in names:
            if name.id not in self.people:
                self.people[name.id] = Person(name)

    def propose(self, name: Identifier, pointer: Pointer) -> set[UUID]:
        """Add proposals of a parent. Returns those whose customer may be another one now."""
        held = self.people.get(name.id) or Person(name)
        merged = bonds.merge(held.pointer, pointer)
        if merged == held.pointer:
            return set()
        before = self.root(name.id)
        self._unlink(held)
        person = self.people[name.id] = Person(name, merged)
        insort(self._children.setdefault(merged.best.target, []), _place(person, merged))
        if person.till_key is not None:
            self._mailboxes[person.till_key] += 1
        return {name.id, before, merged.best.target}

    def join(self, a: UUID, b: UUID) -> set[UUID]:
        """Make one customer of two user_ids, `a` < `b`. Returns those whose customer may be another one now."""
        if (a, b) in self.joins:
            return set()
        self.joins.add((a, b))
        self._joined.setdefault(a, set()).add(b)
        self._joined.setdefault(b, set()).add(a)
        return {a, b}

    def joined(self, *ids: UUID) -> set[UUID]:
        """These, and every user_id that is one customer with one of them."""
        found, ahead = set(ids), deque(ids)
        while ahead:
            new = self._joined.get(ahead.popleft(), set()) - found
            found |= new
            ahead.extend(new)
        return found

    def root(self, one: UUID) -> UUID:
        """The customer of an identifier; one that nobody knows is its own."""
        above: dict[UUID, Person] = {}
        here = one
        for _ in range(MAX_STEPS):
            person = self.people.get(here)
            if person is None or (parent := person.above) is None:
                break
            above[here] = person
            here = parent
        tills = {key for person in above.values() if (key := person.till_key) is not None and self._is_till(key)}
        top = root_of(one, above, tills, {})
        return min(self.joined(top)) if top in self._joined else top

    def family(self, root: UUID) -> list[UUID]:
        """The identifiers of a customer, strongest kind first, at most MAX_STRANDS."""
        found = dict.fromkeys(sorted(self.joined(root)))
        level = list(found)
        for _ in PERSON_KINDS:
            children = (child for parent in level for child in self._own_children(parent))
            level = [child for child in children if child not in found][:MAX_STRANDS]
            found |= dict.fromkeys(level)
        known = [one for one in found if one in self.people]
        return sorted(known, key=lambda one: (one != root, STRENGTH[self.people[one].identifier.kind]))[:MAX_STRANDS]

    def below(self, ids: Iterable[UUID]) -> set[UUID]:
        """These and all who have one of them as a parent, void links included: whoever a change may concern."""
        found = self.joined(*ids)
        level = list(found)
        for _ in range(MAX_STEPS):
            level = [c for parent in level for c in self._first_children(parent) if c not in found]
            found.update(level)
        return found

    def _first_children(self, parent: UUID) -> list[UUID]:
        return [child for _, _, child in self._children.get(parent, [])[:MAX_STRANDS]]

    def _own_children(self, parent: UUID) -> Iterator[UUID]:
        """Those whose link is not void: a till's thousands of mailboxes must not crowd out what is the till's own."""
        children = (child for _, _, child in self._children.get(parent, []))
        return islice((child for child in children if not self._is_void(child)), MAX_STRANDS)

    def _is_void(self, one: UUID) -> bool:
        key = self.people[one].till_key
        return key is not None and self._is_till(key)

    def _is_till(self, key: Till) -> bool:
        return self._mailboxes[key] > self._limit

    def _unlink(self, person: Person) -> None:
        if person.pointer is None:
            return
        siblings = self._children[person.pointer.best.target]
        del siblings[bisect_left(siblings, _place(person, person.pointer))]
        if person.till_key is not None:
            self._mailboxes[person.till_key] -= 1


def _place(person: Person, pointer: Pointer) -> Place:
    return STRENGTH[person.identifier.kind], -pointer.best.at.timestamp(), person.identifier.id
