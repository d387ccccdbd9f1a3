"""The conditions that a detector's file may set, made ready to run. Each is pure and looks at facts alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from pathline.domain.detectors.spans import Span, plus
from pathline.domain.detectors.view import View
from pathline.domain.facts import Fact

Where = Mapping[str, frozenset[str]]

_NOTHING: Final[Mapping[str, Any]] = {}


class Bound(msgspec.Struct, frozen=True):
    """See rules.Bound."""

    attr: str
    limit: float
    of: float | None
    scale: str | None
    least: bool
    """Whether the limit is the least that holds, and not the most."""

    def holds(self, fact: Fact) -> bool:
        """Whether the mark's number is within it. One without a number is not."""
        attrs = attributes(fact)
        told = number(attrs.get(self.attr))
        if told is None:
            return False
        limit = self.limit
        if self.of is not None:
            end = number(attrs.get(self.scale)) if self.scale else None
            told, limit = told * self.of, limit * (end if end is not None and end > 0 else self.of)
        return told >= limit if self.least else told <= limit


class Before(msgspec.Struct, frozen=True):
    """See rules.Before."""

    within: timedelta
    fact: str | None
    mark: str | None
    where: Where
    same: str | None

    def messages(self, view: View, of: Fact) -> tuple[str, ...] | None:
        """The messages that tell of what came before a mark, the latest; None where nothing did."""
        if self.fact is not None:
            found = view.instant(self.fact)
            return found.message_ids if found is not None and self._close(found.at, of.at) else None
        for fact in reversed(view.marks(self.mark or "")):
            if fact is not of and self._close(fact.at, of.at) and matches(self.where, fact) and self._same(fact, of):
                return (fact.message_id,)
        return None

    def _close(self, at: datetime, then: datetime) -> bool:
        return at <= then <= plus(at, self.within)

    def _same(self, fact: Fact, of: Fact) -> bool:
        return self.same is None or ((told := text(of, self.same)) is not None and told == text(fact, self.same))


class Change(msgspec.Struct, frozen=True):
    """See rules.Change."""

    attr: str
    part: float
    rises: bool
    within: timedelta | None
    same: str | None

    def of(self, facts: Iterable[Fact]) -> list[Fact]:
        """Those of the marks, which are in order, whose number has changed so."""
        last: dict[str, tuple[float, datetime]] = {}
        changed = []
        for fact in facts:
            attrs = attributes(fact)
            told = number(attrs.get(self.attr))
            group = None if self.same is None else attrs.get(self.same)
            if told is None or (self.same is not None and group is None):
                continue
            group = str(group)
            before = last.get(group)
            last[group] = told, fact.at
            if before is not None and (self.within is None or fact.at <= plus(before[1], self.within)):
                limit = before[0] * (1 + self.part if self.rises else 1 - self.part)
                if told > limit if self.rises else told < limit:
                    changed.append(fact)
        return changed


class Cause(msgspec.Struct, frozen=True):
    """See rules.Clause."""

    mark: str
    where: Where
    bounds: tuple[Bound, ...]
    before: Before | None
    change: Change | None
    unanswered: Span


class Answer(msgspec.Struct, frozen=True):
    """See rules.AnswerRule."""

    mark: str | None
    fact: str | None
    where: Where
    change: Change | None
    same: str | None
    held: Span
    resolution: str


class Count(msgspec.Struct, frozen=True):
    """See rules.Count."""

    at_least: int
    within: timedelta | None
    apart: timedelta | None
    same: str | None
    distinct: str | None

    def of(self, facts: Sequence[Fact]) -> set[int]:
        """The places of those, of facts in order, that are so many together."""
        groups: dict[str | None, list[int]] = {}
        for place, fact in enumerate(facts):
            group = None if self.same is None else text(fact, self.same)
            if (group is None) == (self.same is None) and (
                self.distinct is None or text(fact, self.distinct) is not None
            ):
                groups.setdefault(group, []).append(place)
        return {place for places in groups.values() for place in self._crowded(facts, places)}

    def _crowded(self, facts: Sequence[Fact], places: list[int]) -> Iterable[int]:
        for window in self._windows([facts[place].at for place in places]):
            inside = places[window.start : window.stop]
            # A set only where it is asked for: most ask for a number.
            many = len(inside) if self.distinct is None else len({text(facts[p], self.distinct) for p in inside})
            if many >= self.at_least:
                yield from inside

    def _windows(self, times: Sequence[datetime]) -> Iterable[range]:
        """The longest runs of these times that lie within the span, or that no gap parts."""
        if self.within is None and self.apart is None:
            yield range(len(times))
            return
        first = 0
        for place, at in enumerate(times):
            if self.apart is not None:
                if place == len(times) - 1 or plus(at, self.apart) < times[place + 1]:
                    yield range(first, place + 1)
                    first = place + 1
            else:
                yield range(place, bisect_right(times, plus(at, self.within or timedelta(0))))


class Marked(NamedTuple):
    """A mark that is a cause, since when it counts, and all messages that tell of it."""

    fact: Fact
    due: datetime
    messages: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Whether it counts only once nothing has answered it for a while."""
        return self.due != self.fact.at

    def counts(self, now: datetime) -> bool:
        """Whether it does by then. One that waits for no answer does as soon as it is told of.

        For `now` is the time up to which everything was read, which may lie a little before what has just been.
        """
        return not self.waits or self.due <= now


def attributes(fact: Fact) -> Mapping[str, Any]:
    """What a mark tells by name."""
    value = fact.value
    # A state's are plain ones: see offers.offer.attribute.
    return value if type(value) is dict or isinstance(value, Mapping) else _NOTHING


def text(fact: Fact, attr: str) -> str | None:
    """What a mark tells by this name, to be compared; None where it tells nothing."""
    told = attributes(fact).get(attr)
    return None if told is None else str(told)


def matches(where: Where, fact: Fact) -> bool:
    """Whether a mark's attributes have the values asked for."""
    if not where:
        return True
    attrs = attributes(fact)
    return all(str(attrs.get(name)) in values for name, values in where.items())


def number(value: Any) -> float | None:
    """A number as it was sent, be it as text."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
