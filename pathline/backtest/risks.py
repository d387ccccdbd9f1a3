"""Customers whose alerts add up, in memory: who is to be looked at, and when time alone changes what is said."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from pathline.backtest.world import World
from pathline.domain import composing, judging
from pathline.domain.alerts import Alert
from pathline.domain.assessing import Episode
from pathline.domain.composing import Troubled
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment


class Risks:
    """Told of every alert, it looks at the customers of those that changed. Without such a detector it does nothing."""

    def __init__(self, detectors: Detectors, world: World) -> None:
        """Look by the composite ones of these `detectors`."""
        self._detectors = detectors
        self._names = composing.composites(detectors)
        self._world = world
        self._alerts: dict[UUID, dict[UUID, Alert]] = {}
        """By entity."""
        self._asked: dict[UUID, None] = {}
        self._due: dict[UUID, datetime] = {}
        self._queue: list[tuple[datetime, UUID]] = []

    def tell(self, alert: Alert) -> None:
        """An alert is new, or another one."""
        if not self._names:
            return
        self._alerts.setdefault(alert.entity_id, {})[alert.id] = alert
        if alert.detector not in self._names:
            self._asked[alert.entity_id] = None

    def moved(self, touched: Iterable[UUID]) -> None:
        """These things and strands may be another customer's now."""
        if self._alerts:
            self._asked |= dict.fromkeys(one for one in touched if one in self._alerts)

    def first(self) -> datetime | None:
        """When something is due."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def judge(
        self,
        now: datetime,
        spent: Callable[[Iterable[tuple[str, str]]], Mapping[tuple[str, str], Alert]],
        latest: Mapping[Episode, Alert],
        keep: Callable[[Change], None],
    ) -> None:
        """Judge everyone who was asked for, and who is due by `now`."""
        while (due := self.first()) is not None and due <= now:
            self._asked[heapq.heappop(self._queue)[1]] = None
        if not self._asked:
            return
        asked, self._asked = self._asked, {}
        for root in dict.fromkeys(self._world.root_of(one) for one in asked):
            if root is not None:
                self._judge(root, Moment(now, now, now), spent, latest, keep)

    def _judge(
        self,
        root: UUID,
        when: Moment,
        spent: Callable[[Iterable[tuple[str, str]]], Mapping[tuple[str, str], Alert]],
        latest: Mapping[Episode, Alert],
        keep: Callable[[Change], None],
    ) -> None:
        customer = self._customer(root)
        if customer is None:
            return
        looked = composing.look(self._detectors, customer, when)
        causes = composing.causes_of(looked)
        for ended, stays in composing.merge(looked, when):
            keep(ended)
            inherited = [cause for (_, cause), owner in spent(causes).items() if owner.id == ended.alert.id]
            keep(Change(stays, None, tuple(inherited)))
        owners = spent(causes)
        assessed = composing.settle(looked, owners, when)
        own = {(one.detector.name, one.own[0].entity_id): one.own[0] for one in looked if one.own}
        memory = Memory(own, owners, latest)
        changes = judging.judge(assessed, memory, when)
        for change in changes:
            keep(change)
        due = judging.next_due(assessed, memory, changes)
        if due is None:
            self._due.pop(root, None)
        elif self._due.get(root) != due:
            self._due[root] = due
            heapq.heappush(self._queue, (due, root))

    def _customer(self, root: UUID) -> Troubled | None:
        person = self._world.kin.people.get(root)
        if person is None:
            return None
        around = self._world.neighbours({root}, ())
        theirs = [one for one in around if one in self._alerts and self._world.root_of(one) == root]
        return Troubled(root, person.identifier, [alert for one in theirs for alert in self._alerts[one].values()])
