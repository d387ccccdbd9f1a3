"""Asking the detectors about a story: what each says of each thing in it, now.

`pathline.domain.judging` tells what comes before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from uuid import UUID

import msgspec

from pathline.domain.alerts import Alert
from pathline.domain.detectors.compiled import Detector, Detectors
from pathline.domain.detectors.evaluate import Verdict, evaluate
from pathline.domain.detectors.settled import Silent
from pathline.domain.detectors.view import Story, View

Episode = tuple[str, UUID]
"""A detector's name and the id of the entity: of these at most one alert is alive."""


class Assessed(msgspec.Struct, frozen=True):
    """What a detector says of one thing in a story."""

    detector: Detector
    view: View
    verdict: Verdict
    at: datetime
    """The time that was asked for."""

    @property
    def episode(self) -> Episode:
        """Whose alert it would be."""
        return self.detector.name, self.view.id


class Stumble(msgspec.Struct, frozen=True):
    """A detector that broke off over one thing: a fault of ours, or of its file."""

    detector: str
    view: View
    error: Exception


def assess(
    detectors: Detectors,
    story: Story,
    now: datetime,
    alive: Mapping[Episode, Alert] | None = None,
    *,
    on_stumble: Callable[[Stumble], None] | None = None,
    on_guard_error: Callable[[str], None] | None = None,
    settled: Iterable[Silent] | None = None,
) -> list[Assessed]:
    """Run every detector over everything in the story that it concerns, and keep those that have something to say.

    Args:
        detectors: all of them.
        story: what is judged together.
        now: the time.
        alive: the alerts of everything in it that last.
        on_stumble: is told of a detector that breaks off, which keeps no other from its verdict; else that is raised.
        on_guard_error: is told the name of a detector whose guard could not be worked out, which counts as false.
        settled: of each view, who has nothing to say and is not asked; who had nothing now is added.
    """
    held, assessed = alive or {}, []
    unasked: Iterable[Silent | None] = settled or repeat(None)
    for view, silent in zip(story.views(), unasked, strict=False):
        for detector in _looking(detectors, view, held):
            alert = held.get((detector.name, view.id)) if held else None
            if silent and alert is None and detector.name in silent:
                continue
            # What has fired stays due, even if a new partition makes `now` step back.
            at = now if alert is None or not detector.timed else max(now, alert.opened_at)
            try:
                verdict = evaluate(detector, view, at, alerted=alert is not None)
            except Exception as error:
                if on_stumble is None:
                    raise
                on_stumble(Stumble(detector.name, view, error))
                continue
            if verdict.guard_failed and on_guard_error is not None:
                on_guard_error(detector.name)
            # What does not hold, waits for no deadline and has no alert changes nothing, and most are such.
            if alert is not None or verdict.holding or verdict.deadlines:
                assessed.append(Assessed(detector, view, verdict, at))
            if silent is not None and alert is None and not verdict.holding:
                silent[detector.name] = min(verdict.deadlines.values(), default=None)
    return assessed


def _looking(detectors: Detectors, view: View, alive: Mapping[Episode, Alert]) -> Sequence[Detector]:
    """Those that may have something to say, and in any case those with an alert that lasts: it may be to be ended."""
    concerned = detectors.concerned(view)
    if not alive:
        return concerned
    every = detectors.of(view.identifier.namespace, view.kind)
    return [one for one in every if one in concerned or (one.name, view.id) in alive]


def unknown_owners(assessed: Iterable[Assessed], alive: Mapping[Episode, Alert]) -> set[UUID]:
    """Things whose customer must be looked up: a detector would hold for anyone, or an alert is about to be resolved.

    By what it is resolved may be something that the customer did elsewhere, at the same instant or earlier.
    """
    return {
        one.view.id
        for one in assessed
        if (one.verdict.holding or one.episode in alive)
        and one.detector.asks_customer(one.view.kind)
        and one.view.id not in one.view.story.customers
    }
