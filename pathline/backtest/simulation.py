"""The scorer's day under a simulated clock: judge what changed, and wake up for deadlines at their own instant."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pathline.backtest.risks import Risks
from pathline.backtest.world import World
from pathline.domain import assessing, judging
from pathline.domain.alerts import Alert
from pathline.domain.assessing import Assessed, Episode, Stumble
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.owners import RELATION_EVENTS
from pathline.domain.detectors.settled import Settled, Silent
from pathline.domain.detectors.view import CUSTOMER_EVENTS, PERSON_EVENTS, Story
from pathline.domain.fold import Stitched
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment
from pathline.domain.stages import Stage, StageFile, Stages
from pathline.domain.touchpoint import Touchpoint

NO_STAGES: Final = Stages(StageFile((Stage("any", ()),)))
"""No detector asks for a stage, so none is looked for."""


class Simulation:
    """Touchpoints happen one instant after the other; between them deadlines pass."""

    def __init__(
        self,
        detectors: Detectors,
        zone: ZoneInfo,
        world: World | None = None,
        on_stumble: Callable[[Stumble], None] | None = None,
    ) -> None:
        """Judge by these `detectors`.

        Args:
            detectors: all of them.
            zone: meant where an order does not say where it goes.
            world: what is known so far.
            on_stumble: is told of a detector that breaks off; without it, that ends the simulation.
        """
        self._on_stumble = on_stumble
        self.world = World(NO_STAGES) if world is None else world
        self._detectors = detectors
        self._zone = zone
        self._settled = Settled(detectors)
        self._risks = Risks(detectors, self.world)
        self._alerts: dict[UUID, Alert] = {}
        self._alive: dict[UUID, dict[str, Alert]] = {}
        """By entity, then by detector."""
        self._latest: dict[Episode, Alert] = {}
        self._spent: dict[tuple[str, str], UUID] = {}
        self._alerted: set[UUID] = set()
        self._due: dict[UUID, datetime] = {}
        self._queue: list[tuple[datetime, UUID]] = []
        """Whatever was ever due; an entry that differs from `_due` is void."""

    def happen(self, at: datetime, touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
        """Let all that occurred at one instant happen, after every deadline before it; returns those refused.

        A deadline at this very instant is asked after them: what happens at its last moment still answers it.
        """
        for instant in self._deadlines_before(at):
            self._wake(instant)
        added = self.world.add(touchpoints)
        for one, before, delta in added.told:
            self._settled.tell(one, before, delta)
        touched = self._touched(added.stitched, added.moved, added.reowned)
        if added.moved or added.reowned:
            self._risks.moved(touched)
        self._judge({self.world.key_of(one) for one in touched}, at)
        return added.refused

    def sleep_until(self, until: datetime) -> None:
        """Let every deadline up to and at `until` pass."""
        for instant in self._deadlines_before(until):
            self._wake(instant)
        self._wake(until)

    def alerts(self) -> list[Alert]:
        """Every episode so far, as it stands; in no order."""
        return list(self._alerts.values())

    def _deadlines_before(self, at: datetime) -> Iterator[datetime]:
        """The instants before `at` at which something is due, as long as there are any; wake up at each."""
        while (due := self._first()) is not None and due < at:
            yield due

    def _first(self) -> datetime | None:
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        first, fading = self._queue[0][0] if self._queue else None, self._risks.first()
        return fading if first is None or (fading is not None and fading < first) else first

    def _wake(self, now: datetime) -> None:
        keys = []
        while self._queue and self._queue[0][0] <= now:
            due, key = heapq.heappop(self._queue)
            if self._due.get(key) == due:
                del self._due[key]
                keys.append(self.world.key_of(key))
        self._judge(keys, now)

    def _touched(self, stitched: Sequence[Stitched], moved: set[UUID], reowned: set[UUID]) -> set[UUID]:
        """The things and persons to look at again."""
        people, things, touched = moved | reowned, set(reowned), set(reowned)
        # Of other segments a customer may have other deadlines, or be whom a guard is about. A thing that is new has an
        # owner now, but left nobody.
        who = bool(moved) or not reowned.issubset(one for each in stitched for one in each.entities)
        for one in stitched:
            touched.update(one.entities)
            if one.touchpoint.event in PERSON_EVENTS:
                touched.add(one.subject)
            other = one.touchpoint.event in RELATION_EVENTS
            who = who or other
            if other or one.touchpoint.event in CUSTOMER_EVENTS:
                things.update(one.entities)
                if one.subject not in one.entities:
                    people.add(one.subject)
        if people or things:
            # Nothing that was never judged, nor could be, can change its mind.
            touched.update(one for one in self.world.neighbours(people, things) if self._may_change(one, who=who))
        return touched

    def _may_change(self, one: UUID, *, who: bool) -> bool:
        if one in self._alerted:
            return True
        if who and (self._detectors.ask_who or self.world.key_of(one) in self._due):
            return True
        name = self.world.things.get(one)
        if name is None:
            return False
        # Of a case another of its customer may make a repetition; a checkout may name an order that nobody placed.
        return name.kind in {"case", "checkout"}

    def _judge(self, keys: Iterable[UUID], now: datetime) -> None:
        when = Moment(now, now, now)
        for key in keys:
            story = self.world.story(key, self._zone)
            if story is not None:
                self._judge_story(story, when)
        self._risks.judge(now, self._owners_of, self._latest, self._keep)

    def _judge_story(self, story: Story, when: Moment) -> None:
        alive = {
            (detector, one): alert
            for one in story.ids
            if one in self._alive
            for detector, alert in self._alive[one].items()
        }
        settled = self._settled.of(story, when.now)
        assessed = self._assess(story, when.now, alive, settled)
        # When the others may say more is settled.
        assessed = [one for one in assessed if one.verdict.holding or one.episode in alive]
        unknown = assessing.unknown_owners(assessed, alive)
        if unknown:
            knowing = story.knowing({one: self.world.customer(one) for one in unknown})
            # Who holds for nobody holds not for this customer; who does not for this one may for another.
            assessed = self._assess(knowing, when.now, alive, [dict(silent) for silent in settled])
        due = [one for silent in settled for one in silent.values() if one is not None]
        if assessed:
            memory = Memory(alive, self._spent_of(assessed), self._latest)
            changes = judging.judge(assessed, memory, when)
            for change in changes:
                self._keep(change)
            more = judging.next_due(assessed, memory, changes)
            due += [] if more is None else [more]
        self._schedule(story.id, min(due, default=None))

    def _assess(
        self, story: Story, now: datetime, alive: Mapping[Episode, Alert], settled: Iterable[Silent]
    ) -> list[Assessed]:
        return assessing.assess(self._detectors, story, now, alive, on_stumble=self._on_stumble, settled=settled)

    def _spent_of(self, assessed: Iterable[Assessed]) -> dict[tuple[str, str], Alert]:
        return self._owners_of(judging.causes_of(assessed))

    def _owners_of(self, causes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Alert]:
        return {cause: self._alerts[owner] for cause in causes if (owner := self._spent.get(cause)) is not None}

    def _keep(self, change: Change) -> None:
        alert = change.alert
        self._alerts[alert.id] = alert
        self._alerted.add(alert.entity_id)
        self._risks.tell(alert)
        latest = self._latest.get((alert.detector, alert.entity_id))
        if latest is None or latest.episode <= alert.episode:
            self._latest[alert.detector, alert.entity_id] = alert
        alive = self._alive.setdefault(alert.entity_id, {})
        if alert.alive:
            alive[alert.detector] = alert
        else:
            alive.pop(alert.detector, None)
        for cause in change.causes:
            self._spent[alert.detector, cause] = alert.id

    def _schedule(self, key: UUID, due: datetime | None) -> None:
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._queue, (due, key))
