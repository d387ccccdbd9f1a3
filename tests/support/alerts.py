"""Alerts as tests want them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from pathline.domain.alerts import Alert
from pathline.domain.identifiers import Identifier


def alert_about(name: Identifier, **given: Any) -> Alert:
    """An alert about this thing or person."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(), "detector": "late_vs_promise", "entity_id": name.id, "story_id": name.id,
        "namespace": name.namespace, "entity_kind": name.kind, "entity_value": name.value, "severity": "high",
        "state": "open", "title": "The parcel is late", "ease": "obtain", "episode": 1, "why": (),
        "opened_at": now, "updated_at": now,
    }  # fmt: skip
    return Alert(**(values | given))
