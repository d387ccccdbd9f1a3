"""A detector as data: what an analyst writes, checked, and made ready for a namespace.

A file names facts of `view.OFFERED`, thresholds of its own and a closed set of operators. There are
two families: `deadline` (an instant has passed and nothing happened) and `marks` (something
happened and nothing answered it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from string import Formatter
from typing import Any, Final, Literal

import msgspec

from pathline.domain.alerts import SEVERITIES, Severity
from pathline.domain.detectors import spans
from pathline.domain.detectors.view import OFFERED

Ease = Literal["find", "choose", "buy", "obtain", "use", "maintain"]
"""The six eases of a purchase; every pain point hurts one."""

MAX_CLAUSES: Final = 10
"""Causes, answers, steps, overrides of one detector."""

_TITLE_FIELDS: Final = frozenset({"kind", "value"})


class DetectorError(ValueError):
    """A detector's file cannot be used; the message names the field."""


class Until(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"resolution": "as"}):
    """An instant that ends the trouble, and the word the alert is resolved with."""

    fact: str
    resolution: str


class DeadlineRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds from `at` (less `before`, plus `after`) on, when all of `needs` are known and none of `until` is."""

    at: str
    before: str | None = None
    after: str | None = None
    needs: tuple[str, ...] = ()
    until: tuple[Until, ...] = ()
    moved: str = "moved"
    """The word an alert is resolved with when `at` moves on."""
    ends_at: str | None = None
    """The instant from which on another detector has it; resolved as `handed_over`."""


class AtMost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`attr` is at most `limit` on a scale that ends at `of`; where the mark's `scale` says otherwise, in proportion."""

    attr: str
    limit: str
    of: float
    scale: str | None = None


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Marks of a name whose attributes have one of the values given for each."""

    mark: str
    where: dict[str, tuple[str, ...]] = {}
    at_most: AtMost | None = None


class AnswerRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"resolution": "as"}):
    """What answers a cause that came before it: a mark or a fact, once it has `held` for a while with no new cause."""

    resolution: str
    mark: str | None = None
    fact: str | None = None
    where: dict[str, tuple[str, ...]] = {}
    held: str | None = None


class MarksRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds while a mark that one of `causes` describes has none of `answers` after it."""

    causes: tuple[Clause, ...]
    answers: tuple[AnswerRule, ...] = ()


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A severity, and from when on it counts. One without a condition counts from the start."""

    level: Severity
    count: str | int | None = None
    within: str | None = None
    """At least `count` causes within this span."""
    after: str | None = None
    """This long after it opened."""
    on: Literal["next_working_day"] | None = None
    """From the first midnight, where the parcel goes, of a Monday to Friday after the day on which it opened."""


class DetectorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as an analyst writes it."""

    name: str
    title: str
    ease: Ease
    advice: str
    entity: tuple[str, ...]
    severity: tuple[Step, ...]
    version: int = 1
    deadline: DeadlineRule | None = None
    marks: MarksRule | None = None
    thresholds: dict[str, str | int | float] = {}
    overrides: tuple[dict[str, str | int | float], ...] = ()


class Override(msgspec.Struct, frozen=True):
    """Other thresholds for a detector: in one namespace, or where it is None in all."""

    detector: str
    namespace: str | None
    values: dict[str, str | int | float]


def read(data: Any) -> DetectorFile:
    """Check what a YAML parser returned.

    Raises:
        DetectorError: it names the field that is wrong.
    """
    try:
        file = msgspec.convert(data, DetectorFile)
    except msgspec.ValidationError as error:
        raise DetectorError(str(error)) from error
    for field, wrong in _faults(file):
        message = f"{field}: {wrong}"
        raise DetectorError(message)
    return file


def read_override(data: Any, detector: str | None = None) -> Override:
    """Check one override: `namespace`, `detector` where it is not clear, and thresholds. Raises DetectorError."""
    if not isinstance(data, Mapping):
        message = "an override is a mapping"
        raise DetectorError(message)
    values = dict(data)
    namespace = values.pop("namespace", None)
    named = values.pop("detector", detector)
    if not isinstance(named, str) or not isinstance(namespace, str | None):
        message = "an override names its detector, and perhaps a namespace"
        raise DetectorError(message)
    return Override(named, namespace, values)


def overrides_of(file: DetectorFile) -> tuple[Override, ...]:
    """The overrides written in the file itself."""
    return tuple(read_override(values, file.name) for values in file.overrides)


def span_of(file: DetectorFile, word: str | None) -> timedelta:
    """A span written out or the name of a threshold; nothing is none. Raises DetectorError."""
    if word is None:
        return timedelta(0)
    told = file.thresholds.get(word, word)
    span = spans.parse(told) if isinstance(told, str) else None
    if span is None:
        message = f"{word!r} is no span of time (30s, 15m, 24h, 3d) and no threshold that is one"
        raise DetectorError(message)
    return span


def number_of(file: DetectorFile, word: str | float) -> float:
    """A number written out or the name of a threshold. Raises DetectorError."""
    told = file.thresholds.get(word, word) if isinstance(word, str) else word
    try:
        return float(told)
    except ValueError as error:
        message = f"{word!r} is no number and no threshold that is one"
        raise DetectorError(message) from error


def _faults(file: DetectorFile) -> Iterable[tuple[str, str]]:
    if not file.name.isidentifier():
        yield "name", f"{file.name!r} is not lower case letters, digits and underscores"
    fields = {name for _, name, _, _ in Formatter().parse(file.title) if name is not None}
    if fields - _TITLE_FIELDS:
        yield "title", f"only {{kind}} and {{value}} can be filled in, not {sorted(fields - _TITLE_FIELDS)}"
    if (file.deadline is None) == (file.marks is None):
        yield "deadline", "exactly one of deadline and marks must be given"
    if not file.severity or file.severity[0] != Step(file.severity[0].level):
        yield "severity", "the first step has a level and no condition"
    levels = [SEVERITIES.index(step.level) for step in file.severity]
    if levels != sorted(levels) or len(levels) > MAX_CLAUSES:
        yield "severity", f"steps rise, and are at most {MAX_CLAUSES}"
    for kind in file.entity:
        if kind not in OFFERED:
            yield "entity", f"{kind!r} is none of {', '.join(OFFERED)}"
    if not file.entity:
        yield "entity", "at least one kind is needed"
    yield from _threshold_faults(file)
    yield from _fact_faults(file)


def _threshold_faults(file: DetectorFile) -> Iterable[tuple[str, str]]:
    for place, override in enumerate(file.overrides):
        unknown = override.keys() - file.thresholds.keys() - {"namespace"}
        if unknown:
            yield f"overrides[{place}]", f"no threshold is called {', '.join(sorted(unknown))}"
    words: list[tuple[str, str | None]] = []
    if file.deadline is not None:
        words += [("deadline.before", file.deadline.before), ("deadline.after", file.deadline.after)]
    for place, step in enumerate(file.severity):
        words += [(f"severity[{place}].within", step.within), (f"severity[{place}].after", step.after)]
        if (step.count is None) != (step.within is None):
            yield f"severity[{place}]", "count and within go together"
    for place, answer in enumerate(file.marks.answers if file.marks else ()):
        words.append((f"marks.answers[{place}].held", answer.held))
    for field, word in words:
        try:
            span_of(file, word)
        except DetectorError as error:
            yield field, str(error)
    numbers = [(f"severity[{i}].count", step.count) for i, step in enumerate(file.severity) if step.count is not None]
    for place, clause in enumerate(file.marks.causes if file.marks else ()):
        if clause.at_most is not None:
            numbers.append((f"marks.causes[{place}].at_most.limit", clause.at_most.limit))
    for field, number in numbers:
        try:
            number_of(file, number)
        except DetectorError as error:
            yield field, str(error)


def _fact_faults(file: DetectorFile) -> Iterable[tuple[str, str]]:
    wanted: list[tuple[str, str, str]] = []
    if file.deadline is not None:
        rule = file.deadline
        wanted.append(("deadline.at", rule.at, "instant"))
        wanted += [("deadline.needs", name, "instant") for name in rule.needs]
        wanted += [("deadline.until", one.fact, "instant") for one in rule.until]
        wanted += [("deadline.ends_at", name, "instant") for name in (rule.ends_at,) if name]
    if file.marks is not None:
        if not 0 < len(file.marks.causes) <= MAX_CLAUSES or len(file.marks.answers) > MAX_CLAUSES:
            yield "marks.causes", f"1 to {MAX_CLAUSES} causes, at most {MAX_CLAUSES} answers"
        wanted += [("marks.causes", clause.mark, "marks") for clause in file.marks.causes]
        for answer in file.marks.answers:
            if (answer.mark is None) == (answer.fact is None):
                yield "marks.answers", "an answer is either a mark or a fact"
            if answer.mark is not None:
                wanted.append(("marks.answers", answer.mark, "marks"))
    for field, name, shape in wanted:
        for kind in file.entity:
            offer = OFFERED.get(kind, {}).get(name)
            if offer is None or offer.shape != shape:
                yield field, f"{name!r} is no {shape} that a {kind} offers"
    for answer in file.marks.answers if file.marks else ():
        offers = [OFFERED.get(kind, {}).get(answer.fact or "") for kind in file.entity]
        if answer.fact is not None and not any(offer is not None and offer.shape == "instant" for offer in offers):
            yield "marks.answers", f"{answer.fact!r} is no instant that any of {', '.join(file.entity)} offers"
