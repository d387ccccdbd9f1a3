"""What a backtest found: one episode a line, and a table by detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median

import msgspec

from pathline.domain.alerts import Alert, Severity
from pathline.domain.identifiers import Identifier


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


class Row(msgspec.Struct, frozen=True):
    """A detector's line of the table."""

    detector: str
    episodes: int
    open: int
    """At the end."""
    resolutions: Sequence[tuple[str, int]]
    """Resolution and how many, most first."""
    median_seconds: float | None
    """From opening to resolution, of those resolved."""


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


def rows(alerts: Iterable[Alert], detectors: Iterable[str]) -> list[Row]:
    """The table: every detector, in the order of its name, also one that found nothing."""
    found: dict[str, list[Alert]] = {name: [] for name in sorted(detectors)}
    for alert in alerts:
        found[alert.detector].append(alert)
    return [_row(name, episodes) for name, episodes in found.items()]


def _row(detector: str, alerts: Sequence[Alert]) -> Row:
    spans = [(a.resolved_at - a.opened_at).total_seconds() for a in alerts if a.resolved_at is not None]
    how = Counter(a.resolution for a in alerts if a.resolution is not None)
    return Row(
        detector=detector,
        episodes=len(alerts),
        open=sum(1 for a in alerts if a.alive),
        resolutions=sorted(how.items(), key=lambda item: (-item[1], item[0])),
        median_seconds=median(spans) if spans else None,
    )
