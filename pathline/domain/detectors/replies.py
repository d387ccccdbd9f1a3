"""What answers the causes of a detector: each answer counts for what came before it, once it has held."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from pathline.domain.detectors import spans
from pathline.domain.detectors.compiled import Detector
from pathline.domain.detectors.operators import Answer, Marked, matches, text
from pathline.domain.detectors.view import View
from pathline.domain.facts import Fact

Group = tuple[str | None, str | None]
"""An attribute and its value: an answer of this group answers only causes that have it. (None, None) answers all."""

ALL: Group = (None, None)


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer that was given, and from when on it counts."""

    at: datetime
    counts_from: datetime
    told_at: datetime
    """When what it tells happened: of a silence its end."""
    resolution: str


class Replies:
    """All answers to the causes of one detector about one thing."""

    def __init__(self, detector: Detector, view: View, causes: Sequence[Marked], now: datetime) -> None:
        """Find those that answer `causes`, which are in the order of time."""
        groups: dict[Group, list[Reply]] = {}
        for group, reply in (*_answers(detector, view), *_silences(detector, view, causes)):
            groups.setdefault(group, []).append(reply)
        self._attrs = {attr for attr, _ in groups}
        self._good: dict[Group, list[Reply]] = {}
        self._ahead: dict[Group, list[Reply]] = {}
        for group, replies in groups.items():
            times = [one.fact.at for one in causes if group in {ALL, _group(one, group[0])}]
            # An answer that must hold for a while is void once a new cause comes in that time.
            kept = sorted((one for one in replies if not _any_between(times, one)), key=lambda one: one.at)
            self._good[group] = [one for one in kept if one.counts_from <= now]
            self._ahead[group] = [one for one in kept if one.counts_from > now]

    def to(self, cause: Marked) -> Reply | None:
        """The first that answers it by now."""
        found = None
        for attr in self._attrs:
            good = self._good.get(_group(cause, attr), [])
            place = bisect_left(good, cause.fact.at, key=lambda one: one.at)
            if place < len(good) and (found is None or good[place].at < found.at):
                found = good[place]
        return found

    def next(self, cause: Marked) -> datetime | None:
        """When the next one to it, or to a later cause, will have held long enough."""
        ahead = (one.counts_from for listed in self._ahead.values() for one in listed if one.at >= cause.fact.at)
        return min(ahead, default=None)


def _answers(detector: Detector, view: View) -> Iterable[tuple[Group, Reply]]:
    for answer in detector.answers:
        for at, group in _times(answer, view):
            counts_from = spans.after(at, answer.held, detector.calendar, view.story.zone) if answer.held else at
            yield group, Reply(at, counts_from, at, answer.resolution)


def _times(answer: Answer, view: View) -> Iterable[tuple[datetime, Group]]:
    if answer.fact is not None:
        found = view.instant(answer.fact)
        return [] if found is None else [(found.at, ALL)]
    told: Iterable[Fact] = [fact for fact in view.marks(answer.mark or "") if matches(answer.where, fact)]
    if answer.change is not None:
        told = answer.change.of(told)
    if answer.same is None:
        return [(fact.at, ALL) for fact in told]
    return [(fact.at, (answer.same, value)) for fact in told if (value := text(fact, answer.same)) is not None]


def _silences(detector: Detector, view: View, causes: Iterable[Marked]) -> Iterable[tuple[Group, Reply]]:
    """Of a trouble that is over by itself each cause is its own answer, once it has held."""
    if not detector.lasts:
        return
    same = None if detector.count is None else detector.count.same
    for one in causes:
        over = spans.after(one.due, detector.lasts, detector.calendar, view.story.zone)
        yield _group(one, same), Reply(one.fact.at, over, over, detector.over)


def _group(cause: Marked, attr: str | None) -> Group:
    return ALL if attr is None else (attr, text(cause.fact, attr))


def _any_between(times: Sequence[datetime], reply: Reply) -> bool:
    place = bisect_right(times, reply.at)
    return place < len(times) and times[place] < reply.counts_from
