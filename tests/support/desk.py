"""A desk for tests of judging: touchpoints by short names, a clock, and what people do to alerts."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest.simulation import Simulation
from pathline.contracts import detector_files
from pathline.domain import alerts as life
from pathline.domain.alerts import Alert, Move, Moved
from pathline.domain.identifiers import name_id, touchpoint_id
from pathline.domain.judging import Change
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import START, touchpoint

DETECTORS = detector_files.load()

PROPERTY_OF = {"order": "order_id", "parcel": "tracking_number", "checkout": "checkout_id", "case": "case_id"}


def at(*, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
    """A time after START, which is a Thursday's midnight in UTC."""
    return START + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


class Desk:
    """The core under a simulated clock, with people at it."""

    def __init__(self) -> None:
        self.simulation = Simulation(DETECTORS, ZoneInfo("UTC"))
        self._numbers = itertools.count(1)

    def tell(self, event: str, when: datetime, properties: dict[str, Any] | None = None, **more: Any) -> str:
        """Something happens at `when` and is judged as it `arrives`, at once unless said; returns the message id."""
        one = self.touchpoint(event, when, properties, **more)
        self.simulation.happen(one.received_at, [one])
        return one.message_id

    def touchpoint(
        self,
        event: str,
        when: datetime,
        properties: dict[str, Any] | None = None,
        *,
        arrives: datetime | None = None,
        user: str | None = None,
        visitor: str | None = None,
        historical: bool = False,
        source: str = "shop",
        message_id: str | None = None,
        **things: str,
    ) -> Touchpoint:
        """What `tell` tells, not yet told."""
        number = next(self._numbers)
        people = {kind: name for kind, name in (("user_id", user), ("anonymous_id", visitor)) if name is not None}
        one = touchpoint(
            number,
            type="identify" if event == "identify" else "track",
            event=event,
            people=people,
            things=things,
            properties=properties or {},
            seconds=(when - START).total_seconds(),
            historical=historical,
            source=source,
        )
        named = message_id or one.message_id
        return msgspec.structs.replace(
            one, id=touchpoint_id(source, named), message_id=named, received_at=arrives or when
        )  # fmt: skip

    def sleep_until(self, until: datetime) -> None:
        """Let deadlines pass."""
        self.simulation.sleep_until(until)

    def episodes(self, detector: str, kind: str, value: str) -> list[Alert]:
        """All episodes of a detector about a thing, the first one first."""
        return self.about(detector, name_id("default", kind, value))

    def about(self, detector: str, entity_id: Any) -> list[Alert]:
        """The same, by the thing's id."""
        found = [a for a in self.simulation.alerts() if (a.detector, a.entity_id) == (detector, entity_id)]
        return sorted(found, key=lambda alert: alert.episode)

    def states(self, detector: str, kind: str, value: str) -> list[str]:
        """Of these, the states."""
        return [alert.state for alert in self.episodes(detector, kind, value)]

    def move(self, alert: Alert, move: Move, when: datetime) -> Alert:
        """A person does something."""
        moved = life.apply(alert, move, "sam", when)
        assert isinstance(moved, Moved)
        self.simulation._keep(Change(moved.alert, None))
        if moved.alert.snoozed_until is not None:
            self.simulation._schedule(moved.alert.story_id, moved.alert.snoozed_until)
        return moved.alert
