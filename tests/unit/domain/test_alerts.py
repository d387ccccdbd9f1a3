"""What a person may do to an alert, and what they get told otherwise."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from pathline.domain.alerts import (
    CLAIM,
    MAX_NAME,
    MAX_NOTE,
    MAX_SNOOZE,
    Acknowledge,
    Alert,
    Assign,
    Conflict,
    Move,
    Moved,
    Note,
    Refused,
    Resolve,
    Snooze,
    Status,
    apply,
)
from tests.support.desk import at

NOW = at(hours=1)
OPEN = Alert(
    id=UUID(int=1), detector="payment_failed", entity_id=UUID(int=2), story_id=UUID(int=2), namespace="default",
    entity_kind="order", entity_value="o", severity="warning", state="open", title="t", ease="buy", episode=1,
    opened_at=at(), updated_at=at(),
)  # fmt: skip


def after(alert: Alert, *moves: tuple[Move, str]) -> Alert:
    for move, actor in moves:
        moved = apply(alert, move, actor, NOW)
        assert isinstance(moved, Moved)
        alert = moved.alert
    return alert


ACKNOWLEDGED = after(OPEN, (Acknowledge(), "sam"))
SNOOZED = after(OPEN, (Snooze(NOW + timedelta(hours=1)), "sam"))
RESOLVED = after(OPEN, (Resolve(), "sam"))
EXPIRED = msgspec.structs.replace(OPEN, state="expired")
LIVES = (OPEN, ACKNOWLEDGED, SNOOZED)


@pytest.mark.parametrize("alert", LIVES, ids=lambda a: a.state)
@pytest.mark.parametrize(
    ("move", "state"),
    [
        (Acknowledge(), "acknowledged"),
        (Snooze(NOW + timedelta(hours=2)), "snoozed"),
        (Resolve("not_a_problem"), "resolved"),
    ],
)
def test_what_lives_goes_anywhere(alert: Alert, move: Move, state: Status) -> None:
    moved = apply(alert, move, "sam", NOW)
    assert isinstance(moved, Moved)
    assert moved.alert.state == state
    assert moved.alert.revision == alert.revision + moved.changed


@pytest.mark.parametrize("alert", [RESOLVED, EXPIRED], ids=lambda a: a.state)
@pytest.mark.parametrize(
    "move", [Acknowledge(), Assign("kim"), Snooze(NOW + timedelta(hours=2)), Resolve("not_a_problem")]
)
def test_what_is_over_takes_only_notes(alert: Alert, move: Move) -> None:
    answer = apply(alert, move, "sam", NOW, resolved_by="sam")
    assert isinstance(answer, Conflict)
    assert (answer.code, answer.state) == ("alert_resolved", alert.state)
    noted = apply(alert, Note("seen"), "sam", NOW)
    assert isinstance(noted, Moved) and noted.detail == {"text": "seen"}


def test_repeating_ones_own_move_changes_nothing() -> None:
    for alert, move, resolved_by in (
        (ACKNOWLEDGED, Acknowledge(), None),
        (SNOOZED, Snooze(NOW + timedelta(hours=1)), None),
        (after(OPEN, (Assign("kim"), "sam")), Assign("kim"), None),
        (RESOLVED, Resolve(), "sam"),
    ):
        moved = apply(alert, move, "sam", NOW, resolved_by=resolved_by)
        assert isinstance(moved, Moved)
        assert (moved.alert, moved.changed) == (alert, False)


def test_anothers_resolution_is_not_mine_to_repeat() -> None:
    assert isinstance(apply(RESOLVED, Resolve(), "kim", NOW, resolved_by="sam"), Conflict)


def test_a_claim_holds_for_a_while() -> None:
    held = apply(ACKNOWLEDGED, Acknowledge(), "kim", NOW + CLAIM - timedelta(seconds=1))
    assert isinstance(held, Conflict)
    assert (held.code, held.holder) == ("alert_held", "sam")
    free = apply(ACKNOWLEDGED, Acknowledge(), "kim", NOW + CLAIM)
    assert isinstance(free, Moved) and free.alert.assignee == "kim"


def test_giving_back_what_is_claimed_opens_it() -> None:
    given = after(ACKNOWLEDGED, (Assign(None), "sam"))
    assert (given.state, given.assignee, given.claimed_until) == ("open", None, None)


@pytest.mark.parametrize(
    ("move", "code"),
    [
        (Snooze(NOW), "bad_until"),
        (Snooze(NOW + MAX_SNOOZE + timedelta(seconds=1)), "bad_until"),
        (Snooze((NOW + timedelta(hours=1)).replace(tzinfo=None)), "bad_until"),
        (Resolve("because"), "bad_reason"),
        (Note("  "), "bad_note"),
        (Note("x" * (MAX_NOTE + 1)), "bad_note"),
        (Assign(""), "bad_assignee"),
        (Assign("x" * (MAX_NAME + 1)), "bad_assignee"),
    ],
)
def test_what_makes_no_sense_is_refused_whatever_the_state(move: Move, code: str) -> None:
    for alert in (*LIVES, RESOLVED):
        refused = apply(alert, move, "sam", NOW)
        assert isinstance(refused, Refused) and refused.code == code
