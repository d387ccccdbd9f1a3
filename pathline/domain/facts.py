"""State is a join of facts.

A strand's or an entity's state holds named facts. Each merges by a rule that is commutative,
associative and idempotent (earliest, latest, or a bounded set), so that a late, doubled or
reordered touchpoint gives the same state. Only the counts add up: they must be fed with
touchpoints that are new, which the dedupe in storage decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any, Final

import msgspec

MAX_MARKS: Final = 30
"""Marks kept of a name, the newest: more than any detector counts, few enough to load with every state."""

MAX_TEXT: Final = 200
"""Characters kept of a text in a fact; the whole is in the touchpoint."""

FEWER_MARKS: Final = {"views": 10}
"""Where fewer are kept: who browses adds one with every page, and each is read and written with every touchpoint."""

FOLD_VERSION: Final = 1
"""Raised when a state written by this code can't be read by the code before it."""


class Rule(Enum):
    """How two facts of one name become one."""

    EARLIEST = "earliest"
    LATEST = "latest"


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that a touchpoint told: when, by which message, what."""

    at: datetime
    message_id: str
    value: Any = None
    imported_at: datetime | None = None
    """When it was received, of what only history told; None of what was told live. States of before lack it."""


EARLIEST_FACTS: Final = frozenset(
    {
        "placed", "promised_first", "estimated_first", "created", "delivered", "out_for_delivery", "started",
        "completed", "opened", "accepted", "person_wanted", "return_requested",
    }
)  # fmt: skip
"""Facts of which the first telling counts."""

LATEST_FACTS: Final = frozenset(
    {
        "promised", "zone", "ship_by", "estimated", "total", "currency", "delivery_method", "payment_method", "carrier",
        "redirected", "active", "payment_entered", "value", "next_attempt", "topic", "channel", "closed", "reason",
        "outcome", "name", "segments", "status", "sentiment", "customer_type", "switched_from",
    }
)  # fmt: skip
"""Facts of which the last telling, by the time it tells of, counts."""

MARKS: Final = frozenset(
    {
        "promises", "cancellations", "refunds", "scans", "payments", "steps", "replies", "surveys", "accounts",
        "redirects", "returns", "views", "searches", "coupons", "errors", "rage_clicks", "dead_clicks", "reloads",
        "progress", "requests", "acceptances",
    }
)  # fmt: skip
"""Bounded sets: the newest of what was told, MAX_MARKS of them, or as many as FEWER_MARKS says."""

STAGE_PREFIX: Final = "stage."
"""`stage.NAME` is the earliest touchpoint that entered the stage; its value is the channel."""

ACTION_PREFIX: Final = "action."
"""`action.NAME` is the earliest touchpoint that completed the desired action; its value is the channel."""


def rule_of(name: str) -> Rule:
    """The rule of a fact's name.

    Raises:
        KeyError: a name that nobody declared.
    """
    if name in LATEST_FACTS:
        return Rule.LATEST
    if name in EARLIEST_FACTS or name.startswith((STAGE_PREFIX, ACTION_PREFIX)):
        return Rule.EARLIEST
    raise KeyError(name)


class State(msgspec.Struct, omit_defaults=True, gc=False):
    """What is known of a strand or an entity. An empty one is the unit of `join`."""

    count: int = 0
    """Touchpoints that belong to it."""
    channels: dict[str, int] = {}
    """Of these, how many on each channel."""
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    facts: dict[str, Fact] = {}
    marks: dict[str, tuple[Fact, ...]] = {}

    def tell(self, name: str, fact: Fact) -> None:
        """Add one fact."""
        held = self.facts.get(name)
        self.facts[name] = fact if held is None else merge(rule_of(name), held, fact)

    def mark(self, name: str, fact: Fact) -> None:
        """Add one mark to the set of that name."""
        held = self.marks.get(name)
        self.marks[name] = (fact,) if held is None else _both(name, held, (fact,))

    def value(self, name: str) -> Any:
        """The value of a fact, or None where nothing was told."""
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def at(self, name: str) -> datetime | None:
        """When what the fact tells happened, or None."""
        fact = self.facts.get(name)
        return None if fact is None else fact.at


def merge(rule: Rule, a: Fact, b: Fact) -> Fact:
    """The one of two facts that the rule keeps."""
    if (a.at, a.message_id) == (b.at, b.message_id):
        return _same(a, b)
    b_is_later = (b.at, b.message_id) > (a.at, a.message_id)
    return b if b_is_later == (rule is Rule.LATEST) else a


def _both(name: str, held: tuple[Fact, ...], told: tuple[Fact, ...]) -> tuple[Fact, ...]:
    if held[-1].at < told[0].at:
        # The usual case: what is told happened after all that is held.
        return (*held, *told)[-FEWER_MARKS.get(name, MAX_MARKS) :]
    return newest(name, (*held, *told))


def newest(name: str, facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """The newest marks of this name that are kept, oldest first, one of each (time, message id)."""
    unique: list[Fact] = []
    for fact in sorted(facts, key=lambda f: (f.at, f.message_id)):
        if unique and (unique[-1].at, unique[-1].message_id) == (fact.at, fact.message_id):
            unique[-1] = _same(unique[-1], fact)
        else:
            unique.append(fact)
    return tuple(unique[-FEWER_MARKS.get(name, MAX_MARKS) :])


def join(a: State, b: State) -> State:
    """Both states as one. Facts by their rules; counts add, so give each touchpoint once."""
    facts = dict(a.facts)
    for name, fact in b.facts.items():
        held = facts.get(name)
        facts[name] = fact if held is None else merge(rule_of(name), held, fact)
    marks = dict(a.marks)
    for name, told in b.marks.items():
        mine = marks.get(name)
        marks[name] = told if mine is None else _both(name, mine, told)
    channels = dict(a.channels)
    for channel, count in b.channels.items():
        channels[channel] = channels.get(channel, 0) + count
    return State(
        count=a.count + b.count,
        channels=channels,
        first_seen_at=_least(a.first_seen_at, b.first_seen_at),
        last_seen_at=_greatest(a.last_seen_at, b.last_seen_at),
        facts=facts,
        marks=marks,
    )


def _same(a: Fact, b: Fact) -> Fact:
    """One of two facts of one time and message id: one message of two sources, or one told twice.

    Any fixed choice of the value will do, so it is by the text. It is history only if both are, received last.
    """
    told = max(a, b, key=_text)
    imported_at = None if a.imported_at is None or b.imported_at is None else max(a.imported_at, b.imported_at)
    return told if told.imported_at == imported_at else msgspec.structs.replace(told, imported_at=imported_at)


def _text(fact: Fact) -> bytes:
    return msgspec.json.encode(fact.value, order="deterministic")


def _least(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def _greatest(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)
