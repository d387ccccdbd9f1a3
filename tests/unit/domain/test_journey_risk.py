from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.alerts import SEVERITIES, Alert, Severity
from pathline.domain.journey_risk import BELOW, MAX_TROUBLES, Trouble, troubles, verdict
from pathline.domain.risk import HALF_LIFE, Lines, Pain, falls_below, risk
from tests.support.world import START

LINES = Lines(70, 60, (("high", 70), ("critical", 90)))
DAY = timedelta(days=1)


def trouble(name: str, severity: Severity, day: float, until: float | None = None) -> Trouble:
    ended_at = None if until is None else START + until * DAY
    return Trouble(name, severity, START + day * DAY, ended_at, (f"message of {name}",))


def alert(detector: str, **more: Any) -> Alert:
    told: dict[str, Any] = {
        "id": UUID(int=1), "entity_id": UUID(int=2), "story_id": UUID(int=2), "namespace": "default",
        "entity_kind": "order", "entity_value": "o", "severity": "high", "state": "open", "title": "t", "ease": "buy",
        "episode": 1, "opened_at": START, "updated_at": START, **more,
    }  # fmt: skip
    return Alert(detector=detector, **told)


def test_two_that_add_up_hold_from_the_second_ones_opening() -> None:
    first, second = trouble("a", "high", 0), trouble("b", "high", 1)
    said = verdict([first, second], LINES, START + DAY)
    assert (said.holding, said.severity, said.opened_at) == (True, "high", second.opened_at)
    assert [cause.key for cause in said.causes] == ["b"]
    assert said.why == ("message of a", "message of b")
    pains = [Pain(one.severity, one.opened_at) for one in (first, second)]
    assert said.deadlines == {BELOW: falls_below(pains, 60, START + DAY)}


def test_one_below_the_line_says_nothing() -> None:
    said = verdict([trouble("a", "high", 0)], LINES, START)
    assert (said.holding, said.causes, said.deadlines) == (False, (), {})


def test_two_that_never_were_open_together_say_nothing() -> None:
    assert not verdict([trouble("a", "high", 0, 1), trouble("b", "high", 1)], LINES, START + DAY).holding


def test_it_is_critical_where_it_was_once_since_then() -> None:
    held = [trouble("a", "high", 0), trouble("b", "critical", 0.5)]
    assert verdict(held, LINES, START + DAY / 2).severity == "critical"
    assert verdict(held, LINES, START + 3 * DAY).severity == "critical"


def test_it_ends_when_one_of_them_does() -> None:
    said = verdict([trouble("a", "high", 0, 2), trouble("b", "high", 1)], LINES, START + 3 * DAY)
    assert (said.holding, said.resolution, said.answered_at) == (False, "eased", START + 2 * DAY)


def test_it_ends_when_time_takes_it_below_the_line_and_not_a_microsecond_before() -> None:
    held = [trouble("a", "critical", 0)]
    falls = verdict(held, LINES, START).deadlines[BELOW]
    assert verdict(held, LINES, falls - timedelta(microseconds=1)).holding
    said = verdict(held, LINES, falls)
    assert (said.holding, said.resolution, said.answered_at) == (False, "eased", falls)
    assert verdict(held, LINES, falls + 100 * DAY).answered_at == falls


def test_between_the_lines_it_lasts_but_does_not_begin() -> None:
    # 60 and 30 are 72; without the 30 it is 60, which is not below the line.
    assert verdict([trouble("a", "high", 0), trouble("b", "warning", 0, 1e-9)], LINES, START).holding
    between = [trouble("a", "high", 0), trouble("b", "warning", 2)]
    assert 60 <= risk([Pain(one.severity, one.opened_at) for one in between], START + 2 * DAY).score < 70
    assert not verdict(between, LINES, START + 2 * DAY).holding


def test_after_it_was_below_only_what_lifted_it_again_is_its_cause() -> None:
    held = [trouble("a", "critical", 0, 1), trouble("b", "high", 2), trouble("c", "high", 3)]
    said = verdict(held, LINES, START + 3 * DAY)
    assert [cause.key for cause in said.causes] == ["c"]
    assert (said.severity, said.opened_at) == ("high", START + 3 * DAY)


def test_another_one_above_the_line_is_one_cause_more() -> None:
    held = [trouble("a", "critical", 0), trouble("b", "info", 1)]
    assert [cause.key for cause in verdict(held, LINES, START + DAY).causes] == ["a", "b"]


def test_one_of_a_clock_ahead_opens_now() -> None:
    said = verdict([trouble("a", "critical", 1)], LINES, START)
    assert (said.holding, said.opened_at) == (True, START)


def test_one_that_ended_before_it_opened_never_was() -> None:
    assert not verdict([trouble("a", "critical", 1, 0)], LINES, START + 2 * DAY).holding


def test_of_very_many_the_last_count() -> None:
    crowd = [trouble(f"{place:04}", "info", place / 10_000) for place in range(10 * MAX_TROUBLES)]
    said = verdict(crowd, LINES, START + DAY)
    assert len(said.causes) <= MAX_TROUBLES
    assert said.causes[-1].key == crowd[-1].id


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        (alert("lost"), True),
        (alert("lost", state="snoozed"), True),
        (alert("lost", state="resolved", resolution="fixed", resolved_at=START), True),
        (alert("lost", state="resolved", resolution="not_a_problem", resolved_at=START), False),
        (alert("lost", state="expired", resolution="expired", resolved_at=START), False),
        (alert("lost", shadow=True), False),
        (alert("journey_risk"), False),
        (alert("lost with silent 3d"), False),
    ],
)
def test_which_alerts_count(told: Alert, *, counts: bool) -> None:
    assert bool(troubles([told], {"journey_risk"})) == counts


@dataclass
class Oracle:
    """The same, told by walking a minute at a time: what a person would do who looks at the score all the while."""

    lines: Lines
    on: bool = False

    def walk(self, held: list[Trouble], now: datetime) -> bool:
        at = START
        while at <= now:
            there = [t for t in held if t.opened_at <= at and (t.ended_at is None or at < t.ended_at)]
            score = risk([Pain(t.severity, t.opened_at) for t in there], at).score
            if self.on and score < self.lines.ends_below:
                self.on = False
            if any(t.opened_at == at for t in there) and score >= self.lines.opens_at:
                self.on = True
            at += HALF_LIFE / 56
        return self.on


lives = st.lists(
    st.tuples(st.sampled_from(SEVERITIES), st.integers(0, 200), st.none() | st.integers(1, 200)), max_size=6
)


@given(lives, st.integers(0, 300), st.randoms(use_true_random=False))
def test_it_is_as_if_somebody_had_looked_all_the_while_in_whatever_order_they_are_read(
    told: list[tuple[Severity, int, int | None]], ticks: int, dice: Random
) -> None:
    tick = HALF_LIFE / 56
    held = [
        Trouble(str(i), severity, START + at * tick, None if lasts is None else START + (at + lasts) * tick, ())
        for i, (severity, at, lasts) in enumerate(told)
    ]
    now = START + ticks * tick
    held = [one for one in held if one.opened_at <= now]
    said = verdict(held, LINES, now)
    assert said.holding == Oracle(LINES).walk(held, now)
    dice.shuffle(held)
    assert verdict(held, LINES, now) == said
