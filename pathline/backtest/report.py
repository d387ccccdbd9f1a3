"""What a backtest found: one episode a line, and a record by detector."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from pathline.domain.alerts import Alert, Severity
from pathline.domain.detectors.rules import DetectorFile
from pathline.domain.identifiers import Identifier
from pathline.domain.records import Lived, Record, Span, aim_of
from pathline.domain.records import records as of_episodes


class Name(msgspec.Struct, frozen=True):
    """A name of a person or a thing."""

    kind: str
    value: str


class Episode(msgspec.Struct, frozen=True):
    """An episode as it is written. Times are UTC; an open one has no `resolved_at` and no `resolution`."""

    detector: str
    severity: Severity
    entity: Name
    identifiers: list[Name]
    """Of the customer, as the end of the file knows them: strongest first. Empty while nobody owns the thing."""
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    why: tuple[str, ...]


def episode(alert: Alert, identifiers: Iterable[Identifier]) -> Episode:
    """An alert as it stands at the end."""
    return Episode(
        detector=alert.detector,
        severity=alert.severity,
        entity=Name(alert.entity_kind, alert.entity_value),
        identifiers=[Name(one.kind, one.value) for one in identifiers],
        opened_at=alert.opened_at,
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
        why=alert.why,
    )


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """Oldest first; those of one instant in an order of their own that is always the same."""
    return sorted(alerts, key=lambda a: (a.opened_at, a.detector, a.entity_kind, a.entity_value, a.episode))


def records(alerts: Iterable[Alert], files: Iterable[DetectorFile], span: Span) -> list[Record]:
    """The record of every detector, in the order of its name, also of one that found nothing."""
    return of_episodes(map(aim_of, files), map(_lived, alerts), span)


def _lived(alert: Alert) -> Lived:
    return Lived(
        alert.detector,
        alert.entity_kind,
        alert.entity_id,
        alert.story_id,
        alert.opened_at,
        alert.resolved_at,
        alert.resolution,
    )
