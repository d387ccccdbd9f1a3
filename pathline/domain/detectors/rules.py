"""A detector as data: what an analyst writes. `checks` says whether it can be used.

A file names facts of `view.OFFERED`, thresholds of its own and a closed set of operators. There are
two families: `deadline` (an instant has passed and nothing happened) and `marks` (something
happened and nothing answered it).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors import spans

Ease = Literal["find", "choose", "buy", "obtain", "use", "maintain"]
"""The six eases of a purchase; every pain point hurts one."""

MAX_CLAUSES: Final = 10
"""Causes, answers, steps, overrides of one detector."""


Threshold = str | int | float
"""A span of time as text, or a number."""


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
    """`attr` is at most `limit` on a scale that ends at `of`; where the mark tells another `scale`, in proportion."""

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
    begins: Literal["next_working_day"] | None = None
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
    warns_of: str | None = None
    """The detector of the trouble that this one warns of; its record says how often it was right."""
    deadline: DeadlineRule | None = None
    marks: MarksRule | None = None
    thresholds: dict[str, Threshold] = {}
    overrides: tuple[dict[str, Threshold], ...] = ()


class Override(msgspec.Struct, frozen=True):
    """Other thresholds for a detector: in one namespace, or where it is None in all."""

    detector: str
    namespace: str | None
    values: dict[str, Threshold]


def span_of(thresholds: Mapping[str, Threshold], word: str | None) -> timedelta:
    """A span written out or the name of a threshold; nothing is none. Raises DetectorError."""
    if word is None:
        return timedelta(0)
    told = thresholds.get(word, word)
    span = spans.parse(told) if isinstance(told, str) else None
    if span is None:
        message = f"{word!r} is no span of time (30s, 15m, 24h, 3d) and no threshold that is one"
        raise DetectorError(message)
    return span


def number_of(thresholds: Mapping[str, Threshold], word: str | float) -> float:
    """A number written out or the name of a threshold. Raises DetectorError."""
    told = thresholds.get(word, word) if isinstance(word, str) else word
    try:
        return float(told)
    except ValueError as error:
        message = f"{word!r} is no number and no threshold that is one"
        raise DetectorError(message) from error
