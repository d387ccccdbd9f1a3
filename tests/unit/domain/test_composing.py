"""A customer is judged by the alerts that are theirs; what else a judge happens to have read changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from pathline.contracts import detector_files
from pathline.domain import composing, judging
from pathline.domain.alerts import Alert
from pathline.domain.composing import Troubled
from pathline.domain.identifiers import Identifier
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment
from tests.support.world import START

DETECTORS = detector_files.load()
ANN = Identifier("default", "user_id", "ann")
NOW = START + timedelta(hours=1)


def trouble(number: int, **more: Any) -> Alert:
    told: dict[str, Any] = {
        "severity": "high", "state": "open", "title": "t", "ease": "buy", "episode": 1, "why": ("m",),
        "opened_at": START, "updated_at": START, **more,
    }  # fmt: skip
    return Alert(
        id=UUID(int=number), detector=f"detector_{number}", entity_id=UUID(int=100 + number),
        story_id=UUID(int=100 + number), namespace="default", entity_kind="order", entity_value=f"{number}", **told,
    )  # fmt: skip


def judged(alerts: Sequence[Alert], spent: Mapping[tuple[str, str], Alert], *, latest: bool = False) -> list[Change]:
    when = Moment(NOW, NOW, NOW)
    looked = composing.look(DETECTORS, Troubled(ANN.id, ANN, alerts), when)
    own = {(one.detector, ANN.id): one for one in alerts if one.detector == "journey_risk"}
    return judging.judge(composing.settle(looked, spent, when), Memory(own, spent, own if latest else {}), when)


def opened(*troubles: Alert) -> tuple[Alert, dict[tuple[str, str], Alert]]:
    """The alert that these add up to, and what it spent."""
    (change,) = judged(troubles, {})
    return change.alert, {("journey_risk", cause): change.alert for cause in change.causes}


@pytest.mark.parametrize("latest", [False, True])
def test_one_more_of_the_same_instant_and_message_is_a_cause_more_of_the_alert_that_lasts(*, latest: bool) -> None:
    troubles = [trouble(1), trouble(2)]
    own, spent = opened(*troubles)
    (change,) = judged([*troubles, own, trouble(3, severity="info")], spent, latest=latest)
    assert (change.alert.id, change.causes) == (own.id, (str(UUID(int=3)),))


def test_it_eases_where_what_made_it_is_somebody_elses() -> None:
    own, spent = opened(trouble(1), trouble(2))
    (change,) = judged([trouble(1), own], spent)
    assert (change.kind, change.alert.resolution, change.alert.resolved_at) == ("resolved", "eased", NOW)


def test_it_eases_where_others_told_what_is_left() -> None:
    troubles = [trouble(1), trouble(2)]
    own, spent = opened(*troubles)
    foreign = {cause: trouble(9) for cause in spent}
    (change,) = judged([*troubles, own], foreign)
    assert (change.kind, change.alert.resolution) == ("resolved", "eased")
