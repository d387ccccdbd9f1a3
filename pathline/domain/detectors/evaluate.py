"""Running a detector: does it hold for this thing at this time, since when, why, and when to look again.

`evaluate` is pure and looks at the state alone, so what it says does not depend on the order in
which the touchpoints arrived. Whatever deadline there is is read off the same evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors.compiled import Deadline, Detector, Step, matches
from pathline.domain.detectors.view import View
from pathline.domain.facts import Fact

HANDED_OVER: Final = "handed_over"
HELD: Final = "held"
"""The deadline at which an answer has held long enough to count."""
SATURDAY: Final = 5
END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


class Spark(msgspec.Struct, frozen=True, gc=False):
    """One cause: what no second alert of the detector may be raised for."""

    key: str
    at: datetime
    message_ids: tuple[str, ...]
    history: bool = False
    """Whether it is from an import, and so alerts nobody: a mark that only history told, or a deadline that had passed
    when what sets it was imported."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector says of a thing. `opened_at` is meant only where it holds."""

    holding: bool
    severity: Severity = "info"
    causes: tuple[Spark, ...] = ()
    """Oldest first. Never empty where it holds."""
    resolution: str | None = None
    """Where it does not hold: the word for why."""
    answered_at: datetime | None = None
    """When the fact that answers it happened; None where it is only the absence of a reason."""
    deadlines: dict[str, datetime] = {}
    """What will change by itself, and when; all of it later than the time asked for."""

    @property
    def opened_at(self) -> datetime:
        """Since when it holds."""
        return self.causes[0].at

    @property
    def why(self) -> tuple[str, ...]:
        """The messages that caused it, oldest first."""
        return tuple(dict.fromkeys(one for cause in self.causes for one in cause.message_ids))


SILENT: Final = Verdict(holding=False)
"""There is nothing the detector could be about."""


class _Answered(msgspec.Struct, frozen=True, gc=False):
    """An answer that was given, and from when on it counts."""

    at: datetime
    counts_from: datetime
    resolution: str


def evaluate(detector: Detector, view: View, now: datetime) -> Verdict:
    """What the detector says of the thing at the time `now`."""
    if detector.deadline is not None:
        return _deadline(detector, detector.deadline, view, now)
    return _marks(detector, view, now)


def narrowed(detector: Detector, view: View, verdict: Verdict, causes: tuple[Spark, ...], now: datetime) -> Verdict:
    """The same verdict told from some of its causes only; without any, nothing holds.

    Args:
        detector: whose verdict it is.
        view: what it is about.
        verdict: one that holds.
        causes: some of its causes, oldest first.
        now: the time that was asked for.
    """
    if not causes:
        return SILENT
    if len(causes) == len(verdict.causes):
        return verdict
    severity, deadlines = _severity(detector.steps, causes, view.story.zone, now)
    kept = {name: at for name, at in verdict.deadlines.items() if name in {HANDED_OVER, HELD}}
    return Verdict(holding=True, severity=severity, causes=causes, deadlines=deadlines | kept)


def next_working_day(at: datetime, zone: ZoneInfo) -> datetime:
    """The first midnight that begins a Monday to Friday after the local day of `at`, as an instant in UTC.

    Where the calendar ends before that, the end of time.
    """
    try:
        day = at.astimezone(zone).date() + timedelta(days=1)
        while day.weekday() >= SATURDAY:
            day += timedelta(days=1)
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return END_OF_TIME


def _deadline(detector: Detector, rule: Deadline, view: View, now: datetime) -> Verdict:
    base = view.instant(rule.at)
    if base is None:
        return SILENT
    needs = [view.instant(name) for name in rule.needs]
    if None in needs:
        return SILENT
    answers = [(found.at, one.resolution) for one in rule.until if (found := view.instant(one.fact)) is not None]
    if answers:
        at, resolution = min(answers)
        return Verdict(holding=False, resolution=resolution, answered_at=at)
    end = view.instant(rule.ends_at) if rule.ends_at else None
    if end is not None and end.at <= now:
        return Verdict(holding=False, resolution=HANDED_OVER, answered_at=end.at)
    due = _plus(base.at, rule.offset)
    if due > now:
        return Verdict(holding=False, resolution=rule.moved, deadlines={"due": due})
    told = tuple(dict.fromkeys(one for found in (*needs, base) if found is not None for one in found.message_ids))
    history = base.imported_at is not None and due <= base.imported_at
    cause = Spark(f"{_name(view)}@{base.at.isoformat()}", due, told, history)
    severity, deadlines = _severity(detector.steps, (cause,), view.story.zone, now)
    if end is not None:
        deadlines[HANDED_OVER] = end.at
    return Verdict(holding=True, severity=severity, causes=(cause,), deadlines=deadlines)


def _marks(detector: Detector, view: View, now: datetime) -> Verdict:
    causes = sorted(_causes(detector, view), key=lambda fact: (fact.at, fact.message_id))
    if not causes:
        return SILENT
    answers = sorted(_answers(detector, view), key=lambda a: a.at)
    times = [cause.at for cause in causes]
    # An answer that must hold for a while is void once a new cause comes in that time.
    kept = [a for a in answers if not any(a.at < at < a.counts_from for at in times)]
    good = [a for a in kept if a.counts_from <= now]
    last_good = max((a.at for a in good), default=None)
    open_causes = [cause for cause in causes if last_good is None or last_good < cause.at]
    if not open_causes:
        first = next(a for a in good if a.at >= causes[-1].at)
        return Verdict(holding=False, resolution=first.resolution, answered_at=first.at)
    sparks = _sparks(view, open_causes)
    severity, deadlines = _severity(detector.steps, sparks, view.story.zone, now)
    pending = [a.counts_from for a in kept if a.counts_from > now and a.at >= open_causes[0].at]
    if pending:
        deadlines[HELD] = min(pending)
    return Verdict(holding=True, severity=severity, causes=sparks, deadlines=deadlines)


def _sparks(view: View, causes: Iterable[Fact]) -> tuple[Spark, ...]:
    """One cause a message id, the earliest: two senders may give one id to two touchpoints of different times."""
    name = _name(view)
    sparks: dict[str, Spark] = {}
    for cause in causes:
        key = f"{name}#{cause.message_id}"
        held = sparks.get(key)
        history = cause.imported_at is not None and (held is None or held.history)
        sparks[key] = Spark(key, cause.at if held is None else held.at, (cause.message_id,), history)
    return tuple(sparks.values())


def _causes(detector: Detector, view: View) -> Iterable[Fact]:
    for cause in detector.causes:
        yield from (fact for fact in view.marks(cause.mark) if cause.holds(fact))


def _answers(detector: Detector, view: View) -> Iterable[_Answered]:
    for answer in detector.answers:
        if answer.fact is not None:
            found = view.instant(answer.fact)
            times = [] if found is None else [found.at]
        else:
            told = view.marks(answer.mark or "")
            times = [fact.at for fact in told if matches(answer.where, fact)]
        for at in times:
            yield _Answered(at, _plus(at, answer.held), answer.resolution)


def _severity(
    steps: tuple[Step, ...], causes: tuple[Spark, ...], zone: ZoneInfo, now: datetime
) -> tuple[Severity, dict[str, datetime]]:
    """The highest step reached, and when those of time will be."""
    opened_at = causes[0].at
    level = steps[0].level
    deadlines: dict[str, datetime] = {}
    for step in steps[1:]:
        if step.count and not _crowded([cause.at for cause in causes], step.count, step.within):
            continue
        from_then = next_working_day(opened_at, zone) if step.working_day else _plus(opened_at, step.after)
        timed = step.working_day or bool(step.after)
        if not timed or from_then <= now:
            level = step.level
        else:
            deadlines[step.level] = min(from_then, deadlines.get(step.level, from_then))
    return level, deadlines


def _crowded(times: list[datetime], count: int, within: timedelta) -> bool:
    """Whether `count` of the times, which are in order, lie within a span."""
    return any(times[i + count - 1] - times[i] <= within for i in range(len(times) - count + 1))


def _name(view: View) -> str:
    return "/".join(view.identifier)


def _plus(at: datetime, span: timedelta) -> datetime:
    """The sum, or the end of time: a promise for the year 9999 is no reason to stop."""
    try:
        return at + span
    except OverflowError:
        return END_OF_TIME if span > timedelta(0) else datetime.min.replace(tzinfo=UTC)
