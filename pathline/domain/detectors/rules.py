"""A detector as data: what an analyst writes. `checks` says whether it can be used.

A file names facts of `view.OFFERED`, thresholds of its own and a closed set of operators. There are
two families: `deadline` (an instant has passed and nothing happened) and `marks` (something
happened and nothing answered it). Conditions narrow both, and none of them names a function:

- threshold: `at_most`, `at_least`
- sequence: `after`
- change: `change`, `later`
- count within: `count`
- absence: `unanswered`, `lasts`, and every deadline
- a guard: `when`
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Literal

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors import spans
from pathline.domain.detectors.spans import NONE, Span

Ease = Literal["find", "choose", "buy", "obtain", "use", "maintain"]
"""The six eases of a purchase; every pain point hurts one."""

MAX_CLAUSES: Final = 10
"""Causes, answers, steps, overrides of one detector."""

MAX_EXAMPLES: Final = 50
"""Examples of one detector, and touchpoints of one example."""

Threshold = str | int | float | bool
"""A span of time as text, or a number; of an override also whether the detector RUNS."""

RUNS: Final = "runs"
"""Word of an override that is no threshold: `false` where the detector is not to be asked."""

Where = dict[str, tuple[str, ...]]
"""For each attribute the values of which it must have one."""


class DetectorError(ValueError):
    """A detector's file cannot be used; the message names the field."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"resolution": "as"}):
    """A mapping in a file. A word in it that nobody knows is a mistake."""


class Until(Rule, frozen=True):
    """What ends the trouble whenever it happened: an instant, or a mark; and the word the alert is resolved with."""

    resolution: str
    fact: str | None = None
    mark: str | None = None
    where: Where = {}


class Fallback(Rule, frozen=True):
    """What a deadline is counted from where its `at` is not known."""

    at: str
    where: Where = {}
    before: str | None = None
    after: str | None = None


class Later(Rule, frozen=True):
    """The instant `fact` is later than the instant `than`, by more than a span."""

    fact: str
    than: str
    by: str | None = None


class DeadlineRule(Rule, frozen=True):
    """Holds from `at` (less `before`, plus `after`) on, when all of `needs` are known and none of `until` is."""

    at: str
    """An instant, or marks: then the newest of them is meant."""
    where: Where = {}
    """Of marks: what the newest must be, or there is no deadline."""
    before: str | None = None
    after: str | None = None
    otherwise: Fallback | None = None
    needs: tuple[str, ...] = ()
    later: tuple[Later, ...] = ()
    """One of these must hold as well; once none does, an alert is resolved as `moved`."""
    until: tuple[Until, ...] = ()
    moved: str = "moved"
    """The word an alert is resolved with when `at` moves on."""
    ends_at: str | None = None
    """The instant from which on another detector has it; resolved as `handed_over`."""
    ends_after: str | None = None
    """Not from that instant on, but so long after it."""


class Bound(Rule, frozen=True):
    """How large `attr` may be: up to `limit`, or from it on.

    Where a scale ends at `of`, and the mark tells another `scale`, in proportion.
    """

    attr: str
    limit: str | float
    of: float | None = None
    scale: str | None = None


class Before(Rule, frozen=True):
    """What must have happened at most `within` before: an instant, or a mark, of the same attribute `same`."""

    within: str
    fact: str | None = None
    mark: str | None = None
    where: Where = {}
    same: str | None = None


class Change(Rule, frozen=True):
    """The number `attr` has risen, or fallen, by more than a part of what the mark before it told.

    The mark before is the last of the same attribute `same`, and at most `within` older.
    """

    attr: str
    rises: str | float | None = None
    falls: str | float | None = None
    within: str | None = None
    same: str | None = None


class Clause(Rule, frozen=True):
    """Marks of a name that meet all of these conditions."""

    mark: str
    where: Where = {}
    at_most: Bound | None = None
    at_least: Bound | None = None
    after: Before | None = None
    change: Change | None = None
    unanswered: str | None = None
    """It counts only once nothing has answered it for so long."""


class AnswerRule(Rule, frozen=True):
    """What answers a cause that came before it: a mark or a fact, once it has `held` for a while with no new cause."""

    resolution: str
    mark: str | None = None
    fact: str | None = None
    where: Where = {}
    change: Change | None = None
    same: str | None = None
    """It answers only causes of which this attribute is the same."""
    held: str | None = None


class Count(Rule, frozen=True):
    """So many causes within a span, or none of them further `apart` from the next: fewer are no trouble.

    Counted are those of which the attribute `same` is one; where `distinct` is given, its different values.
    """

    at_least: str | int
    within: str | None = None
    apart: str | None = None
    same: str | None = None
    distinct: str | None = None


class MarksRule(Rule, frozen=True):
    """Holds while a mark that one of `causes` describes has none of `answers` after it."""

    causes: tuple[Clause, ...]
    answers: tuple[AnswerRule, ...] = ()
    count: Count | None = None
    lasts: str | None = None
    """Without a new cause for so long it is over by itself, resolved as `over`."""
    over: str = "over"


class RiskRule(Rule, frozen=True):
    """Holds from an alert's opening with a score of `opens_at` or more until the score is below `ends_below`.

    It is the risk, 0 to 100, of a customer's alerts.
    """

    opens_at: str | float
    ends_below: str | float


class Step(Rule, frozen=True):
    """A severity, and from when on it counts. One without a condition counts from the start."""

    level: Severity
    count: str | int | None = None
    within: str | None = None
    """At least `count` causes within this span."""
    after: str | None = None
    """This long after it opened."""
    score: str | float | None = None
    """Of `risk`: from such a score on."""
    begins: Literal["next_working_day"] | None = None
    """From the first midnight, where the parcel goes, of a working day after the day on which it opened."""
    when: str | None = None
    """A guard: see DetectorFile."""


class Expected(Rule, frozen=True):
    """An episode that an example must bring about; what is left out does not matter. Times count from the start."""

    of: dict[str, str] = {}
    """What it is about, `{parcel: p}`; of a person or a session `{user: u}` or `{visitor: v}`."""
    opened: str | None = None
    severity: Severity | None = None
    """As it stands in the end."""
    resolved: str | None = None
    """The word it is resolved with; without one it is still open."""
    at: str | None = None
    """When it was resolved."""
    expired: bool = False
    """Whether only history tells of it, so that nobody is alerted."""


class Example(Rule, frozen=True):
    """Touchpoints as a site sends them, and what is to come of them. `pathline detectors test` runs it."""

    given: tuple[dict[str, Any], ...]
    expect: tuple[Expected, ...]
    name: str = ""
    until: str | None = None
    """How long after the start it is looked at; without it, once every deadline has passed."""
    zone: str = "UTC"
    """Meant where an order does not say where it goes; the start is its midnight."""
    namespace: str = "default"


class DetectorFile(Rule, frozen=True):
    """The file as an analyst writes it."""

    name: str
    title: str
    ease: Ease
    advice: str
    entity: tuple[str, ...]
    severity: tuple[Step, ...]
    version: int = 1
    live: bool = False
    """Whether it needs no trial: alerts are sent from the first time a scorer meets it."""
    warns_of: str | None = None
    """The detector of the trouble that this one warns of; its record says how often it was right."""
    when: str | None = None
    """A guard: an expression in CEL over what is known of the thing, its order and its customer."""
    deadline: DeadlineRule | None = None
    marks: MarksRule | None = None
    risk: RiskRule | None = None
    thresholds: dict[str, Threshold] = {}
    service: tuple[str, ...] = ()
    """Thresholds that are promises of service: shorter for the segments of the deployment's service rules."""
    overrides: tuple[dict[str, Threshold], ...] = ()
    examples: tuple[Example, ...] = ()


class Override(msgspec.Struct, frozen=True):
    """Other thresholds for a detector: in one namespace, for one segment of customers; None means all."""

    detector: str
    namespace: str | None
    values: dict[str, Threshold]
    segment: str | None = None


class ServiceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The service timers of customers of a segment are so many times as long, for all detectors."""

    segment: str
    factor: float


def value_of(told: Threshold) -> Span | float | None:
    """A threshold as what it is: a span of time or a number; None for what is neither."""
    if isinstance(told, str):
        span = spans.parse(told)
        if span is not None:
            return span
    try:
        number = float(told)
    except ValueError:
        return None
    return None if isinstance(told, bool) or not isfinite(number) else number


def span_of(thresholds: Mapping[str, Threshold], word: str | None) -> Span:
    """A span written out or the name of a threshold; nothing is none. Raises DetectorError."""
    if word is None:
        return NONE
    told = thresholds.get(word, word)
    span = value_of(told) if isinstance(told, str) else None
    if not isinstance(span, Span):
        message = f"{word!r} is no span of time (30s, 15m, 24h, 3d, 2wd) and no threshold that is one"
        raise DetectorError(message)
    return span


def number_of(thresholds: Mapping[str, Threshold], word: str | float) -> float:
    """A number written out or the name of a threshold. Raises DetectorError."""
    number = value_of(thresholds.get(word, word) if isinstance(word, str) else word)
    if not isinstance(number, float):
        message = f"{word!r} is no number and no threshold that is one"
        raise DetectorError(message)
    return number
