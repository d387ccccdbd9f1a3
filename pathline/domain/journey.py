"""A journey as it is shown: its stages, and a line of time on which bursts and pauses are both readable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import log1p
from typing import Final, NamedTuple

from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX, Fact, State

GAP_UNIT: Final = timedelta(minutes=5)
"""Pauses shorter than this are drawn about as long as they are; longer ones by their logarithm."""


class StageSpan(NamedTuple):
    """A stage that was entered; `left_at` is None while no later stage was."""

    stage: str
    entered_at: datetime
    left_at: datetime | None
    channel: str | None
    """Of the touchpoint that entered it; None where an older version kept none."""
    message_id: str


class Wanted(NamedTuple):
    """An action that is wanted at a stage, and the touchpoint that completed it, if one did."""

    stage: str
    action: str
    done: Fact | None


def stage_spans(states: Iterable[State], order: Sequence[str]) -> list[StageSpan]:
    """The stages that these states, taken as one, have entered.

    A stage is left when a later one is entered, and at once where that had happened before.

    Args:
        states: of one purchase, or of one person.
        order: names of the stages, in their order; a stage it does not name is not shown.
    """
    entered = _earliest(states, STAGE_PREFIX)
    known = [stage for stage in order if stage in entered]
    spans = []
    for place, stage in enumerate(known):
        entry = entered[stage]
        later = min((entered[name].at for name in known[place + 1 :]), default=None)
        left = None if later is None else max(later, entry.at)
        channel = entry.value if isinstance(entry.value, str) else None
        spans.append(StageSpan(stage, entry.at, left, channel, entry.message_id))
    return spans


def wanted(states: Iterable[State], actions: Mapping[str, Sequence[str]]) -> list[Wanted]:
    """The actions wanted of one purchase, or of one person: of the stages it has entered, and what was done without.

    Args:
        states: as for `stage_spans`.
        actions: what is wanted at each stage, in their order.
    """
    listed = list(states)
    entered, done = _earliest(listed, STAGE_PREFIX), _earliest(listed, ACTION_PREFIX)
    return [
        Wanted(stage, action, done.get(action))
        for stage, names in actions.items()
        for action in names
        if stage in entered or action in done
    ]


def _earliest(states: Iterable[State], prefix: str) -> dict[str, Fact]:
    """The earliest fact of each name that begins so."""
    found: dict[str, Fact] = {}
    for state in states:
        for name, fact in state.facts.items():
            if name.startswith(prefix):
                short = name.removeprefix(prefix)
                held = found.get(short)
                if held is None or (fact.at, fact.message_id) < (held.at, held.message_id):
                    found[short] = fact
    return found


def positions(times: Sequence[datetime]) -> list[float]:
    """Where on a line from 0 to 1 each of these times stands; they must be in order.

    Pauses count by their logarithm: a minute in a checkout and a week in a warehouse are both to be seen.
    """
    if not times:
        return []
    places = [0.0]
    for before, after in pairwise(times):
        places.append(places[-1] + log1p((after - before) / GAP_UNIT))
    length = places[-1]
    return [0.5] * len(times) if length == 0 else [place / length for place in places]
