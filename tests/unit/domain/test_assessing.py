"""Asking detectors: one that breaks off keeps no other from its verdict."""

from __future__ import annotations

from datetime import datetime

import pytest

from pathline.domain import assessing
from pathline.domain.detectors.compiled import Detector
from pathline.domain.detectors.evaluate import Verdict, evaluate
from pathline.domain.detectors.view import View
from tests.support.desk import DETECTORS, Desk, at
from tests.unit.domain.test_judging import PROMISED, _story


def test_a_detector_that_stumbles_keeps_no_other_from_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.tell("Order Completed", at(), PROMISED, order="o", user="u")

    def broken(detector: Detector, view: View, now: datetime, *, alerted: bool) -> Verdict:
        if detector.name == "late_vs_promise":
            raise OverflowError
        return evaluate(detector, view, now, alerted=alerted)

    monkeypatch.setattr("pathline.domain.assessing.evaluate", broken)
    stumbles: list[assessing.Stumble] = []
    assessed = assessing.assess(DETECTORS, _story(desk), at(days=1), on_stumble=stumbles.append)
    holding = {one.detector.name for one in assessed if one.verdict.holding}
    assert holding == {"delivery_at_risk"}
    assert [(one.detector, one.view.identifier.value) for one in stumbles] == [("late_vs_promise", "o")]
    with pytest.raises(OverflowError):
        assessing.assess(DETECTORS, _story(desk), at(days=1))
