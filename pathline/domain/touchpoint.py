"""One contact of a customer with the business, as the core sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from pathline.domain.identifiers import Identifier


class Touchpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An accepted touchpoint: names normalised, clock corrected, nothing left to validate.

    All times are UTC. `people` holds the usable identifiers, strongest first, at most one of a kind;
    `things` the entities it names, in the order of THING_KINDS.
    """

    id: UUID
    source: str
    message_id: str
    namespace: str
    trusted: bool
    """True for a server key or a signed source. A browser's word ranks behind a server's."""
    type: str
    event: str
    """The event of a track call, the name of a page or screen, else the type of the call."""
    channel: str
    occurred_at: datetime
    """By the sender's clock, corrected."""
    received_at: datetime
    told_at: datetime | None = None
    """The sender's own time, uncorrected, where it is another."""
    clamped: bool = False
    """Whether that was out of bounds, and the time of receipt stands in its place."""
    historical: bool = False
    privacy_signal: bool = False
    """Whether the person's browser sent Global Privacy Control with it."""
    report: bool = False
    makes: str | None = None
    people: tuple[Identifier, ...] = ()
    things: tuple[Identifier, ...] = ()
    previous_id: str | None = None
    """What an alias call says the person was called before."""
    account: str | None = None
    """The group an identify or group call puts the person in."""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    body: str = "{}"
    """What is shown of it to a person who asks: its properties, or the traits of an identify, as JSON text."""

    def named(self, kind: str) -> Identifier | None:
        """The thing of that kind it names, if any."""
        for thing in self.things:
            if thing.kind == kind:
                return thing
        return None

    @property
    def subject(self) -> Identifier | None:
        """Whose it is: a report, and an act that names nobody, belongs to the first thing it names."""
        if self.people and not self.report:
            return self.people[0]
        return self.things[0] if self.things else None
