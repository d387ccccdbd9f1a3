"""An alert as it leaves Pathline: a record of the alerts topic, and the body of a webhook.

Neither carries anything of a customer but the entity that the alert is about, nor what a person
wrote in a note: who receives it asks the API for more, where reading is authorised.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from pathline.domain.alerts import Alert, Notice

VERSION: Final = 1

PREFIX: Final = "alert."
"""First word of a webhook's `type`; the rest is the change."""


class EntityMessage(msgspec.Struct):
    """What the alert is about. Of a customer, `value` is the id that the API knows them by."""

    kind: str
    value: str
    namespace: str


class AlertMessage(msgspec.Struct):
    """The alert after the change. Times are UTC, money is a decimal as text."""

    id: str
    detector: str
    severity: str
    state: str
    title: str
    ease: str
    entity: EntityMessage
    episode: int
    previous_id: str | None
    why: tuple[str, ...]
    blind: bool
    amount: str | None
    currency: str | None
    assignee: str | None
    snoozed_until: datetime | None
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    revision: int


class AlertRecord(msgspec.Struct):
    """The value of a record of the alerts topic."""

    v: int
    change: str
    actor: str
    at: datetime
    alert: AlertMessage


class WebhookData(AlertMessage):
    """What a receiver of the webhook gets to know of the alert."""

    change: str
    actor: str
    advice: str | None
    """What to do next, as the detector says it; null for a detector that is no longer there."""
    url: str
    """Where people see the alert and claim it."""


class Webhook(msgspec.Struct):
    """The body of a webhook, as Standard Webhooks has it."""

    type: str
    timestamp: datetime
    data: WebhookData


_encode = msgspec.json.Encoder().encode


def record(notice: Notice) -> bytes:
    """The value of a record of the alerts topic."""
    message = AlertMessage(**_fields(notice.alert))
    return _encode(AlertRecord(VERSION, notice.change, notice.actor, notice.at, message))


def headers(notice: Notice, delivery_id: str) -> list[tuple[str, bytes]]:
    """The headers of that record: CloudEvents in binary mode."""
    told = {
        "ce_specversion": "1.0",
        "ce_id": delivery_id,
        "ce_type": f"pathline.{PREFIX}{notice.change}",
        "ce_source": "/pathline/scorer",
        "ce_subject": str(notice.alert.id),
        "ce_time": notice.at.isoformat(),
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in told.items()]


def webhook(notice: Notice, advice: str | None, console_url: str) -> bytes:
    """The body of a webhook."""
    data = WebhookData(
        **_fields(notice.alert),
        change=notice.change,
        actor=notice.actor,
        advice=advice,
        url=f"{console_url}/alerts/{notice.alert.id}",
    )
    return _encode(Webhook(PREFIX + notice.change, notice.at, data))


def _fields(alert: Alert) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: getattr(alert, name)
        for name in AlertMessage.__struct_fields__
        if name not in {"id", "entity", "previous_id"}
    }
    told["id"] = str(alert.id)
    told["previous_id"] = None if alert.previous_id is None else str(alert.previous_id)
    told["entity"] = EntityMessage(alert.entity_kind, alert.entity_value, alert.namespace)
    return told
