"""A journey drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.alerts import Alert
from pathline.storage.touchpoints import Stored
from services.console.pages import timeline

START = datetime(2026, 5, 1, tzinfo=UTC)


def told(number: int, minutes: float, channel: str = "web", *, truth: bool = False) -> Stored:
    at = START + timedelta(minutes=minutes)
    return Stored(
        subject=UUID(int=1), occurred_at=at, id=UUID(int=number), received_at=at, message_id=f"m{number}",
        source="shop", type="track", event="Seen", channel=channel, stage=None, moment_of_truth=truth,
        historical=False, partition=0, offset=number, entities=[], body="{}",
    )  # fmt: skip


def pain(minutes: float) -> Alert:
    at = START + timedelta(minutes=minutes)
    return Alert(
        id=UUID(int=99), detector="d", entity_id=UUID(int=1), story_id=UUID(int=1), namespace="default",
        entity_kind="order", entity_value="1", severity="high", state="open", title="Late", ease="obtain", episode=1,
        opened_at=at, updated_at=at,
    )  # fmt: skip


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


def test_nothing_is_drawn_of_nothing() -> None:
    assert timeline.draw([]) is None


def test_each_channel_has_a_lane_in_a_fixed_order_and_pains_one_above() -> None:
    drawn = timeline.draw([told(1, 0, "delivery"), told(2, 1, "web"), told(3, 2, "delivery")], [pain(3)])
    assert drawn is not None
    assert [lane.name for lane in drawn.lanes] == ["pain", "web", "delivery"]
    rows = {lane.name: lane.y for lane in drawn.lanes}
    assert [mark.y for mark in drawn.marks] == [rows["delivery"], rows["web"], rows["delivery"], rows["pain"]]


def test_causes_outshine_moments_of_truth_and_pains_before_the_window_are_left_out() -> None:
    drawn = timeline.draw([told(1, 5, truth=True), told(2, 6, truth=True), told(3, 7)], [pain(0)], {"m2"})
    assert drawn is not None
    assert [mark.shape for mark in drawn.marks] == ["truth", "cause", "dot"]


@given(st.lists(st.integers(min_value=0, max_value=500_000), min_size=1, max_size=60))
def test_marks_stay_within_and_in_order_and_ticks_apart(minutes: list[int]) -> None:
    drawn = timeline.draw([told(number, at) for number, at in enumerate(minutes)])
    assert drawn is not None
    places = [percent(mark.x) for mark in drawn.marks]
    assert places == sorted(places)
    assert all(timeline.MARGIN <= place <= 100 - timeline.MARGIN for place in places)
    ticks = [percent(tick.x) for tick in drawn.ticks]
    middle = [tick for tick in drawn.ticks if tick.anchor == "middle"]
    assert len(ticks) == len(set(ticks)) and len(middle) <= 3
    if middle:
        assert min(after - before for before, after in pairwise(ticks)) >= timeline.TICK_GAP - 0.02


def test_times_of_minutes_have_seconds_and_times_of_days_have_the_day() -> None:
    brief, long = timeline.draw([told(1, 0), told(2, 59)]), timeline.draw([told(1, 0), told(2, 60)])
    assert brief is not None and brief.brief
    assert long is not None and not long.brief
