"""A detector on trial: its episodes are shadows, and become what people are told of once it goes live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from pathline.domain import alerts, assessing, judging
from pathline.domain.alerts import Alert
from pathline.domain.detectors.view import Story
from pathline.domain.identifiers import name_id
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment
from tests.support.desk import DETECTORS, Desk, at

LATE = "late_vs_promise"
PROMISED = {"promised_at": "2026-01-02T12:00:00Z"}
AFTER = at(days=2)
ON_TRIAL = frozenset({LATE})


class Trial:
    """One late order, judged again and again, with what was alerted kept in hand."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        self.spent: dict[tuple[str, str], Alert] = {}
        self.alert: Alert | None = None

    def story(self) -> Story:
        story = self.desk.simulation.world.story(name_id("default", "order", "o"), ZoneInfo("UTC"))
        assert story is not None
        return story

    def judge(self, now: datetime = AFTER, on_trial: frozenset[str] = frozenset()) -> list[Change]:
        alive = {(LATE, self.alert.entity_id): self.alert} if self.alert is not None and self.alert.alive else {}
        assessed = assessing.assess(DETECTORS, self.story(), now, alive)
        memory = Memory(alive, self.spent, {} if self.alert is None else {(LATE, self.alert.entity_id): self.alert})
        changes = judging.judge(
            (one for one in assessed if one.detector.name == LATE), memory, Moment(now, now, now), on_trial
        )
        for change in changes:
            self.keep(change)
        return changes

    def keep(self, change: Change) -> None:
        self.alert = change.alert
        self.spent |= {(LATE, cause): change.alert for cause in change.causes}
        self.spent = dict.fromkeys(self.spent, change.alert)


def kinds(changes: Sequence[Change]) -> list[tuple[str, bool]]:
    return [(change.kind, change.alert.shadow) for change in changes]


def test_an_episode_of_a_detector_on_trial_is_a_shadow_and_opens_when_it_goes_live() -> None:
    trial = Trial()
    assert kinds(trial.judge(on_trial=ON_TRIAL)) == [("opened", True)]
    assert trial.judge(on_trial=ON_TRIAL) == []
    (told,) = trial.judge()
    assert kinds([told]) == [("opened", False)]
    assert (told.new, told.causes, told.alert.revision, told.notice.detail if told.notice else None) == (
        False, (), 2, {"was": "shadow"},
    )  # fmt: skip
    assert trial.judge() == []


def test_what_was_told_stays_told_when_its_detector_goes_back_on_trial() -> None:
    trial = Trial()
    assert kinds(trial.judge()) == [("opened", False)]
    assert trial.judge(on_trial=ON_TRIAL) == []
    trial.desk.tell("Shipment Scanned", at(days=3), {"status": "delivered"}, order="o")
    assert kinds(trial.judge(at(days=3), ON_TRIAL)) == [("resolved", False)]


def test_a_shadow_that_is_answered_ends_as_one_even_where_its_detector_is_live_by_then() -> None:
    trial = Trial()
    trial.judge(on_trial=ON_TRIAL)
    trial.desk.tell("Shipment Scanned", at(days=3), {"status": "delivered"}, order="o")
    assert kinds(trial.judge(at(days=3))) == [("resolved", True)]


def test_an_alert_whose_detector_was_removed_ends_and_opens_again_where_the_detector_comes_back() -> None:
    trial = Trial()
    (opened,) = trial.judge()
    ended = alerts.withdraw(opened.alert, at(days=2, hours=1))
    assert (ended.change, ended.alert.state, ended.alert.resolution) == ("resolved", "resolved", "detector_removed")
    trial.keep(Change(ended.alert, ended))
    (again,) = trial.judge(at(days=2, hours=2))
    assert (again.kind, again.alert.id, again.alert.state) == ("reopened", opened.alert.id, "open")


def test_an_alert_says_which_version_of_its_detector_opened_it() -> None:
    (opened,) = Trial().judge()
    assert opened.alert.detector_version == DETECTORS.files[LATE].version
