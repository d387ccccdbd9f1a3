"""What an offered fact is, and the ways to read one that several kinds of entity share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pathline.domain.facts import Fact, State

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View

AGENT: Final = "agent"
"""Who must have replied for it to be a follow-up."""


class Instant(NamedTuple):
    """A point in time that the state tells of, and the messages that told it."""

    at: datetime
    message_ids: tuple[str, ...] = ()
    imported_at: datetime | None = None
    """When what tells it was received, where only history told it."""


class Offer(NamedTuple):
    """A fact that a file may name."""

    shape: Literal["instant", "marks"]
    words: str
    """What it tells, for the documentation."""
    read: Callable[[View], Instant | tuple[Fact, ...] | None]
    of_customer: bool = False
    """Whether it is asked of the owner, who has to be looked up."""
    told_by: tuple[str, ...] = ()
    """Events that tell it of other things of the customer, so that these must be looked at again."""
    of_person: tuple[str, ...] = ()
    """Facts and marks of a strand that it is read off: an event that tells one of them is judged for the person."""

    @property
    def needs(self) -> str | None:
        """The one fact or mark of the thing itself without which it tells nothing; None where it is read off more."""
        read: object = self.read
        return read.name if isinstance(read, Own) else None


class Own:
    """Reads one fact or mark of the thing itself, and nothing without it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Read the one of that name."""
        self.name = name


class _OwnFact(Own):
    def __call__(self, view: View) -> Instant | None:
        return instant_of(view.state.facts.get(self.name))


class _OwnMarks(Own):
    def __call__(self, view: View) -> tuple[Fact, ...]:
        return view.state.marks.get(self.name, ())


Read = Callable[["View"], Instant | None]
ReadMarks = Callable[["View"], tuple[Fact, ...]]
Offers = dict[str, Offer]


def instant_of(fact: Fact | None) -> Instant | None:
    """The instant that a fact tells."""
    return None if fact is None else Instant(fact.at, (fact.message_id,), fact.imported_at)


def fact(name: str) -> Read:
    """The fact of that name of the thing itself."""
    return _OwnFact(name)


def own_marks(name: str) -> ReadMarks:
    """The marks of that name of the thing itself."""
    return _OwnMarks(name)


def attribute(mark: Fact, name: str) -> Any:
    """What a mark tells by that name; None where it does not."""
    value = mark.value
    # A state's are plain ones, and asking an abstract class takes as long as all the rest.
    return value.get(name) if type(value) is dict or isinstance(value, Mapping) else None


def key(told: Fact) -> tuple[datetime, str]:
    """By which facts are ordered."""
    return told.at, told.message_id


def first(facts: Iterable[Fact | None]) -> Fact | None:
    """The earliest of those that are known."""
    return min((one for one in facts if one is not None), key=key, default=None)


def last(facts: Iterable[Fact | None]) -> Fact | None:
    """The latest of those that are known."""
    return max((one for one in facts if one is not None), key=key, default=None)


def in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Oldest first."""
    return tuple(sorted(facts, key=key))


def by_agents(state: State) -> list[Fact]:
    """The replies of a case that an agent wrote."""
    return [one for one in state.marks.get("replies", ()) if attribute(one, "by") == AGENT]


SURVEYS: Final = Offer("marks", "answers to surveys that name it", own_marks("surveys"))
PAYMENTS: Final = Offer("marks", "its own payments; `outcome` is failed or succeeded", own_marks("payments"))
