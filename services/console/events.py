"""From records of the journeys and alerts topics to events of the live stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from pathline.contracts import api, hint
from pathline.contracts.hint import Hint, HintBatch
from pathline.storage import customers, entities, inbox, people
from services.console import shapes
from services.console.hub import Event, to_json

if TYPE_CHECKING:
    from pathline.domain.alerts import Alert
    from pathline.storage.connection import Db


class _AlertId(msgspec.Struct):
    id: UUID


class AlertNews(msgspec.Struct):
    """What a record of the alerts topic says, as far as a stream asks; the alert itself is read as it stands."""

    change: str
    actor: str
    at: datetime
    alert: _AlertId


Decoded = HintBatch | AlertNews

_news = msgspec.json.Decoder(AlertNews)


def decode_hints(value: bytes) -> Decoded:
    """A record of the journeys topic. Raises msgspec.DecodeError."""
    return hint.decode(value)


def decode_alert(value: bytes) -> Decoded:
    """A record of the alerts topic. Raises msgspec.DecodeError."""
    return _news.decode(value)


async def events_of(db: Db, read: Sequence[Decoded | None]) -> list[list[Event]]:
    """The events of each of these records, in two or three reads for all of them together."""
    hints = [one for batch in read if isinstance(batch, HintBatch) for one in batch.hints]
    whose = await _whose(db, hints) if hints else {}
    news = {one.alert.id for one in read if isinstance(one, AlertNews)}
    alerts = {alert.id: alert for alert in await inbox.again(db, list(news))} if news else {}
    owners = await customers.of_alerts(db, alerts.values()) if alerts else {}
    return [_of_one(one, whose, alerts, owners) for one in read]


def _of_one(
    read: Decoded | None,
    whose: Mapping[UUID, UUID],
    alerts: Mapping[UUID, Alert],
    owners: Mapping[UUID, UUID],
) -> list[Event]:
    if isinstance(read, HintBatch):
        return [*(_touchpoint(one, whose) for one in read.hints if not one.word), *_journeys(read, whose)]
    alert = None if read is None else alerts.get(read.alert.id)
    if read is None or alert is None:
        return []
    owner = owners.get(alert.id)
    data = api.AlertEvent(read.change, read.actor, read.at, shapes.alert(alert, owners))
    return [Event("alert", to_json(data), frozenset() if owner is None else frozenset({owner}))]


def _touchpoint(one: Hint, whose: Mapping[UUID, UUID]) -> Event:
    customer = whose.get(one.subject)
    data = api.TouchpointEvent(
        customer_id=None if customer is None else str(customer),
        message_id=one.message_id,
        event=one.event,
        channel=one.channel,
        occurred_at=one.occurred_at,
        received_at=one.received_at,
        stage=one.stage,
    )
    return Event("touchpoint", to_json(data), frozenset() if customer is None else frozenset({customer}))


def _journeys(batch: HintBatch, whose: Mapping[UUID, UUID]) -> Iterable[Event]:
    """One for each customer that the record touches: by an act, a thing of theirs, or an identifier that moved."""
    touched: dict[UUID, set[UUID]] = {}
    for one in batch.hints:
        for name in (one.subject, *one.entities):
            if name in whose:
                touched.setdefault(whose[name], set())
        for name in one.moved:
            touched.setdefault(whose.get(name, name), set()).update(one.moved)
    for customer, moved in touched.items():
        data = api.JourneyEvent(str(customer), sorted(str(name) for name in moved), batch.stitched_at)
        yield Event("journey", to_json(data), frozenset({customer, *moved}), moved=bool(moved))


async def _whose(db: Db, hints: Sequence[Hint]) -> dict[UUID, UUID]:
    """The customer of every strand, thing and moved identifier that these hints name."""
    things = {name for one in hints for name in one.entities}
    # A subject that is no thing is a strand; one that is, is among the things.
    persons = {one.subject for one in hints} - things | {name for one in hints for name in one.moved}
    owned = await entities.owners(db, things) if things else {}
    return {**(await people.roots_of(db, persons)), **{one: root for one, root in owned.items() if root is not None}}
