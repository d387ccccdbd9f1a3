"""Running a detector: does it hold for this thing at this time, since when, why, and when to look again.

`evaluate` is pure and looks at the state alone, so what it says does not depend on the order in
which the touchpoints arrived. Whatever deadline there is is read off the same evaluation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

import msgspec

from pathline.domain.alerts import Severity
from pathline.domain.detectors import spans
from pathline.domain.detectors.compiled import Base, Deadline, Detector, Later, Step, Until
from pathline.domain.detectors.offers.offer import Instant
from pathline.domain.detectors.operators import Cause, Marked, matches
from pathline.domain.detectors.replies import Replies
from pathline.domain.detectors.view import View
from pathline.domain.facts import Fact

HANDED_OVER: Final = "handed_over"
HELD: Final = "held"
"""The deadline at which an answer has held long enough to count."""
DUE: Final = "due"
"""The deadline from which on it holds."""
OUT_OF_SCOPE: Final = "out_of_scope"
"""Its guard, or an override, says that the detector is not about this."""


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
    guard_failed: bool = False
    """Whether its guard could not be worked out, which counts as not true."""

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

SWITCHED_OFF: Final = Verdict(holding=False, resolution=OUT_OF_SCOPE)
"""An override says that the detector is not to be asked."""


def evaluate(detector: Detector, view: View, now: datetime, *, alerted: bool = True) -> Verdict:
    """What the detector says of the thing at the time `now`.

    Args:
        detector: which.
        view: the thing.
        now: the time.
        alerted: whether an alert lasts. Without one it does not matter why it does not hold, and most have none.
    """
    fitting = detector.fitting(view)
    if not fitting.runs:
        return SWITCHED_OFF
    if fitting.deadline is not None:
        verdict = _deadline(fitting, fitting.deadline, view, now, alerted=alerted)
    else:
        if not alerted and _are_too_few(fitting, view):
            return SILENT
        verdict = _marks(fitting, view, now)
    # What does not hold needs no guard; should one be true later, something was told, and it is asked again.
    if not verdict.holding or fitting.guard is None:
        return verdict
    concerned = fitting.guard.holds(view)
    if concerned:
        return verdict
    return Verdict(holding=False, resolution=OUT_OF_SCOPE, guard_failed=concerned is None)


def narrowed(detector: Detector, view: View, verdict: Verdict, causes: tuple[Spark, ...], now: datetime) -> Verdict:
    """The same verdict told from some of its causes only; without any, or with too few of them, nothing holds.

    Args:
        detector: whose verdict it is.
        view: what it is about.
        verdict: one that holds.
        causes: some of its causes, oldest first.
        now: the time that was asked for.
    """
    if len(causes) == len(verdict.causes):
        return verdict
    fitting = detector.fitting(view)
    if fitting.deadline is not None:
        return SILENT  # It had one cause.
    if fitting.risk is not None:
        told = Verdict(holding=False, resolution=verdict.resolution)
        return msgspec.structs.replace(verdict, causes=causes) if causes else told
    return _marks(fitting, view, now, only={cause.key for cause in causes})


def _deadline(detector: Detector, rule: Deadline, view: View, now: datetime, *, alerted: bool) -> Verdict:
    found = _base(rule.bases, view)
    if found is None:
        # What it was counted from is no more, as where the newest mark has other values: answered, or moved on.
        moved = Verdict(holding=False, resolution=rule.moved)
        return (_ended(detector, rule, view, now) or moved) if alerted else SILENT
    base, counted = found
    if not alerted and any(_until(one, view) is not None for one in rule.until):
        return SILENT
    needs = [view.instant(name) for name in rule.needs]
    if None in needs:
        return SILENT
    ended = _ended(detector, rule, view, now)
    if ended is not None:
        return ended
    zone = view.story.zone
    due = spans.before(
        spans.after(base.at, counted.after, detector.calendar, zone), counted.before, detector.calendar, zone
    )
    if due > now:
        return Verdict(holding=False, resolution=rule.moved, deadlines={DUE: due})
    told = tuple(dict.fromkeys(one for known in (*needs, base) if known is not None for one in known.message_ids))
    history = base.imported_at is not None and due <= base.imported_at
    cause = Spark(f"{_name(view)}@{base.at.isoformat()}", due, told, history)
    severity, deadlines, failed = _severity(detector, (cause,), view, now)
    end = _end(detector, rule, view)
    if end is not None:
        deadlines[HANDED_OVER] = end
    return Verdict(holding=True, severity=severity, causes=(cause,), deadlines=deadlines, guard_failed=failed)


def _are_too_few(detector: Detector, view: View) -> bool:
    """Whether there are fewer marks than it counts, none of which waits for an answer."""
    if detector.least <= 1:
        return False
    return sum(len(view.marks(cause.mark)) for cause in detector.causes) < detector.least


def _ended(detector: Detector, rule: Deadline, view: View, now: datetime) -> Verdict | None:
    """What is said where a deadline is answered, void, or another detector's; None where it stands."""
    answers = [(at, one.resolution) for one in rule.until if (at := _until(one, view)) is not None]
    if answers:
        at, resolution = min(answers)
        return Verdict(holding=False, resolution=resolution, answered_at=at)
    if rule.later and not any(_is_later(one, detector, view) for one in rule.later):
        return Verdict(holding=False, resolution=rule.moved)
    end = _end(detector, rule, view)
    if end is not None and end <= now:
        return Verdict(holding=False, resolution=HANDED_OVER, answered_at=end)
    return None


def _end(detector: Detector, rule: Deadline, view: View) -> datetime | None:
    """From when on another detector has it; None where that is not known."""
    told = view.instant(rule.ends_at) if rule.ends_at else None
    return None if told is None else spans.after(told.at, rule.ends_after, detector.calendar, view.story.zone)


def _base(bases: Iterable[Base], view: View) -> tuple[Instant, Base] | None:
    """The first of these that is known."""
    for base in bases:
        if not view.offers_marks(base.at):
            found = view.instant(base.at)
        else:
            marks = view.marks(base.at)
            newest = marks[-1] if marks else None
            if newest is None or not matches(base.where, newest):
                continue
            found = Instant(newest.at, (newest.message_id,), newest.imported_at)
        if found is not None:
            return found, base
    return None


def _until(rule: Until, view: View) -> datetime | None:
    if rule.fact is not None:
        found = view.instant(rule.fact)
        return None if found is None else found.at
    return next((fact.at for fact in view.marks(rule.mark or "") if matches(rule.where, fact)), None)


def _is_later(rule: Later, detector: Detector, view: View) -> bool:
    found, than = view.instant(rule.fact), view.instant(rule.than)
    if found is None or than is None:
        return False
    return found.at > spans.after(than.at, rule.by, detector.calendar, view.story.zone)


def _marks(detector: Detector, view: View, now: datetime, *, only: Collection[str] | None = None) -> Verdict:
    """What is said of marks; `only`: from these causes alone, of all that would hold."""
    causes = sorted(_causes(detector, view), key=lambda one: (one.fact.at, one.fact.message_id))
    if not causes:
        return SILENT
    replies = Replies(detector, view, causes, now)
    unanswered = [one for one in causes if replies.to(one) is None]
    deadlines = {}
    pending = min((one.due for one in unanswered if not one.counts(now)), default=None)
    if pending is not None:
        deadlines[DUE] = pending
    due = [one for one in unanswered if one.counts(now) and (only is None or _key(view, one) in only)]
    if detector.count is not None:
        crowd = detector.count.of([one.fact for one in due])
        due = [one for place, one in enumerate(due) if place in crowd]
    if not due:
        last = next((reply for one in reversed(causes) if (reply := replies.to(one)) is not None), None)
        if last is None:
            return Verdict(holding=False, deadlines=deadlines) if deadlines else SILENT
        return Verdict(holding=False, resolution=last.resolution, answered_at=last.told_at, deadlines=deadlines)
    sparks = _sparks(view, due)
    severity, rises, failed = _severity(detector, sparks, view, now)
    held = replies.next(unanswered[0])
    if held is not None:
        deadlines[HELD] = held
    return Verdict(
        holding=True, severity=severity, causes=sparks, deadlines=rises | deadlines, guard_failed=failed
    )  # fmt: skip


def _causes(detector: Detector, view: View) -> Iterable[Marked]:
    for cause in detector.causes:
        found: Iterable[Fact] = view.marks(cause.mark)
        if not found:
            continue
        found = [fact for fact in found if matches(cause.where, fact)]
        if cause.change is not None:
            found = cause.change.of(found)
        for fact in found:
            if all(bound.holds(fact) for bound in cause.bounds):
                yield from _marked(cause, fact, detector, view)


def _marked(cause: Cause, fact: Fact, detector: Detector, view: View) -> Iterable[Marked]:
    before = cause.before.messages(view, fact) if cause.before is not None else ()
    if before is not None:
        due = (
            spans.after(fact.at, cause.unanswered, detector.calendar, view.story.zone) if cause.unanswered else fact.at
        )
        yield Marked(fact, due, (*before, fact.message_id))


def _sparks(view: View, causes: Iterable[Marked]) -> tuple[Spark, ...]:
    """One cause a message id, the earliest: two senders may give one id to two touchpoints of different times."""
    sparks: dict[str, Spark] = {}
    for one in sorted(causes, key=lambda one: (one.due, one.fact.message_id)):
        key = _key(view, one)
        held = sparks.get(key)
        imported_at = one.fact.imported_at
        history = imported_at is not None and (one.due <= imported_at or not one.waits)
        sparks[key] = Spark(
            key,
            one.due if held is None else held.at,
            one.messages if held is None else held.message_ids,
            history and (held is None or held.history),
        )
    return tuple(sparks.values())


def _severity(
    detector: Detector, causes: tuple[Spark, ...], view: View, now: datetime
) -> tuple[Severity, dict[str, datetime], bool]:
    """The highest step reached, when those of time will be, and whether a guard could not be worked out."""
    opened_at, zone = causes[0].at, view.story.zone
    level = detector.steps[0].level
    deadlines: dict[str, datetime] = {}
    failed = False
    for step in detector.steps[1:]:
        if step.count and not _crowded([cause.at for cause in causes], step):
            continue
        if step.guard is not None and not (told := step.guard.holds(view)):
            failed = failed or told is None
            continue
        if step.working_day:
            from_then = detector.calendar.next_working_day(opened_at, zone)
        else:
            from_then = spans.after(opened_at, step.after, detector.calendar, zone)
        timed = step.working_day or bool(step.after)
        if not timed or from_then <= now:
            level = step.level
        else:
            deadlines[step.level] = min(from_then, deadlines.get(step.level, from_then))
    return level, deadlines, failed


def _crowded(times: list[datetime], step: Step) -> bool:
    """Whether so many of the times, which are in order, lie within a span."""
    count, within = step.count, step.within
    return any(times[i + count - 1] - times[i] <= within for i in range(len(times) - count + 1))


def _key(view: View, one: Marked) -> str:
    return f"{_name(view)}#{one.fact.message_id}"


def _name(view: View) -> str:
    return "/".join(view.identifier)
