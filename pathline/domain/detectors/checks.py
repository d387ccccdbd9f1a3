"""Whether a detector's file can be used, and if not which field is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any, Final

import msgspec

from pathline.domain.alerts import SEVERITIES
from pathline.domain.detectors.rules import (
    MAX_CLAUSES,
    DeadlineRule,
    DetectorError,
    DetectorFile,
    MarksRule,
    Override,
    Step,
    number_of,
    span_of,
)
from pathline.domain.detectors.view import OFFERED

_TITLE_FIELDS: Final = frozenset({"kind", "value"})

Fault = tuple[str, str]
"""A field, and what is wrong with it."""


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


def _faults(file: DetectorFile) -> Iterable[Fault]:
    if not file.name.isidentifier() or not file.name.islower():
        yield "name", f"{file.name!r} is not lower case letters, digits and underscores"
    fields = {name for _, name, _, _ in Formatter().parse(file.title) if name is not None}
    if fields - _TITLE_FIELDS:
        yield "title", f"only {{kind}} and {{value}} can be filled in, not {sorted(fields - _TITLE_FIELDS)}"
    if (file.deadline is None) == (file.marks is None):
        yield "deadline", "exactly one of deadline and marks must be given"
    if not file.entity:
        yield "entity", "at least one kind is needed"
    for kind in file.entity:
        if kind not in OFFERED:
            yield "entity", f"{kind!r} is none of {', '.join(OFFERED)}"
    yield from _override_faults(file)
    yield from _severity_faults(file)
    if file.deadline is not None:
        yield from _deadline_faults(file, file.deadline)
    if file.marks is not None:
        yield from _marks_faults(file, file.marks)


def _override_faults(file: DetectorFile) -> Iterable[Fault]:
    for place, override in enumerate(file.overrides):
        unknown = override.keys() - file.thresholds.keys() - {"namespace"}
        if unknown:
            yield f"overrides[{place}]", f"no threshold is called {', '.join(sorted(unknown))}"


def _severity_faults(file: DetectorFile) -> Iterable[Fault]:
    if not file.severity or file.severity[0] != Step(file.severity[0].level):
        yield "severity", "the first step has a level and no condition"
    levels = [SEVERITIES.index(step.level) for step in file.severity]
    if levels != sorted(levels) or len(levels) > MAX_CLAUSES:
        yield "severity", f"steps rise, and are at most {MAX_CLAUSES}"
    for place, step in enumerate(file.severity):
        field = f"severity[{place}]"
        yield from _span_faults(file, f"{field}.within", step.within)
        yield from _span_faults(file, f"{field}.after", step.after)
        yield from _number_faults(file, f"{field}.count", step.count)
        if (step.count is None) != (step.within is None):
            yield field, "count and within go together"


def _deadline_faults(file: DetectorFile, rule: DeadlineRule) -> Iterable[Fault]:
    yield from _span_faults(file, "deadline.before", rule.before)
    yield from _span_faults(file, "deadline.after", rule.after)
    named = [("at", rule.at), *(("needs", name) for name in rule.needs), *(("until", one.fact) for one in rule.until)]
    if rule.ends_at is not None:
        named.append(("ends_at", rule.ends_at))
    for field, name in named:
        yield from _offer_faults(file, f"deadline.{field}", name, "instant")


def _marks_faults(file: DetectorFile, rule: MarksRule) -> Iterable[Fault]:
    if not 0 < len(rule.causes) <= MAX_CLAUSES or len(rule.answers) > MAX_CLAUSES:
        yield "marks.causes", f"1 to {MAX_CLAUSES} causes, at most {MAX_CLAUSES} answers"
    for place, clause in enumerate(rule.causes):
        field = f"marks.causes[{place}]"
        yield from _offer_faults(file, f"{field}.mark", clause.mark, "marks")
        if clause.at_most is not None:
            yield from _number_faults(file, f"{field}.at_most.limit", clause.at_most.limit)
            if clause.at_most.of <= 0:
                yield f"{field}.at_most.of", "the end of the scale is above 0"
    for place, answer in enumerate(rule.answers):
        field = f"marks.answers[{place}]"
        yield from _span_faults(file, f"{field}.held", answer.held)
        if (answer.mark is None) == (answer.fact is None):
            yield field, "an answer is either a mark or a fact"
        if answer.mark is not None:
            yield from _offer_faults(file, f"{field}.mark", answer.mark, "marks")
        if answer.fact is not None:
            yield from _offer_faults(file, f"{field}.fact", answer.fact, "instant")


def _offer_faults(file: DetectorFile, field: str, name: str, shape: str) -> Iterable[Fault]:
    for kind in file.entity:
        offer = OFFERED.get(kind, {}).get(name)
        if offer is None or offer.shape != shape:
            yield field, f"{name!r} is no {shape} that a {kind} offers"


def _span_faults(file: DetectorFile, field: str, word: str | None) -> Iterable[Fault]:
    try:
        span_of(file.thresholds, word)
    except DetectorError as error:
        yield field, str(error)


def _number_faults(file: DetectorFile, field: str, word: str | float | None) -> Iterable[Fault]:
    try:
        number_of(file.thresholds, 0 if word is None else word)
    except DetectorError as error:
        yield field, str(error)
