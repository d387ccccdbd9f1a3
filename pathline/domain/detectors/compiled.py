"""Detectors made ready to run: thresholds filled in, one set for each namespace, indexed by kind of entity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors import rules
from pathline.domain.detectors.calendars import WEEKDAYS, Calendar
from pathline.domain.detectors.guards import Guard, GuardError
from pathline.domain.detectors.operators import Answer, Before, Bound, Cause, Change, Count, Where
from pathline.domain.detectors.rules import (
    AnswerRule,
    Clause,
    DeadlineRule,
    DetectorError,
    DetectorFile,
    Override,
    ServiceRule,
)
from pathline.domain.detectors.scores import RISK, lines_of
from pathline.domain.detectors.sources import is_missing
from pathline.domain.detectors.spans import NONE, Span
from pathline.domain.detectors.values import Thresholds, Values
from pathline.domain.detectors.view import OFFERED, View
from pathline.domain.risk import Lines

MAX_NAMESPACES: Final = 1_000
"""Namespaces whose compiled detectors are kept; more are compiled again when met."""

MAX_SHAPES: Final = 10_000
"""Sets of facts for which it is kept which detectors they concern; others are worked out again when met."""

MAX_MIXTURES: Final = 200
"""Sets of segments for which a detector is kept; others are compiled again when met."""


class Step(msgspec.Struct, frozen=True):
    """A severity and its condition, in numbers."""

    level: Severity
    count: int
    within: timedelta
    after: Span
    working_day: bool
    guard: Guard | None


class Base(msgspec.Struct, frozen=True):
    """What a deadline is counted from."""

    at: str
    where: Where
    before: Span
    after: Span


class Until(msgspec.Struct, frozen=True):
    """See rules.Until."""

    fact: str | None
    mark: str | None
    where: Where
    resolution: str


class Later(msgspec.Struct, frozen=True):
    """See rules.Later."""

    fact: str
    than: str
    by: Span


class Deadline(msgspec.Struct, frozen=True):
    """See DeadlineRule."""

    bases: tuple[Base, ...]
    """The first that is known counts."""
    needs: tuple[str, ...]
    later: tuple[Later, ...]
    until: tuple[Until, ...]
    moved: str
    ends_at: str | None
    ends_after: Span


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector with the thresholds of one namespace; where they differ by segment, the strictest of all."""

    name: str
    version: int
    title: str
    ease: str
    advice: str
    kinds: tuple[str, ...]
    steps: tuple[Step, ...]
    guard: Guard | None
    deadline: Deadline | None
    causes: tuple[Cause, ...]
    answers: tuple[Answer, ...]
    count: Count | None
    lasts: Span
    over: str
    calendar: Calendar
    runs: bool = True
    """Whether it is to be asked; an override says no."""
    mixtures: Mixtures | None = None
    risk: Lines | None = None
    least: int = 0
    """Of marks: fewer than so many are nothing to it; 0 where one may wait for an answer, and so is due later."""

    @property
    def timed(self) -> bool:
        """Whether it may begin to hold although nothing happens."""
        return self.deadline is not None or any(cause.unanswered for cause in self.causes)

    def fitting(self, view: View) -> Detector:
        """The same as it counts for the customer who owns the thing, once they were looked up."""
        if self.mixtures is None or view.id not in view.story.customers:
            return self
        return self.mixtures.of(view.customer.segments)

    def title_of(self, view: View) -> str:
        """What hurts, in a line."""
        return self.title.format(kind=view.kind, value=view.identifier.value)

    def facts(self) -> tuple[str, ...]:
        """Every fact it names."""
        named: list[str | None] = []
        if (rule := self.deadline) is not None:
            named += [*(base.at for base in rule.bases), *rule.needs, rule.ends_at]
            named += [name for one in rule.later for name in (one.fact, one.than)]
            named += [one.mark or one.fact for one in rule.until]
        for cause in self.causes:
            named.append(cause.mark)
            if cause.before is not None:
                named.append(cause.before.mark or cause.before.fact)
        named += [answer.mark or answer.fact for answer in self.answers]
        return tuple(name for name in named if name is not None)

    def concerns(self, kind: str, told: frozenset[str], around: frozenset[str]) -> bool:
        """Whether it may have something to say of a thing without an alert: see `is_missing` for what is asked."""
        missing = partial(is_missing, kind, told, around)
        rule = self.deadline
        if rule is None:
            return not all(missing(cause.mark) for cause in self.causes)
        return not (
            all(missing(base.at) for base in rule.bases)
            or any(missing(name) for name in rule.needs)
            # What the thing itself tells for good ends it.
            or any(one.fact is not None and OFFERED[kind][one.fact].needs in told for one in rule.until)
        )

    def asks_customer(self, kind: str) -> bool:
        """Whether it must know the owner of a thing of this kind."""
        return (
            self.mixtures is not None
            or any(one is not None and one.asks_customer for one in (self.guard, *(step.guard for step in self.steps)))
            or any(OFFERED[kind][name].of_customer for name in self.facts())
        )


class Mixtures:
    """A detector as it counts for customers of several segments at once."""

    def __init__(self, file: DetectorFile, thresholds: Thresholds, calendar: Calendar) -> None:
        """Compile each set of segments when it is met."""
        self._file = file
        self._thresholds = thresholds
        self._calendar = calendar
        self._compiled: dict[frozenset[str], Detector] = {}

    def of(self, segments: frozenset[str]) -> Detector:
        """For a customer of these."""
        mine = segments & self._thresholds.segments
        found = self._compiled.get(mine)
        if found is None:
            if len(self._compiled) >= MAX_MIXTURES:
                self._compiled.clear()
            found = self._compiled[mine] = compile_file(self._file, self._thresholds.of(mine), self._calendar)
        return found


class Detectors:
    """All detectors of a deployment."""

    def __init__(
        self,
        files: Iterable[DetectorFile],
        overrides: Iterable[Override] = (),
        service: Iterable[ServiceRule] = (),
        calendar: Calendar = WEEKDAYS,
    ) -> None:
        """Compile them.

        Args:
            files: one a detector, checked; of two with one name the later counts.
            overrides: other thresholds; one for a segment outranks one for a namespace, and that one for all; of two
                alike the later counts.
            service: whose service timers are shorter.
            calendar: the days on which the business works.

        Raises:
            DetectorError: an override names what does not exist, or gives a threshold that is none.
        """
        self.files = {file.name: file for file in files}
        given = [o for o in overrides if o.detector in self.files or _no_detector(o)]
        self.overrides: Sequence[Override] = sorted(
            given, key=lambda o: (o.segment is not None, o.namespace is not None)
        )
        self.service = tuple(service)
        self.calendar = calendar
        self._compiled: dict[str, dict[str, tuple[Detector, ...]]] = {}
        self._concerned: dict[tuple[str, str, frozenset[str], frozenset[str]], tuple[Detector, ...]] = {}
        self.ask_who = any(guard.asks_customer for file in self.files.values() for guard in _guards(file))
        """Whether one holds or not by who the customer is, whenever it was told."""
        for namespace in {"", *(o.namespace or "" for o in given)}:
            self.of(namespace, "order")

    def __reduce__(self) -> tuple[type[Detectors], tuple[object, ...]]:
        """To another process go the files, which are compiled there."""
        return Detectors, (list(self.files.values()), self.overrides, self.service, self.calendar)

    def overridden(self, overrides: Iterable[Override]) -> Detectors:
        """The same with these thresholds, which outrank its own of the same namespace. Raises DetectorError."""
        return Detectors(self.files.values(), [*self.overrides, *overrides], self.service, self.calendar)

    def only(self, names: Iterable[str]) -> Detectors:
        """Those of these names, as they are."""
        wanted = set(names)
        files = [file for file in self.files.values() if file.name in wanted]
        given = [override for override in self.overrides if override.detector in wanted]
        return Detectors(files, given, self.service, self.calendar)

    def of(self, namespace: str, kind: str) -> tuple[Detector, ...]:
        """The detectors that look at entities of this kind in this namespace."""
        compiled = self._compiled.get(namespace)
        if compiled is None:
            if len(self._compiled) >= MAX_NAMESPACES:
                self._compiled.clear()
            compiled = self._compiled[namespace] = self._compile(namespace)
        return compiled.get(kind, ())

    def concerned(self, view: View) -> tuple[Detector, ...]:
        """Those of them that may have something to say of a thing without an alert, of which so much is told."""
        shape = view.identifier.namespace, view.kind, view.told, view.story.told
        found = self._concerned.get(shape)
        if found is None:
            if len(self._concerned) >= MAX_SHAPES:
                self._concerned.clear()
            every = self.of(view.identifier.namespace, view.kind)
            found = self._concerned[shape] = tuple(one for one in every if one.concerns(*shape[1:]))
        return found

    def _compile(self, namespace: str) -> dict[str, tuple[Detector, ...]]:
        by_kind: dict[str, tuple[Detector, ...]] = {}
        for file in self.files.values():
            mine = [o for o in self.overrides if o.detector == file.name and o.namespace in {None, namespace}]
            thresholds = Thresholds(file, mine, self.service)
            detector = compile_file(file, thresholds.strictest(), self.calendar)
            if thresholds.segments:
                detector = msgspec.structs.replace(detector, mixtures=Mixtures(file, thresholds, self.calendar))
            for kind in file.entity if file.risk is None else (RISK,):
                by_kind[kind] = (*by_kind.get(kind, ()), detector)
        return by_kind


def compile_file(file: DetectorFile, values: Values, calendar: Calendar = WEEKDAYS) -> Detector:
    """A detector with these thresholds. Raises DetectorError where one is neither a span nor a number."""
    marks = file.marks
    try:
        return Detector(
            name=file.name,
            version=file.version,
            title=file.title,
            ease=file.ease,
            advice=file.advice,
            kinds=file.entity,
            steps=tuple(_step(file, step, values) for step in file.severity),
            guard=_guard(file, file.when),
            deadline=None if file.deadline is None else _deadline(file.deadline, values),
            causes=() if marks is None else tuple(_cause(clause, values) for clause in marks.causes),
            answers=() if marks is None else tuple(_answer(answer, values) for answer in marks.answers),
            count=None if marks is None or marks.count is None else _count(marks.count, values),
            lasts=NONE if marks is None else values.longest(marks.lasts),
            over="" if marks is None else marks.over,
            calendar=calendar,
            runs=values.runs,
            risk=lines_of(file, values),
            least=0 if marks is None else _least(marks, values),
        )
    except GuardError as error:
        message = f"when: {error}"
        raise DetectorError(message) from error


def _guards(file: DetectorFile) -> Iterable[Guard]:
    found = (_guard(file, source) for source in (file.when, *(step.when for step in file.severity)))
    return (guard for guard in found if guard is not None)


def _guard(file: DetectorFile, source: str | None) -> Guard | None:
    return None if source is None else _compiled_guard(source, file.entity)


# Of each namespace and each set of segments it is the same.
_compiled_guard = lru_cache(maxsize=1_000)(Guard)


def _step(file: DetectorFile, step: rules.Step, values: Values) -> Step:
    return Step(
        step.level,
        0 if step.count is None else int(values.least(step.count)),
        values.longest(step.within).time,
        values.shortest(step.after),
        step.begins is not None,
        _guard(file, step.when),
    )


def _deadline(rule: DeadlineRule, values: Values) -> Deadline:
    counted_from = (rule,) if rule.otherwise is None else (rule, rule.otherwise)
    return Deadline(
        bases=tuple(
            Base(one.at, _where(one.where), values.longest(one.before), values.shortest(one.after))
            for one in counted_from
        ),
        needs=rule.needs,
        later=tuple(Later(one.fact, one.than, values.shortest(one.by)) for one in rule.later),
        until=tuple(Until(one.fact, one.mark, _where(one.where), one.resolution) for one in rule.until),
        moved=rule.moved,
        ends_at=rule.ends_at,
        ends_after=values.longest(rule.ends_after),
    )


def _cause(clause: Clause, values: Values) -> Cause:
    bounds = []
    if (most := clause.at_most) is not None:
        bounds.append(Bound(most.attr, values.most(most.limit), most.of, most.scale, least=False))
    if (least := clause.at_least) is not None:
        bounds.append(Bound(least.attr, values.least(least.limit), least.of, least.scale, least=True))
    before = None
    if (rule := clause.after) is not None:
        before = Before(values.longest(rule.within).time, rule.fact, rule.mark, _where(rule.where), rule.same)
    return Cause(
        clause.mark, _where(clause.where), tuple(bounds), before, _change(clause.change, values, strict=True),
        values.shortest(clause.unanswered),
    )  # fmt: skip


def _answer(rule: AnswerRule, values: Values) -> Answer:
    return Answer(
        rule.mark, rule.fact, _where(rule.where), _change(rule.change, values, strict=False), rule.same,
        values.longest(rule.held), rule.resolution,
    )  # fmt: skip


def _change(rule: rules.Change | None, values: Values, *, strict: bool) -> Change | None:
    """A change that is a cause is strict where it is small, one that answers where it is large."""
    if rule is None:
        return None
    told = rule.rises if rule.rises is not None else rule.falls
    assert told is not None
    part = values.least(told) if strict else values.most(told)
    within = None
    if rule.within is not None:
        within = (values.longest(rule.within) if strict else values.shortest(rule.within)).time
    return Change(rule.attr, part, rule.rises is not None, within, rule.same)


def _least(rule: rules.MarksRule, values: Values) -> int:
    """How many marks there must be for it to have something to say without an alert."""
    if any(clause.unanswered is not None for clause in rule.causes):
        return 0
    of_one = 1 if any(clause.change is None for clause in rule.causes) else 2
    return of_one if rule.count is None else max(of_one, int(values.least(rule.count.at_least)))


def _count(rule: rules.Count, values: Values) -> Count:
    within, apart = (None if word is None else values.longest(word).time for word in (rule.within, rule.apart))
    return Count(int(values.least(rule.at_least)), within, apart, rule.same, rule.distinct)


def _where(where: rules.Where) -> dict[str, frozenset[str]]:
    return {name: frozenset(values) for name, values in where.items()}


def _no_detector(override: Override) -> bool:
    message = f"overrides: there is no detector {override.detector!r}"
    raise DetectorError(message)
