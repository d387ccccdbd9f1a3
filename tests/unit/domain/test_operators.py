"""Operators of the language that no built-in detector uses in this way, each in a small detector of its own."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pathline.backtest.simulation import Simulation
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.operators import Bound, Count, number
from pathline.domain.detectors.rules import DetectorError
from pathline.domain.facts import Fact
from tests.support.desk import Desk, at

HEAD: dict[str, Any] = {
    "name": "mine", "title": "{kind} {value}", "ease": "use", "advice": "Look.", "severity": [{"level": "info"}],
}  # fmt: skip


def desk_of(**rule: Any) -> Desk:
    desk = Desk()
    desk.simulation = Simulation(Detectors([checks.read(HEAD | rule)]), ZoneInfo("UTC"))
    return desk


class TestDeadlineOfMarks:
    """Counted from the newest of some marks, where it has the values asked for."""

    RULE: dict[str, Any] = {  # noqa: RUF012 - read only
        "entity": ["parcel"],
        "thresholds": {"patience": "2h"},
        "deadline": {
            "at": "scans", "where": {"status": ["exception"]}, "after": "patience",
            "moved": "went_on",
        },
    }  # fmt: skip

    def test_the_newest_counts(self) -> None:
        desk = desk_of(**self.RULE)
        for hour, status in ((0, "exception"), (1, "exception")):
            desk.tell("Shipment Scanned", at(hours=hour), {"status": status}, parcel="p")
        desk.sleep_until(at(hours=4))
        assert [alert.opened_at for alert in desk.episodes("mine", "parcel", "p")] == [at(hours=3)]

    def test_a_newest_of_another_value_sets_none(self) -> None:
        desk = desk_of(**self.RULE)
        for hour, status in ((0, "exception"), (1, "in_transit")):
            desk.tell("Shipment Scanned", at(hours=hour), {"status": status}, parcel="p")
        desk.sleep_until(at(hours=4))
        assert desk.episodes("mine", "parcel", "p") == []

    @pytest.mark.parametrize(
        ("until", "word"), [([], "went_on"), ([{"fact": "delivered", "as": "delivered"}], "delivered")]
    )
    def test_a_newest_of_another_value_ends_it_as_answered_or_moved_on(self, until: list[Any], word: str) -> None:
        desk = desk_of(**self.RULE | {"deadline": self.RULE["deadline"] | {"until": until}})
        desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.sleep_until(at(hours=2))
        desk.tell("Shipment Scanned", at(hours=3), {"status": "delivered"}, parcel="p")
        assert [(a.state, a.resolution) for a in desk.episodes("mine", "parcel", "p")] == [("resolved", word)]


def test_handing_over_a_while_after_an_instant_needs_the_instant() -> None:
    rule = {"entity": ["order"], "deadline": {"at": "placed", "ends_after": "1h"}}
    with pytest.raises(DetectorError, match="ends_a"):
        checks.read(HEAD | rule)


def marks(*values: dict[str, Any]) -> list[Fact]:
    return [Fact(at(minutes=n), str(n), value) for n, value in enumerate(values)]


def test_what_does_not_tell_the_attribute_is_not_counted() -> None:
    told = marks({"c": "a"}, {}, {"c": "b"}, {"c": None})
    assert Count(2, None, None, None, "c").of(told) == {0, 2}
    assert Count(3, None, None, None, "c").of(told) == set()
    assert Count(2, None, None, "c", None).of(marks({"c": "a"}, {"d": 1}, {"c": "a"}, {"c": "b"})) == {0, 2}


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({"score": 2}, True),
        ({"score": "2"}, True),
        ({"score": 3}, False),
        ({"score": 4, "scale": 10}, True),
        ({"score": 5, "scale": 10}, False),
        ({"score": 2, "scale": 0}, True),  # no scale at all
        ({"score": True}, False),
        ({"score": "good"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_limit_is_meant_for_its_scale(value: Any, *, holds: bool) -> None:
    assert Bound("score", 2, 5, "scale", least=False).holds(Fact(at(), "m", value)) is holds


def test_text_is_a_number_where_it_is_one() -> None:
    told: list[Any] = ["1.5", 2, None, True, "x", []]
    assert [number(one) for one in told] == [1.5, 2.0, None, None, None, None]
