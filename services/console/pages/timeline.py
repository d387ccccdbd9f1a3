"""A journey drawn: a lane for each channel, touchpoints along a line of time, pains above them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from pathline.domain.alerts import Alert
from pathline.domain.journey import positions
from pathline.domain.vocabulary import CHANNELS
from pathline.storage.touchpoints import Stored

PAIN: Final = "pain"
"""The lane of alerts, above the channels."""

LANE_HEIGHT: Final = 30
AXIS_HEIGHT: Final = 26
MARGIN: Final = 2.5
"""Per cent of the width kept free at both ends, so that no mark is cut."""
TICK_GAP: Final = 27.0
"""Per cent of the width between two times that are written: they stay apart on a narrow screen."""
BRIEF: Final = timedelta(hours=1)
MAX_PAINS: Final = 50
"""Alerts that are marked."""


class Mark(msgspec.Struct, frozen=True):
    """Something that happened: where it is drawn, as what, and which row of the list it opens."""

    x: str
    y: int
    shape: str
    """dot, truth (a moment of truth), cause (of the alert that is looked at), or pain-SEVERITY."""
    row: str
    label: str
    at: datetime


class Lane(msgspec.Struct, frozen=True):
    """A channel."""

    name: str
    y: int


class Tick(msgspec.Struct, frozen=True):
    """A time written under the lanes; `anchor` is its text-anchor."""

    x: str
    at: datetime
    anchor: str


class Timeline(msgspec.Struct, frozen=True):
    """All of it; lengths are pixels, `x` per cent."""

    lanes: list[Lane]
    marks: list[Mark]
    ticks: list[Tick]
    height: int
    touchpoints: int
    """How many of the marks are touchpoints; the others are pains."""
    brief: bool
    """Whether all of it happened within BRIEF, so that its times need seconds and no day."""


def draw(touchpoints: Sequence[Stored], alerts: Sequence[Alert] = (), causes: Collection[str] = ()) -> Timeline | None:
    """The timeline of these, or None where there is nothing to draw.

    Args:
        touchpoints: in any order.
        alerts: pains to be marked; those before the first touchpoint shown are left out.
        causes: message ids of the touchpoints that caused the alert that is looked at.
    """
    if not touchpoints:
        return None
    told = sorted(touchpoints, key=lambda t: (t.occurred_at, t.id))
    pains = sorted((a for a in alerts if a.opened_at >= told[0].occurred_at), key=lambda a: a.opened_at)[-MAX_PAINS:]
    times = sorted({t.occurred_at for t in told} | {a.opened_at for a in pains})
    places = dict(zip(times, (MARGIN + place * (100 - 2 * MARGIN) for place in positions(times)), strict=True))
    lanes = _lanes({t.channel for t in told}, pains=bool(pains))
    rows = {lane.name: lane.y for lane in lanes}
    marks = [
        Mark(
            _percent(places[t.occurred_at]),
            rows[t.channel],
            "cause" if t.message_id in causes else "truth" if t.moment_of_truth else "dot",
            t.id.hex,
            t.event,
            t.occurred_at,
        )
        for t in told
    ]
    marks += [
        Mark(_percent(places[a.opened_at]), rows[PAIN], f"pain-{a.severity}", a.id.hex, a.title, a.opened_at)
        for a in pains
    ]
    height = len(lanes) * LANE_HEIGHT + AXIS_HEIGHT
    return Timeline(lanes, marks, _ticks(times, places), height, len(told), brief=times[-1] - times[0] < BRIEF)


def _lanes(channels: Collection[str], *, pains: bool) -> list[Lane]:
    names = [PAIN] if pains else []
    names += [channel for channel in CHANNELS if channel in channels]
    names += sorted(set(channels) - set(CHANNELS))
    return [Lane(name, LANE_HEIGHT // 2 + place * LANE_HEIGHT) for place, name in enumerate(names)]


def _ticks(times: Sequence[datetime], places: dict[datetime, float]) -> list[Tick]:
    """The first and the last time, and between them as many as stay apart."""
    last = times[-1]
    ticks = [Tick(_percent(places[times[0]]), times[0], "start")]
    held = places[times[0]]
    for at in _inner(times, places):
        if places[at] - held >= TICK_GAP:
            held = places[at]
            ticks.append(Tick(_percent(held), at, "middle"))
    if last != times[0]:
        ticks.append(Tick(_percent(places[last]), last, "end"))
    return ticks


def _inner(times: Sequence[datetime], places: dict[datetime, float]) -> Iterable[datetime]:
    end = places[times[-1]]
    return (at for at in times[1:-1] if end - places[at] >= TICK_GAP)


def _percent(place: float) -> str:
    return f"{place:.2f}%"
