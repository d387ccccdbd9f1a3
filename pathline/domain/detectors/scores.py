"""The third family of detectors: a customer's alerts that add up. What is wrong with such a rule, and its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pathline.domain.detectors.rules import DetectorError, DetectorFile, Step, number_of
from pathline.domain.detectors.values import Values
from pathline.domain.risk import Lines

RISK: Final = "risk"
"""Under this the detectors of the family are found, in the place of a kind of entity: none looks at a thing."""

MOST: Final = 100
"""No score is above it."""


def lines_of(file: DetectorFile, values: Values) -> Lines | None:
    """The scores of a detector's rule with these thresholds; None where it is of another family."""
    rule = file.risk
    if rule is None:
        return None
    opens_at = values.least(rule.opens_at)
    steps = tuple((step.level, opens_at if step.score is None else values.least(step.score)) for step in file.severity)
    # A line above the one at which it opens would end what has just begun.
    return Lines(opens_at, min(values.least(rule.ends_below), opens_at), steps)


def wrong(file: DetectorFile) -> Iterator[tuple[str, str, str]]:
    """What is wrong with how the family is used: the field, a stable code, and words."""
    if file.risk is None:
        for place, step in enumerate(file.severity):
            if step.score is not None:
                yield f"severity[{place}].score", "only_risk", "only a detector with `risk` has a score"
        return
    if file.entity != ("customer",):
        yield "entity", "only_customer", "a detector with `risk` is of [customer] alone"
    if file.when is not None:
        yield "when", "not_of_risk", "a guard asks for facts of a thing, and `risk` is told by alerts"
    for place, step in enumerate(file.severity):
        if Step(step.level, score=step.score) != step or (place > 0 and step.score is None):
            yield f"severity[{place}]", "not_of_risk", "a step of `risk` after the first has a score, and nothing else"
    scores = {"risk.opens_at": file.risk.opens_at, "risk.ends_below": file.risk.ends_below}
    scores |= {f"severity[{i}].score": one.score for i, one in enumerate(file.severity) if one.score is not None}
    yield from _score_faults(file, scores.items())


def _score_faults(file: DetectorFile, scores: Iterable[tuple[str, str | float]]) -> Iterator[tuple[str, str, str]]:
    for field, word in scores:
        try:
            number = number_of(file.thresholds, word)
        except DetectorError as error:
            yield field, "bad_number", str(error)
            continue
        if not 1 <= number <= MOST:
            yield field, "bad_number", f"a score is 1 to {MOST}, not {number:g}"
