"""The life of an alert: what it is, and what a person may do to it.

`apply` is the whole state machine of people's moves; what the facts do to an alert is in
`judging`. Both are pure: storage keeps what they return, in one transaction with an event and
the notices to be sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

Severity = Literal["info", "warning", "high", "critical"]
Status = Literal["open", "acknowledged", "snoozed", "resolved", "expired"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "high", "critical")
"""Mildest first."""

STATES: Final[tuple[Status, ...]] = ("open", "acknowledged", "snoozed", "resolved", "expired")
ALIVE: Final = frozenset({"open", "acknowledged", "snoozed"})
"""States of an episode that still lasts. `expired` is one that history tells of: kept, sent to nobody."""

REASONS: Final = ("fixed", "not_a_problem")
"""What a person may resolve an alert as. Such an alert stays resolved until a new cause."""

DETECTOR_REMOVED: Final = "detector_removed"
"""What an alert is resolved as whose detector is gone."""

CLAIM: Final = timedelta(minutes=30)
"""How long nobody else can take what a person acknowledged; after it a forgotten claim is free again."""

MAX_SNOOZE: Final = timedelta(days=30)
MAX_NOTE: Final = 4_000
"""Characters of a note."""
MAX_NAME: Final = 200
"""Characters of an assignee's name."""

PATHLINE: Final = "pathline"
"""The actor of what facts and deadlines do."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One episode of a pain point, as it stands. All times are UTC."""

    id: UUID
    detector: str
    entity_id: UUID
    story_id: UUID
    """The story it was judged in when last looked at; a parcel may meet its order."""
    namespace: str
    entity_kind: str
    """order, parcel, checkout, invoice, case or customer; of a customer the value is the id of a strand."""
    entity_value: str
    severity: Severity
    state: Status
    title: str
    ease: str
    episode: int
    """1 for the first of its detector and entity."""
    previous_id: UUID | None = None
    """The episode before."""
    blind: bool = False
    """True when it fired although not everything received had been read."""
    why: tuple[str, ...] = ()
    """Message ids of the touchpoints that caused it, oldest first."""
    amount: str | None = None
    """Money at stake, a decimal, in `currency`."""
    currency: str | None = None
    assignee: str | None = None
    claimed_until: datetime | None = None
    snoozed_until: datetime | None = None
    opened_at: datetime
    """The instant of the deadline, or when the first cause occurred."""
    updated_at: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None
    revision: int = 1
    """Grows by one with each change; of two notices the one with the higher is the newer."""
    shadow: bool = False
    """True while its detector is on trial: it is counted, and nobody is told."""
    detector_version: int = 1
    """The version of the detector's file that opened it."""

    @property
    def alive(self) -> bool:
        """Whether the episode still lasts."""
        return self.state in ALIVE


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge", tag_field="kind"):
    """I have it: nobody else can acknowledge it for CLAIM."""


class Assign(msgspec.Struct, frozen=True, tag="assign", tag_field="kind"):
    """It is theirs to do; None gives it back to everyone."""

    assignee: str | None


class Snooze(msgspec.Struct, frozen=True, tag="snooze", tag_field="kind"):
    """Not before then. It opens again by itself."""

    until: datetime


class Resolve(msgspec.Struct, frozen=True, tag="resolve", tag_field="kind"):
    """It is over: one of REASONS."""

    reason: str = "fixed"


class Note(msgspec.Struct, frozen=True, tag="note", tag_field="kind"):
    """Something the next one should know."""

    text: str


Move = Acknowledge | Assign | Snooze | Resolve | Note


class Moved(msgspec.Struct, frozen=True):
    """The alert after a move; `changed` is False where it already was so, and nothing is to be recorded."""

    alert: Alert
    kind: str
    detail: dict[str, Any]
    changed: bool = True


class Conflict(msgspec.Struct, frozen=True):
    """The alert can't take this move now.

    `code` is `alert_resolved` or `alert_held`; `holder` says who has it.
    """

    code: str
    state: Status
    message: str
    holder: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """The move makes no sense whatever the alert: `code` is bad_until, bad_reason, bad_note or bad_assignee."""

    code: str
    message: str


class Notice(msgspec.Struct, frozen=True):
    """What there is to tell of an alert: opened, raised, lowered, updated, resolved, reopened, woken, or a move."""

    change: str
    actor: str
    at: datetime
    alert: Alert
    detail: dict[str, Any] = {}


def apply(
    alert: Alert, move: Move, actor: str, now: datetime, *, resolved_by: str | None = None
) -> Moved | Conflict | Refused:
    """What a person's move makes of an alert.

    Args:
        alert: as it stands, locked.
        move: what is asked for.
        actor: who asks.
        now: the clock.
        resolved_by: who resolved it, where a person did: their own move may be repeated.
    """
    refused = _refuse(move, now)
    if refused is not None:
        return refused
    if isinstance(move, Note):
        return Moved(_next(alert, now), "note", {"text": move.text})
    if not alert.alive:
        if isinstance(move, Resolve) and resolved_by == actor and alert.resolution == move.reason:
            return Moved(alert, "resolve", {}, changed=False)
        return Conflict("alert_resolved", alert.state, f"the alert is {alert.state}; it takes only notes")
    return _move(alert, move, actor, now)


def withdraw(alert: Alert, now: datetime) -> Notice:
    """The end of an alert whose detector nobody runs. Should that come back, and still hold, it opens again."""
    ended = _next(
        alert, now, state="resolved", resolution=DETECTOR_REMOVED, resolved_at=now, snoozed_until=None,
        claimed_until=None,
    )  # fmt: skip
    return Notice("resolved", PATHLINE, now, ended, {"resolution": DETECTOR_REMOVED})


def _move(alert: Alert, move: Acknowledge | Assign | Snooze | Resolve, actor: str, now: datetime) -> Moved | Conflict:
    match move:
        case Acknowledge():
            return _acknowledge(alert, actor, now)
        case Assign():
            return _assign(alert, move.assignee, now)
        case Snooze():
            same = alert.state == "snoozed" and alert.snoozed_until == move.until
            snoozed = _next(alert, now, state="snoozed", snoozed_until=move.until, claimed_until=None)
            return Moved(alert if same else snoozed, "snooze", {"until": move.until.isoformat()}, changed=not same)
        case Resolve():
            ended = _next(
                alert, now, state="resolved", resolution=move.reason, resolved_at=now, snoozed_until=None,
                claimed_until=None,
            )  # fmt: skip
            return Moved(ended, "resolve", {"reason": move.reason})


def _refuse(move: Move, now: datetime) -> Refused | None:
    match move:
        case Snooze() if move.until.tzinfo is None:
            return Refused("bad_until", "until needs a time zone")
        case Snooze() if not now < move.until <= now + MAX_SNOOZE:
            return Refused("bad_until", f"until must lie ahead, by at most {MAX_SNOOZE.days} days")
        case Resolve() if move.reason not in REASONS:
            return Refused("bad_reason", f"reason must be one of {', '.join(REASONS)}")
        case Note() if not move.text.strip() or len(move.text) > MAX_NOTE:
            return Refused("bad_note", f"text must have 1 to {MAX_NOTE} characters")
        case Assign() if move.assignee is not None and not 0 < len(move.assignee.strip()) <= MAX_NAME:
            return Refused("bad_assignee", f"assignee must have 1 to {MAX_NAME} characters, or be null")
        case _:
            return None


def _acknowledge(alert: Alert, actor: str, now: datetime) -> Moved | Conflict:
    if alert.state == "acknowledged" and alert.assignee == actor:
        return Moved(alert, "acknowledge", {}, changed=False)
    held = alert.state == "acknowledged" and alert.claimed_until is not None and now < alert.claimed_until
    if held and alert.assignee is not None:
        return Conflict("alert_held", alert.state, f"{alert.assignee} has it", alert.assignee)
    claimed = _next(
        alert, now, state="acknowledged", assignee=actor, claimed_until=now + CLAIM, snoozed_until=None
    )  # fmt: skip
    return Moved(claimed, "acknowledge", {})


def _assign(alert: Alert, assignee: str | None, now: datetime) -> Moved:
    detail = {"assignee": assignee}
    if alert.assignee == assignee:
        return Moved(alert, "assign", detail, changed=False)
    given_back = assignee is None and alert.state == "acknowledged"
    assigned = _next(
        alert, now, assignee=assignee, claimed_until=None, state="open" if given_back else alert.state
    )  # fmt: skip
    return Moved(assigned, "assign", detail)


def _next(alert: Alert, now: datetime, **changes: Any) -> Alert:
    return msgspec.structs.replace(alert, updated_at=now, revision=alert.revision + 1, **changes)
