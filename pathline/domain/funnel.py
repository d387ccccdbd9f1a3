"""The journey map: how many customers were in each stage, how many went on, how long it took, where it hurt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple
from uuid import UUID

import msgspec

from pathline.domain.interest import Visit
from pathline.domain.surveys import Answer


class Step(NamedTuple):
    """Touchpoints of one customer on one channel in one stage (None: in none)."""

    customer: UUID
    stage: str | None
    channel: str
    entered_at: datetime
    touchpoints: int


class PainSeen(NamedTuple):
    """An alert that opened; `customer` is None while nobody owns the thing."""

    customer: UUID | None
    detector: str
    severity: str
    opened_at: datetime


class Asked(NamedTuple):
    """An answer to a survey, None for what cannot be read as one, and the stage in which it was asked."""

    customer: UUID | None
    stage: str | None
    answer: Answer | None


class Did(NamedTuple):
    """A desired action that a customer did."""

    customer: UUID
    action: str


class Moment(NamedTuple):
    """Moments of truth of one customer in one stage."""

    customer: UUID
    stage: str | None
    event: str
    touchpoints: int


class Visited(NamedTuple):
    """A visit that is over."""

    customer: UUID | None
    visit: Visit


class StageFlow(msgspec.Struct, frozen=True):
    """A stage: its customers, those who entered a later one after it, and what hurt those who were in it."""

    stage: str
    customers: int
    went_on: int
    dropped_with_pain: int
    """Of those who did not go on, how many had an alert."""
    median_seconds: float | None
    """From entering this stage to entering the next one, of those who went on."""
    channels: Mapping[str, int]
    """Touchpoints."""
    pains: Sequence[tuple[str, str, int]]
    """(detector, severity, alerts) while the customer's last stage entered was this one, most first."""

    @property
    def dropped(self) -> int:
        """Those who did not go on."""
        return self.customers - self.went_on


def flow(steps: Iterable[Step], pains: Iterable[PainSeen], order: Sequence[str]) -> list[StageFlow]:
    """The flow through these stages. A customer goes on by entering any later stage, at the same time or after."""
    entered: dict[UUID, dict[str, datetime]] = {}
    channels: dict[str, Counter[str]] = {stage: Counter() for stage in order}
    for step in steps:
        if step.stage not in channels:
            continue
        stages = entered.setdefault(step.customer, {})
        stages[step.stage] = min(stages.get(step.stage, step.entered_at), step.entered_at)
        channels[step.stage][step.channel] += step.touchpoints
    hurt = {pain.customer for pain in pains if pain.customer is not None}
    during = _pains_by_stage(entered, pains, order)
    flows = []
    for place, stage in enumerate(order):
        here = [customer for customer, stages in entered.items() if stage in stages]
        times = {customer: _onward(entered[customer], stage, order[place + 1 :]) for customer in here}
        on = [seconds for seconds in times.values() if seconds is not None]
        flows.append(
            StageFlow(
                stage=stage,
                customers=len(here),
                went_on=len(on),
                dropped_with_pain=sum(1 for one in here if times[one] is None and one in hurt),
                median_seconds=median(on) if on else None,
                channels=dict(channels[stage].most_common()),
                pains=[(*what, count) for what, count in during[stage].most_common()],
            )
        )
    return flows


def acted(
    steps: Iterable[Step], did: Iterable[Did], actions: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[str, int, int]]]:
    """For each stage what is wanted there: (action, customers who did it, those of the stage who did not)."""
    here: dict[str | None, set[UUID]] = {}
    for step in steps:
        here.setdefault(step.stage, set()).add(step.customer)
    by_action: dict[str, set[UUID]] = {}
    for one in did:
        by_action.setdefault(one.action, set()).add(one.customer)
    return {
        stage: [(name, len(done := by_action.get(name, set())), len(here.get(stage, set()) - done)) for name in names]
        for stage, names in actions.items()
    }


def moments_by_stage(moments: Iterable[Moment]) -> dict[str | None, Counter[str]]:
    """How often each moment of truth was met, by stage."""
    counted: dict[str | None, Counter[str]] = {}
    for moment in moments:
        counted.setdefault(moment.stage, Counter())[moment.event] += moment.touchpoints
    return counted


def _onward(stages: Mapping[str, datetime], stage: str, later: Sequence[str]) -> float | None:
    """Seconds until the first later stage was entered."""
    waits = [(stages[name] - stages[stage]).total_seconds() for name in later if name in stages]
    return min((wait for wait in waits if wait >= 0), default=None)


def _pains_by_stage(
    entered: Mapping[UUID, Mapping[str, datetime]], pains: Iterable[PainSeen], order: Sequence[str]
) -> dict[str, Counter[tuple[str, str]]]:
    during: dict[str, Counter[tuple[str, str]]] = {stage: Counter() for stage in order}
    place = {stage: number for number, stage in enumerate(order)}
    for pain in pains:
        stages = entered.get(pain.customer, {}) if pain.customer is not None else {}
        before = [(at, place[stage], stage) for stage, at in stages.items() if at <= pain.opened_at]
        if before:
            during[max(before)[2]][pain.detector, pain.severity] += 1
    return during
