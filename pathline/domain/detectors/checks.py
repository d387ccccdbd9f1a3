"""Whether a detector's file can be used, and if not what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any, Final, NamedTuple

import msgspec

from pathline.domain.alerts import SEVERITIES
from pathline.domain.detectors import scores
from pathline.domain.detectors.guards import Flaw, Guard, GuardError
from pathline.domain.detectors.rules import (
    MAX_CLAUSES,
    MAX_EXAMPLES,
    RUNS,
    AnswerRule,
    Before,
    Bound,
    Change,
    Clause,
    Count,
    DeadlineRule,
    DetectorError,
    DetectorFile,
    Fallback,
    MarksRule,
    Override,
    Step,
    Until,
    number_of,
    span_of,
    value_of,
)
from pathline.domain.detectors.spans import Span
from pathline.domain.detectors.values import Thresholds
from pathline.domain.detectors.view import OFFERED

TITLE_FIELDS: Final = frozenset({"kind", "value"})
WHERE_SET: Final = frozenset({"namespace", "segment", "detector"})
"""Words of an override that are no thresholds."""


class Fault(NamedTuple):
    """What is wrong, with its stable code, and the field where it stands, as in `deadline.until[0].fact`."""

    field: str
    code: str
    words: str
    flaw: Flaw | None = None
    """Of an expression: where in it."""


def read(data: Any) -> DetectorFile:
    """Check what a YAML parser returned.

    Raises:
        DetectorError: it names the first field that is wrong.
    """
    try:
        file = msgspec.convert(data, DetectorFile)
    except msgspec.ValidationError as error:
        raise DetectorError(str(error)) from error
    for fault in faults(file):
        message = f"{fault.field}: {fault.words}"
        raise DetectorError(message)
    return file


def read_override(data: Any, detector: str | None = None) -> Override:
    """Check one override: `namespace`, `segment`, `detector` where it is not clear, and thresholds.

    Raises:
        DetectorError: it is none.
    """
    if not isinstance(data, Mapping):
        message = "an override is a mapping"
        raise DetectorError(message)
    values = dict(data)
    namespace, segment = values.pop("namespace", None), values.pop("segment", None)
    named = values.pop("detector", detector)
    if not isinstance(named, str) or not isinstance(namespace, str | None) or not isinstance(segment, str | None):
        message = "an override names its detector, and perhaps a namespace or a segment"
        raise DetectorError(message)
    return Override(named, namespace, values, None if segment is None else segment.lower())


def overrides_of(file: DetectorFile) -> tuple[Override, ...]:
    """The overrides written in the file itself."""
    return tuple(read_override(values, file.name) for values in file.overrides)


def faults(file: DetectorFile) -> Iterable[Fault]:
    """All that is wrong with a file of the right form."""
    yield from _head_faults(file)
    yield from _threshold_faults(file)
    yield from _severity_faults(file)
    yield from _guard_faults(file, "when", file.when)
    if file.deadline is not None:
        yield from _deadline_faults(file, file.deadline)
    if file.marks is not None:
        yield from _marks_faults(file, file.marks)
    yield from (Fault(*one) for one in scores.wrong(file))


def _head_faults(file: DetectorFile) -> Iterable[Fault]:
    if not file.name.isidentifier() or not file.name.islower():
        yield Fault("name", "bad_name", f"{file.name!r} is not lower case letters, digits and underscores")
    try:
        fields = {name for _, name, _, _ in Formatter().parse(file.title) if name is not None}
    except ValueError as error:
        yield Fault("title", "bad_title", str(error))
        fields = set()
    if fields - TITLE_FIELDS:
        words = f"only {{kind}} and {{value}} can be filled in, not {sorted(fields - TITLE_FIELDS)}"
        yield Fault("title", "bad_title", words)
    if [file.deadline, file.marks, file.risk].count(None) != 2:  # noqa: PLR2004 - all but one
        yield Fault("deadline", "one_of_two", "exactly one of deadline, marks and risk must be given")
    if not file.entity:
        yield Fault("entity", "empty_list", "at least one kind is needed")
    for place, kind in enumerate(file.entity):
        if kind not in OFFERED:
            yield Fault(f"entity[{place}]", "unknown_kind", f"{kind!r} is none of {', '.join(OFFERED)}")
    if len(file.examples) > MAX_EXAMPLES or any(len(one.given) > MAX_EXAMPLES for one in file.examples):
        yield Fault("examples", "too_many", f"at most {MAX_EXAMPLES} examples, and touchpoints of one")


def _threshold_faults(file: DetectorFile) -> Iterable[Fault]:
    for name, told in file.thresholds.items():
        if name == RUNS:
            yield Fault(f"thresholds.{name}", "bad_name", "runs is a word of overrides, and no name for a threshold")
        elif value_of(told) is None:
            yield Fault(f"thresholds.{name}", "bad_span", f"{told!r} is neither a span of time nor a number")
    for place, name in enumerate(file.service):
        if not isinstance(value_of(file.thresholds.get(name, "")), Span):
            yield Fault(f"service[{place}]", "unknown_threshold", f"no threshold that is a span is called {name!r}")
    yield from _override_faults(file)


def _override_faults(file: DetectorFile) -> Iterable[Fault]:
    good = all(value_of(told) is not None for told in file.thresholds.values())
    if len(file.overrides) > MAX_CLAUSES * 2:
        yield Fault("overrides", "too_many", f"at most {MAX_CLAUSES * 2} overrides")
    for place, values in enumerate(file.overrides):
        field = f"overrides[{place}]"
        unknown = values.keys() - file.thresholds.keys() - WHERE_SET - {RUNS}
        if unknown:
            words = f"no threshold is called {', '.join(sorted(unknown))}"
            yield Fault(field, "unknown_threshold", words)
        elif good:
            try:
                Thresholds(file, [read_override(values, file.name)], ())
            except DetectorError as error:
                yield Fault(field, "bad_override", str(error))


def _severity_faults(file: DetectorFile) -> Iterable[Fault]:
    if not file.severity or file.severity[0] != Step(file.severity[0].level):
        yield Fault("severity", "bad_steps", "the first step has a level and no condition")
    levels = [SEVERITIES.index(step.level) for step in file.severity]
    if levels != sorted(levels) or len(levels) > MAX_CLAUSES:
        yield Fault("severity", "bad_steps", f"steps rise, and are at most {MAX_CLAUSES}")
    for place, step in enumerate(file.severity):
        field = f"severity[{place}]"
        yield from _span_faults(file, f"{field}.within", step.within, clock=True)
        yield from _span_faults(file, f"{field}.after", step.after)
        yield from _number_faults(file, f"{field}.count", step.count)
        yield from _guard_faults(file, f"{field}.when", step.when)
        if (step.count is None) != (step.within is None):
            yield Fault(field, "goes_together", "count and within go together")
        if step.after is not None and step.begins is not None:
            yield Fault(field, "one_of_two", "after and begins do not go together")


def _deadline_faults(file: DetectorFile, rule: DeadlineRule) -> Iterable[Fault]:
    yield from _base_faults(file, "deadline", rule)
    if rule.otherwise is not None:
        yield from _base_faults(file, "deadline.otherwise", rule.otherwise)
    yield from _many(("deadline.until", rule.until), ("deadline.needs", rule.needs), ("deadline.later", rule.later))
    for place, name in enumerate(rule.needs):
        yield from _offer_faults(file, f"deadline.needs[{place}]", name, "instant")
    for place, later in enumerate(rule.later):
        field = f"deadline.later[{place}]"
        yield from _offer_faults(file, f"{field}.fact", later.fact, "instant")
        yield from _offer_faults(file, f"{field}.than", later.than, "instant")
        yield from _span_faults(file, f"{field}.by", later.by)
    for place, until in enumerate(rule.until):
        yield from _source_faults(file, f"deadline.until[{place}]", until)
    if rule.ends_at is not None:
        yield from _offer_faults(file, "deadline.ends_at", rule.ends_at, "instant")
    yield from _span_faults(file, "deadline.ends_after", rule.ends_after)
    if rule.ends_after is not None and rule.ends_at is None:
        yield Fault("deadline.ends_after", "goes_together", "it needs `ends_at` beside it: after which instant")


def _base_faults(file: DetectorFile, field: str, rule: DeadlineRule | Fallback) -> Iterable[Fault]:
    yield from _span_faults(file, f"{field}.before", rule.before)
    yield from _span_faults(file, f"{field}.after", rule.after)
    shapes = {offer.shape for kind in file.entity if (offer := OFFERED.get(kind, {}).get(rule.at)) is not None}
    # Marks are another way to say an instant: the newest. What is neither is said to be no instant.
    yield from _offer_faults(file, f"{field}.at", rule.at, "marks" if shapes == {"marks"} else "instant")
    if rule.where and shapes != {"marks"}:
        yield Fault(f"{field}.where", "only_marks", "only marks have values to be asked for")
    yield from _where_faults(f"{field}.where", rule.where)


def _marks_faults(file: DetectorFile, rule: MarksRule) -> Iterable[Fault]:
    if not 0 < len(rule.causes) <= MAX_CLAUSES or len(rule.answers) > MAX_CLAUSES:
        yield Fault("marks.causes", "too_many", f"1 to {MAX_CLAUSES} causes, at most {MAX_CLAUSES} answers")
    for place, clause in enumerate(rule.causes):
        yield from _clause_faults(file, f"marks.causes[{place}]", clause)
    for place, answer in enumerate(rule.answers):
        field = f"marks.answers[{place}]"
        yield from _span_faults(file, f"{field}.held", answer.held)
        yield from _source_faults(file, field, answer, what="an answer")
        yield from _change_faults(file, f"{field}.change", answer.change)
        if answer.mark is None and (answer.change is not None or answer.same is not None):
            yield Fault(field, "only_marks", "only a mark has a change, or something that is the same")
    if rule.count is not None:
        yield from _count_faults(file, rule.count)
    yield from _span_faults(file, "marks.lasts", rule.lasts)


def _clause_faults(file: DetectorFile, field: str, clause: Clause) -> Iterable[Fault]:
    yield from _offer_faults(file, f"{field}.mark", clause.mark, "marks")
    yield from _where_faults(f"{field}.where", clause.where)
    for name, bound in (("at_most", clause.at_most), ("at_least", clause.at_least)):
        if bound is not None:
            yield from _bound_faults(file, f"{field}.{name}", bound)
    if clause.after is not None:
        yield from _source_faults(file, f"{field}.after", clause.after, what="what comes before")
        yield from _span_faults(file, f"{field}.after.within", clause.after.within, clock=True)
        if clause.after.mark is None and clause.after.same is not None:
            yield Fault(f"{field}.after.same", "only_marks", "only a mark has something that is the same")
    yield from _change_faults(file, f"{field}.change", clause.change)
    yield from _span_faults(file, f"{field}.unanswered", clause.unanswered)


def _bound_faults(file: DetectorFile, field: str, bound: Bound) -> Iterable[Fault]:
    yield from _number_faults(file, f"{field}.limit", bound.limit)
    if bound.of is not None and bound.of <= 0:
        yield Fault(f"{field}.of", "bad_number", "the end of the scale is above 0")
    if bound.scale is not None and bound.of is None:
        yield Fault(f"{field}.scale", "goes_together", "a scale needs the end that the limit is meant for, as `of`")


def _change_faults(file: DetectorFile, field: str, change: Change | None) -> Iterable[Fault]:
    if change is None:
        return
    if (change.rises is None) == (change.falls is None):
        yield Fault(field, "one_of_two", "exactly one of rises and falls must be given")
    yield from _number_faults(file, f"{field}.rises", change.rises)
    yield from _number_faults(file, f"{field}.falls", change.falls)
    yield from _span_faults(file, f"{field}.within", change.within, clock=True)


def _count_faults(file: DetectorFile, count: Count) -> Iterable[Fault]:
    yield from _number_faults(file, "marks.count.at_least", count.at_least)
    yield from _span_faults(file, "marks.count.within", count.within, clock=True)
    yield from _span_faults(file, "marks.count.apart", count.apart, clock=True)
    if count.within is not None and count.apart is not None:
        yield Fault("marks.count", "one_of_two", "within and apart do not go together")


def _source_faults(
    file: DetectorFile, field: str, rule: Until | Before | AnswerRule, *, what: str = "it"
) -> Iterable[Fault]:
    """Of what is either a fact or a mark."""
    if (rule.mark is None) == (rule.fact is None):
        yield Fault(field, "one_of_two", f"{what} is either a mark or a fact")
    if rule.mark is not None:
        yield from _offer_faults(file, f"{field}.mark", rule.mark, "marks")
    elif rule.where:
        yield Fault(f"{field}.where", "only_marks", "only marks have values to be asked for")
    if rule.fact is not None:
        yield from _offer_faults(file, f"{field}.fact", rule.fact, "instant")
    yield from _where_faults(f"{field}.where", rule.where)


def _where_faults(field: str, where: Mapping[str, tuple[str, ...]]) -> Iterable[Fault]:
    for name, values in where.items():
        if not values:
            yield Fault(f"{field}.{name}", "empty_list", "of no value there is none")


def _many(*listed: tuple[str, tuple[Any, ...]]) -> Iterable[Fault]:
    for field, items in listed:
        if len(items) > MAX_CLAUSES:
            yield Fault(field, "too_many", f"at most {MAX_CLAUSES}")


def _guard_faults(file: DetectorFile, field: str, source: str | None) -> Iterable[Fault]:
    if source is None or any(kind not in OFFERED for kind in file.entity):
        return
    try:
        Guard(source, file.entity)
    except GuardError as error:
        for flaw in error.flaws:
            yield Fault(field, flaw.code, flaw.words, flaw)


def _offer_faults(file: DetectorFile, field: str, name: str, shape: str) -> Iterable[Fault]:
    for kind in file.entity:
        offer = OFFERED.get(kind, {}).get(name)
        if kind in OFFERED and (offer is None or offer.shape != shape):
            yield Fault(field, "unknown_fact", f"{name!r} is no {shape} that a {kind} offers")


def _span_faults(file: DetectorFile, field: str, word: str | None, *, clock: bool = False) -> Iterable[Fault]:
    try:
        span = span_of(file.thresholds, word)
    except DetectorError as error:
        yield Fault(field, "bad_span", str(error))
        return
    if clock and not span.by_the_clock:
        yield Fault(field, "bad_span", "working days cannot be used here, only a span by the clock")


def _number_faults(file: DetectorFile, field: str, word: str | float | None) -> Iterable[Fault]:
    try:
        number_of(file.thresholds, 0 if word is None else word)
    except DetectorError as error:
        yield Fault(field, "bad_number", str(error))
