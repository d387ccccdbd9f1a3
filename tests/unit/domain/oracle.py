"""The rules of people and things from scratch: sort the log, then decide. Shares no code with the fold or its joins.

Everything is said with plain names, ("kind", "value"), and the whole log is looked at for each question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pathline.domain.touchpoint import Touchpoint

KINDS = ["user_id", "email", "phone", "anonymous_id", "device_id"]
Name = tuple[str, str]

OWNING_EVENTS = (
    "Order Completed",
    "Order Refunded",
    "Shipment Created",
    "Contact Opened",
    "Contact Closed",
    "Return Requested",
)
"""Events that bear on who owns what: one that makes an order, a case and reports of both."""


class Oracle:
    """Answers about a log in which every touchpoint stands once."""

    def __init__(self, log: Sequence[Touchpoint], mailbox_limit: int = 50) -> None:
        self.log = sorted({t.id: t for t in log}.values(), key=lambda t: (t.occurred_at, t.source, t.message_id))
        self.mailbox_limit = mailbox_limit
        self._proposals = self._all_proposals()
        self._told_of: dict[Name, list[int]] = {}
        """Places in the log of those that name a thing."""
        for place, t in enumerate(self.log):
            for x in t.things:
                self._told_of.setdefault((x.kind, x.value), []).append(place)

    @staticmethod
    def _people(t: Touchpoint) -> list[Name]:
        names = [(p.kind, p.value) for p in t.people]
        return [n for n in names if n[0] in KINDS[:3]] if t.report else names

    def parent_proposals(self, child: Name) -> list[tuple[Touchpoint, Name]]:
        """Who says what of this identifier, the best first."""
        return self._proposals.get(child, [])

    def _all_proposals(self) -> dict[Name, list[tuple[Touchpoint, Name]]]:
        found: dict[Name, list[tuple[Touchpoint, Name]]] = {}
        for t in self.log:
            names = self._people(t)
            weaker = names[1:]
            if t.type == "alias" and names and names[0][0] == "user_id" and t.previous_id:
                weaker = [*weaker, ("anonymous_id", t.previous_id)]
            for child in weaker:
                found.setdefault(child, []).append((t, names[0]))
        for listed in found.values():
            listed.sort(key=lambda f: (KINDS.index(f[1][0]), not f[0].trusted))
        return found

    def kept_parent(self, child: Name) -> tuple[Name, bool] | None:
        """The parent it keeps, and whether a server said so."""
        proposals = self.parent_proposals(child)
        return (proposals[0][1], proposals[0][0].trusted) if proposals else None

    def runner_up(self, child: Name) -> Name | None:
        """The parent that is next when whoever said the one it keeps is forgotten."""
        proposals = self.parent_proposals(child)
        return next((parent for _, parent in proposals if parent != proposals[0][1]), None)

    def everyone(self) -> set[Name]:
        """Every identifier that was met."""
        names = {n for t in self.log for n in self._people(t)}
        for t in self.log:
            if t.type == "alias" and t.previous_id and t.people and t.people[0].kind == "user_id":
                names |= {("user_id", t.previous_id), ("anonymous_id", t.previous_id)}
        return names

    def customers(self) -> dict[Name, frozenset[Name]]:
        """Each identifier's customer, as the set of identifiers that are one with it."""
        names = self.everyone()
        kept = {n: self.kept_parent(n) for n in names}
        boxes = Counter(k for n, k in kept.items() if k and n[0] in {"email", "phone"})
        edges: list[tuple[Name, Name]] = []
        for name, parent in kept.items():
            if parent and not (name[0] in {"email", "phone"} and boxes[parent] > self.mailbox_limit):
                edges.append((name, parent[0]))
        edges += [
            (("user_id", t.previous_id), ("user_id", t.people[0].value))
            for t in self.log
            if t.type == "alias" and t.trusted and t.previous_id and t.people and t.people[0].kind == "user_id"
        ]
        groups = {n: {n} for n in names}
        for a, b in edges:
            if groups[a] is not groups[b]:
                groups[a] |= groups[b]
                for member in groups[a]:
                    groups[member] = groups[a]
        return {n: frozenset(group) for n, group in groups.items()}

    def strands(self, customer: frozenset[Name], limit: int) -> list[tuple[int, float]]:
        """Strength and moment of the identifiers that the customer's journey joins: strongest first, then newest."""
        listed = []
        for name in customer:
            proposals = self.parent_proposals(name)
            listed.append((KINDS.index(name[0]), -proposals[0][0].occurred_at.timestamp() if proposals else 0.0))
        return sorted(listed)[:limit]

    def _claims(self, thing: Name) -> list[tuple[tuple[Any, ...], Name, bool]]:
        found = []
        for place in self._told_of.get(thing, []):
            t = self.log[place]
            names = self._people(t)
            if names:
                made = t.makes == thing[0]
                rank = (not made, not t.trusted, names[0][0] not in KINDS[:3], place)
                found.append((rank, names[0], made))
        return sorted(found)

    def owner(self, thing: Name) -> Name | None:
        """The identifier that owns the thing."""
        claims = self._claims(thing)
        own = claims[0][1] if claims else None
        opened = bool(claims) and thing[0] == "case" and claims[0][2]
        if thing[0] == "order" or opened:
            return own
        named_with = []
        for place in self._told_of.get(thing, []):
            t = self.log[place]
            orders = [(x.kind, x.value) for x in t.things if x.kind == "order"]
            if orders:
                named_with.append(((not t.trusted, place), orders[0]))
        if named_with:
            of_order = self._claims(min(named_with)[1])
            if of_order:
                return of_order[0][1]
        return own

    def subject(self, t: Touchpoint) -> Name:
        """Whose the touchpoint is."""
        if t.people and not t.report:
            return t.people[0].kind, t.people[0].value
        first = next(
            x
            for kind in ("case", "parcel", "checkout", "invoice", "dispute", "order")
            for x in t.things
            if x.kind == kind
        )
        return first.kind, first.value

    def counts(self) -> Counter[Name]:
        """Touchpoints of each strand and entity."""
        return Counter(self.subject(t) for t in self.log)

    def last_told(self, thing: Name, prop: str, events: set[str]) -> Any:
        """The latest value of a property by these events about the thing; None when nobody told."""
        told = [
            t
            for t in self.log
            if t.event in events and thing in [(x.kind, x.value) for x in t.things] and prop in t.properties
        ]
        return max(told, key=lambda t: (t.occurred_at, t.message_id)).properties[prop] if told else None

    def first_time(self, thing: Name, event: str, **where: Any) -> Any:
        """When such an event first happened to the thing."""
        times = [
            t.occurred_at
            for t in self.log
            if t.event == event
            and thing in [(x.kind, x.value) for x in t.things]
            and all(t.properties.get(k) == v for k, v in where.items())
        ]
        return min(times, default=None)
