"""Detectors made ready to run: thresholds filled in, one set for each namespace, indexed by kind of entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors.rules import (
    AnswerRule,
    AtMost,
    Clause,
    DetectorError,
    DetectorFile,
    Override,
    Threshold,
    Until,
    number_of,
    span_of,
)
from pathline.domain.detectors.view import OFFERED, View
from pathline.domain.facts import Fact

MAX_NAMESPACES: Final = 1_000
"""Namespaces whose compiled detectors are kept; more are compiled again when met."""


class Step(msgspec.Struct, frozen=True):
    """A severity and its condition, in numbers."""

    level: Severity
    count: int
    within: timedelta
    after: timedelta
    working_day: bool


class Deadline(msgspec.Struct, frozen=True):
    """See DeadlineRule."""

    at: str
    offset: timedelta
    needs: tuple[str, ...]
    until: tuple[Until, ...]
    moved: str
    ends_at: str | None


class Score(msgspec.Struct, frozen=True):
    """See AtMost."""

    attr: str
    limit: float
    of: float
    scale: str | None

    def holds(self, attrs: Mapping[str, Any]) -> bool:
        """Whether the mark's score is low. One without a score is not."""
        score = _number(attrs.get(self.attr))
        if score is None:
            return False
        end = _number(attrs.get(self.scale)) if self.scale else None
        return score * self.of <= self.limit * (end if end is not None and end > 0 else self.of)


class Cause(msgspec.Struct, frozen=True):
    """See Clause."""

    mark: str
    where: Mapping[str, frozenset[str]]
    score: Score | None

    def holds(self, fact: Fact) -> bool:
        """Whether the mark is one of these."""
        return matches(self.where, fact) and (self.score is None or self.score.holds(fact.value or {}))


class Answer(msgspec.Struct, frozen=True):
    """See AnswerRule."""

    mark: str | None
    fact: str | None
    where: Mapping[str, frozenset[str]]
    held: timedelta
    resolution: str


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector with the thresholds of one namespace."""

    name: str
    version: int
    title: str
    ease: str
    advice: str
    kinds: tuple[str, ...]
    steps: tuple[Step, ...]
    deadline: Deadline | None
    causes: tuple[Cause, ...]
    answers: tuple[Answer, ...]

    def title_of(self, view: View) -> str:
        """What hurts, in a line."""
        return self.title.format(kind=view.kind, value=view.identifier.value)

    def facts(self) -> tuple[str, ...]:
        """Every fact it names."""
        rule = self.deadline
        named = () if rule is None else (rule.at, *rule.needs, *(one.fact for one in rule.until), rule.ends_at)
        answers = (answer.mark or answer.fact for answer in self.answers)
        return tuple(name for name in (*named, *(cause.mark for cause in self.causes), *answers) if name is not None)

    def asks_customer(self, kind: str) -> bool:
        """Whether it must know the owner of a thing of this kind."""
        return any(OFFERED[kind][name].of_customer for name in self.facts())


class Detectors:
    """All detectors of a deployment."""

    def __init__(self, files: Iterable[DetectorFile], overrides: Iterable[Override] = ()) -> None:
        """Compile them.

        Args:
            files: one a detector, checked; of two with one name the later counts.
            overrides: other thresholds; one for a namespace outranks one for all, of two alike the later counts.

        Raises:
            DetectorError: an override names what does not exist, or gives a threshold that is none.
        """
        self.files = {file.name: file for file in files}
        given = [o for o in overrides if o.detector in self.files or _no_detector(o)]
        self._overrides = sorted(given, key=lambda o: o.namespace is not None)
        self._compiled: dict[str, dict[str, tuple[Detector, ...]]] = {}
        for namespace in {"", *(o.namespace or "" for o in given)}:
            self.of(namespace, "order")

    def __reduce__(self) -> tuple[type[Detectors], tuple[list[DetectorFile], list[Override]]]:
        """To another process go the files, which are compiled there."""
        return Detectors, (list(self.files.values()), self._overrides)

    def overridden(self, overrides: Iterable[Override]) -> Detectors:
        """The same with these thresholds, which outrank its own of the same namespace. Raises DetectorError."""
        return Detectors(self.files.values(), [*self._overrides, *overrides])

    def of(self, namespace: str, kind: str) -> tuple[Detector, ...]:
        """The detectors that look at entities of this kind in this namespace."""
        compiled = self._compiled.get(namespace)
        if compiled is None:
            if len(self._compiled) >= MAX_NAMESPACES:
                self._compiled.clear()
            compiled = self._compiled[namespace] = self._compile(namespace)
        return compiled.get(kind, ())

    def _compile(self, namespace: str) -> dict[str, tuple[Detector, ...]]:
        by_kind: dict[str, tuple[Detector, ...]] = {}
        for file in self.files.values():
            detector = compile_file(file, self._thresholds(file, namespace))
            for kind in file.entity:
                by_kind[kind] = (*by_kind.get(kind, ()), detector)
        return by_kind

    def _thresholds(self, file: DetectorFile, namespace: str) -> dict[str, Threshold]:
        thresholds = dict(file.thresholds)
        for override in self._overrides:
            if override.detector != file.name or override.namespace not in {None, namespace}:
                continue
            unknown = override.values.keys() - file.thresholds.keys()
            if unknown:
                message = f"overrides of {file.name}: no threshold is called {', '.join(sorted(unknown))}"
                raise DetectorError(message)
            thresholds |= override.values
        return thresholds


def compile_file(file: DetectorFile, thresholds: Mapping[str, Threshold]) -> Detector:
    """A detector with these thresholds. Raises DetectorError where one is neither a span nor a number."""

    def span(word: str | None) -> timedelta:
        return span_of(thresholds, word)

    steps = tuple(
        Step(
            step.level,
            0 if step.count is None else int(number_of(thresholds, step.count)),
            span(step.within),
            span(step.after),
            step.begins is not None,
        )
        for step in file.severity
    )
    rule = file.deadline
    return Detector(
        name=file.name,
        version=file.version,
        title=file.title,
        ease=file.ease,
        advice=file.advice,
        kinds=file.entity,
        steps=steps,
        deadline=None
        if rule is None
        else Deadline(
            rule.at, span(rule.after) - span(rule.before), rule.needs, rule.until, rule.moved, rule.ends_at
        ),
        causes=tuple(_cause(clause, thresholds) for clause in (file.marks.causes if file.marks else ())),
        answers=tuple(_answer(answer, span(answer.held)) for answer in (file.marks.answers if file.marks else ())),
    )  # fmt: skip


def matches(where: Mapping[str, frozenset[str]], fact: Fact) -> bool:
    """Whether a mark's attributes have the values asked for."""
    if not where:
        return True
    attrs = fact.value if isinstance(fact.value, Mapping) else {}
    return all(str(attrs.get(name)) in values for name, values in where.items())


def _cause(clause: Clause, thresholds: Mapping[str, Threshold]) -> Cause:
    return Cause(clause.mark, _where(clause.where), _score(clause.at_most, thresholds))


def _score(rule: AtMost | None, thresholds: Mapping[str, Threshold]) -> Score | None:
    return None if rule is None else Score(rule.attr, number_of(thresholds, rule.limit), rule.of, rule.scale)


def _answer(rule: AnswerRule, held: timedelta) -> Answer:
    return Answer(rule.mark, rule.fact, _where(rule.where), held, rule.resolution)


def _where(where: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(values) for name, values in where.items()}


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _no_detector(override: Override) -> bool:
    message = f"overrides: there is no detector {override.detector!r}"
    raise DetectorError(message)
