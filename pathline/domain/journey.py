"""A journey as it is shown: its stages, and a line of time on which bursts and pauses are both readable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import log1p
from typing import Final, NamedTuple

from pathline.domain.facts import STAGE_PREFIX, State

GAP_UNIT: Final = timedelta(minutes=5)
"""Pauses shorter than this are drawn about as long as they are; longer ones by their logarithm."""


class StageSpan(NamedTuple):
    """A stage that was entered; `left_at` is None while no later stage was."""

    stage: str
    entered_at: datetime
    left_at: datetime | None


def stage_spans(states: Iterable[State], order: Sequence[str]) -> list[StageSpan]:
    """The stages that these states, taken as one, have entered.

    A stage is left when a later one is entered, and at once where that had happened before.

    Args:
        states: of one purchase, or of one person.
        order: names of the stages, in their order; a stage it does not name is not shown.
    """
    entered: dict[str, datetime] = {}
    for state in states:
        for name, fact in state.facts.items():
            if name.startswith(STAGE_PREFIX):
                stage = name.removeprefix(STAGE_PREFIX)
                entered[stage] = min(entered.get(stage, fact.at), fact.at)
    known = [stage for stage in order if stage in entered]
    spans = []
    for place, stage in enumerate(known):
        later = min((entered[name] for name in known[place + 1 :]), default=None)
        left = None if later is None else max(later, entered[stage])
        spans.append(StageSpan(stage, entered[stage], left))
    return spans


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
