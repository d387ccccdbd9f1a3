"""Judging a story: what its alerts should be, given its facts, the time and what was alerted before.

This is all there is between state and alerts; the scorer runs it against the database, a backtest
against memory. The steps, in both:

1. gather a `Story` and the `alive` alerts of everything in it;
2. `assess` it (`pathline.domain.assessing`); where `unknown_owners` names things, look up their customers
   and assess it again;
3. gather the rest of the `Memory`: who spent the causes of `causes_of`, and the latest episodes;
4. `judge`: the changes to be kept, in one transaction with the story's next wake-up, `next_due`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import msgspec

from pathline.domain.alerts import PATHLINE, REASONS, SEVERITIES, Alert, Notice
from pathline.domain.assessing import Assessed, Episode
from pathline.domain.detectors.evaluate import DUE, HANDED_OVER, HELD, Spark, narrowed
from pathline.domain.moments import Moment

LATE_EVENT: Final = "late_event"
"""The answer had happened before the alert fired, and was only told later."""
EXPIRED: Final = "expired"


class Memory(msgspec.Struct, frozen=True):
    """What was alerted before."""

    alive: Mapping[Episode, Alert] = {}
    spent: Mapping[tuple[str, str], Alert] = {}
    """For (detector, cause) the alert it raised or was added to."""
    latest: Mapping[Episode, Alert] = {}
    """The episode with the highest number."""


class Change(msgspec.Struct, frozen=True):
    """An alert to be written; `notice` is None where nobody needs to hear of it."""

    alert: Alert
    notice: Notice | None
    causes: tuple[str, ...] = ()
    """Causes that it spends."""
    new: bool = False

    @property
    def kind(self) -> str:
        """opened, expired, raised, lowered, updated, woken, reopened, resolved, or kept where nobody hears of it."""
        return "kept" if self.notice is None else self.notice.change


def causes_of(assessed: Iterable[Assessed]) -> set[tuple[str, str]]:
    """The (detector, cause) of all that holds: who spent them must be known to judge."""
    return {(one.detector.name, cause.key) for one in assessed for cause in one.verdict.causes}


def judge(
    assessed: Iterable[Assessed], memory: Memory, when: Moment, on_trial: Container[str] = frozenset()
) -> list[Change]:
    """What is to be done about each alert of a story. The same story judged twice changes nothing the second time.

    Args:
        assessed: the story.
        memory: what was alerted before.
        when: the time.
        on_trial: names of detectors whose new episodes are shadows. One that was told stays told; a shadow whose
            detector has gone live is told as what it is to people: an alert that opens.
    """
    # What has neither a cause nor an alert waits for a deadline, as most do.
    asked = (one for one in assessed if one.verdict.causes or one.episode in memory.alive)
    changes = (_judge(one, memory, when, shadow=one.detector.name in on_trial) for one in asked)
    return [change for change in changes if change is not None]


def deadlines(assessed: Iterable[Assessed], alive: Mapping[Episode, Alert]) -> dict[str, datetime]:
    """When the story must be looked at again although nothing happens, by name.

    Args:
        assessed: the story, assessed at some time, and what counts of it; every deadline lies after that time.
        alive: its alerts after judging.
    """
    due: dict[str, datetime] = {}
    for one in assessed:
        alert = alive.get(one.episode)
        name = f"{one.detector.name}:{one.view.kind}:{one.view.identifier.value}"
        # Without an alert its causes are spent: only something new can change that, or what is due later.
        spent = one.verdict.holding and alert is None
        due |= {f"{name}:{what}": at for what, at in one.verdict.deadlines.items() if what == DUE or not spent}
        if alert is not None and alert.state == "snoozed" and alert.snoozed_until is not None:
            due[f"{name}:snoozed"] = alert.snoozed_until
    return due


def next_due(assessed: Sequence[Assessed], memory: Memory, changes: Sequence[Change]) -> datetime | None:
    """The least of the story's deadlines once these changes are kept."""
    if not changes and not any(one.verdict.causes or one.episode in memory.alive for one in assessed):
        # Nothing holds, as of most stories: all that is waited for counts.
        return min((at for one in assessed for at in one.verdict.deadlines.values()), default=None)
    # Not all of them: `memory` may be that of a batch of stories.
    alive = {one.episode: memory.alive[one.episode] for one in assessed if one.episode in memory.alive}
    for change in changes:
        episode = (change.alert.detector, change.alert.entity_id)
        if change.alert.alive:
            alive[episode] = change.alert
        else:
            alive.pop(episode, None)
    counted = [_counted(one, memory) for one in assessed]
    due = list(deadlines(counted, alive).values())
    for one in counted:
        if one.verdict.holding and one.episode not in alive:
            # It was ended later than the time of this judging; what holds can be told from then on.
            due += [owner.updated_at for owner in _owners(one, memory) if owner.updated_at > one.at]
    return min(due, default=None)


def alert_id(detector: str, entity_id: UUID, episode: int) -> UUID:
    """The id of an episode's alert: the same whoever judges, live or in a backtest."""
    return UUID(bytes=blake2b(f"{detector}\x1f{entity_id}\x1f{episode}".encode(), digest_size=16).digest())


def _judge(one: Assessed, memory: Memory, when: Moment, *, shadow: bool) -> Change | None:
    alert = memory.alive.get(one.episode)
    told = _counted(one, memory)
    fresh = _fresh(told, memory)
    if alert is not None:
        if not told.verdict.holding:
            return _resolve(told, alert, when)
        goes_live = alert.shadow and not shadow
        return _tell(told, alert, _keys(fresh), when) if goes_live else _keep(told, alert, _keys(fresh), when)
    if told.verdict.holding:
        if fresh:
            return _open(told, fresh, memory, when, shadow=shadow)
        before = [owner for owner in _owners(told, memory) if _reopens(told, owner, when)]
        if not before:
            return None
        last = max(before, key=lambda a: a.episode)
        return _tell(told, last, (), when) if last.shadow and not shadow else _reopen(told, last, when)
    # What was told live may still be part of an alert, and is not history's to spend.
    history = [cause for cause in _fresh(one, memory) if cause.history]
    past = _narrowed(one, history)
    return _expire(past, past.verdict.causes, memory, when, shadow=shadow) if past.verdict.holding and history else None


def _counted(one: Assessed, memory: Memory) -> Assessed:
    """The same, told from the causes that count.

    History does not, nor does what raised an episode that a person dealt with: such causes open no other episode and
    are no part of its story. One whose episode a fact ended counts again where that fact is overruled.
    """
    return _narrowed(one, [cause for cause in one.verdict.causes if _counts(cause, _owner(one, cause, memory))])


def _narrowed(one: Assessed, causes: Sequence[Spark]) -> Assessed:
    if len(causes) == len(one.verdict.causes):
        return one
    return msgspec.structs.replace(one, verdict=narrowed(one.detector, one.view, one.verdict, tuple(causes), one.at))


def _counts(cause: Spark, owner: Alert | None) -> bool:
    return not cause.history if owner is None else owner.alive or _ended_by_fact(owner)


def _fresh(one: Assessed, memory: Memory) -> list[Spark]:
    """Its causes that raised nothing so far."""
    return [cause for cause in one.verdict.causes if _owner(one, cause, memory) is None]


def _owner(one: Assessed, cause: Spark, memory: Memory) -> Alert | None:
    """The episode that a cause raised.

    A detector whose file was changed may give its cause another key: what the last episode opened at, by the same
    messages, is the cause of that one. One that lasts takes a cause more: whether `latest` has it, too, says nothing.
    """
    owner = memory.spent.get((one.detector.name, cause.key))
    if owner is not None:
        return owner
    last = None if one.episode in memory.alive else memory.latest.get(one.episode)
    same = last is not None and last.opened_at == cause.at and set(cause.message_ids) <= set(last.why)
    return last if same else None


def _owners(one: Assessed, memory: Memory) -> list[Alert]:
    """The episodes that its causes raised."""
    found = (_owner(one, cause, memory) for cause in one.verdict.causes)
    return [owner for owner in found if owner is not None]


def _keys(causes: Iterable[Spark]) -> tuple[str, ...]:
    return tuple(cause.key for cause in causes)


def _ended_by_fact(owner: Alert) -> bool:
    return owner.state == "resolved" and owner.resolution not in REASONS


def _reopens(one: Assessed, owner: Alert, when: Moment) -> bool:
    """Whether the alert was ended by a fact that is overruled, so that it lives again.

    Where it only seems so because the time is a little earlier than when it ended, it stays as it is; `next_due`
    then has it looked at again.
    """
    if not _ended_by_fact(owner) or owner.updated_at > when.clock:
        return False
    held_until = one.verdict.deadlines.get(HELD)
    if held_until is not None and held_until <= owner.updated_at:
        return False
    return owner.resolution != HANDED_OVER or owner.resolved_at is None or owner.resolved_at <= when.now


def _told(one: Assessed) -> dict[str, Any]:
    """What an alert takes from the facts as they stand."""
    money = one.view.money()
    return {
        "story_id": one.view.story.id,
        "title": one.detector.title_of(one.view),
        "amount": None if money is None else money.amount,
        "currency": None if money is None else money.currency,
        "why": one.verdict.why,
        "opened_at": one.verdict.opened_at,
    }


def _new(one: Assessed, memory: Memory, when: Moment, **more: Any) -> Alert:
    identifier = one.view.identifier
    last = memory.latest.get(one.episode)
    episode = 1 if last is None else last.episode + 1
    return Alert(
        id=alert_id(one.detector.name, one.view.id, episode),
        detector=one.detector.name,
        entity_id=one.view.id,
        namespace=identifier.namespace,
        entity_kind=identifier.kind,
        entity_value=identifier.value,
        severity=one.verdict.severity,
        ease=one.detector.ease,
        episode=episode,
        previous_id=None if last is None else last.id,
        updated_at=when.clock,
        detector_version=one.detector.version,
        **_told(one),
        **more,
    )


def _open(one: Assessed, fresh: Sequence[Spark], memory: Memory, when: Moment, *, shadow: bool) -> Change:
    blind = one.detector.timed and one.verdict.opened_at > when.sighted
    alert = _new(one, memory, when, state="open", blind=blind, shadow=shadow)
    return _change("opened", alert, when, _keys(fresh), new=True)


def _expire(one: Assessed, fresh: Sequence[Spark], memory: Memory, when: Moment, *, shadow: bool) -> Change:
    """History told of it: kept for the record, sent to nobody."""
    alert = _new(one, memory, when, state="expired", resolution=EXPIRED, resolved_at=when.clock, shadow=shadow)
    return Change(alert, None, _keys(fresh), new=True)


def _tell(one: Assessed, alert: Alert, fresh: tuple[str, ...], when: Moment) -> Change:
    """A shadow's detector has gone live, and it holds: to whoever hears of it, it opens now."""
    again: dict[str, Any] = {} if alert.alive else {"state": "open", "resolved_at": None, "resolution": None}
    told = _next(alert, when, shadow=False, severity=one.verdict.severity, **again, **_told(one))
    return _change("opened", told, when, fresh, {"was": "shadow"})


def _reopen(one: Assessed, alert: Alert, when: Moment) -> Change:
    again = _next(
        alert, when, state="open", severity=one.verdict.severity, resolved_at=None, resolution=None, **_told(one)
    )  # fmt: skip
    return _change("reopened", again, when, (), {"was": alert.resolution})


def _resolve(one: Assessed, alert: Alert, when: Moment) -> Change:
    verdict = one.verdict
    at = verdict.answered_at
    resolution = verdict.resolution or "answered"
    if at is not None and at < alert.opened_at:
        at, resolution = None, LATE_EVENT
    ended = _next(
        alert, when, state="resolved", resolution=resolution, resolved_at=at or when.clock, story_id=one.view.story.id,
        snoozed_until=None, claimed_until=None,
    )  # fmt: skip
    return _change("resolved", ended, when, (), {"resolution": resolution})


def _keep(one: Assessed, alert: Alert, fresh: tuple[str, ...], when: Moment) -> Change | None:
    """It lasts: the same alert, told anew where the facts are others."""
    told = _told(one)
    rise = SEVERITIES.index(one.verdict.severity) - SEVERITIES.index(alert.severity)
    if rise < 0 and told["why"] == alert.why and told["opened_at"] == alert.opened_at:
        rise = 0  # Time alone only raises.
    if rise:
        told["severity"] = one.verdict.severity
    woken = alert.state == "snoozed" and alert.snoozed_until is not None and alert.snoozed_until <= when.clock
    if woken:
        told |= {"state": "open", "snoozed_until": None}
    changed = {name: value for name, value in told.items() if getattr(alert, name) != value}
    if not changed and not fresh:
        return None
    if changed.keys() <= {"story_id"} and not fresh:
        return Change(msgspec.structs.replace(alert, **changed), None)
    kind = "raised" if rise > 0 else "lowered" if rise < 0 else "woken" if woken else "updated"
    detail = {"severity": [alert.severity, one.verdict.severity]} if rise else {}
    return _change(kind, _next(alert, when, **changed), when, fresh, detail)


def _next(alert: Alert, when: Moment, **changes: Any) -> Alert:
    return msgspec.structs.replace(alert, updated_at=when.clock, revision=alert.revision + 1, **changes)


def _change(
    kind: str,
    alert: Alert,
    when: Moment,
    causes: tuple[str, ...],
    detail: dict[str, Any] | None = None,
    *,
    new: bool = False,
) -> Change:
    return Change(alert, Notice(kind, PATHLINE, when.clock, alert, detail or {}), causes, new)
