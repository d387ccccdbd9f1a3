"""The tables, as the statements of this package expect them. Migrations make them; a test holds the two together.

Ids of names (strand, entity, identifier) and of touchpoints are hashes (pathline.domain.identifiers).
Columns of type json hold what the domain encodes; they are text to PostgreSQL on purpose: nothing
queries inside them, and text costs less to write than jsonb.
"""

from __future__ import annotations

from pathline.storage.schema.alerting import (
    alert,
    alert_cause,
    alert_event,
    customer_risk,
    endpoint,
    outbox,
    risk_look,
    watch,
)
from pathline.storage.schema.base import metadata
from pathline.storage.schema.detectors import detector, detector_act, detector_sweep, scorer_process
from pathline.storage.schema.journeys import account_member, entity, identifier, strand, touchpoint, user_join
from pathline.storage.schema.operators import operator_act, operator_join, operator_link
from pathline.storage.schema.reading import dead_letter, fence, seen, stitcher_process
from pathline.storage.schema.rebuilds import REBUILD_COUNTS, earlier_fact, rebuild, rebuild_note
from pathline.storage.schema.senders import webhook_source, write_key

__all__ = [
    "REBUILD_COUNTS",
    "account_member",
    "alert",
    "alert_cause",
    "alert_event",
    "customer_risk",
    "dead_letter",
    "detector",
    "detector_act",
    "detector_sweep",
    "earlier_fact",
    "endpoint",
    "entity",
    "fence",
    "identifier",
    "metadata",
    "operator_act",
    "operator_join",
    "operator_link",
    "outbox",
    "rebuild",
    "rebuild_note",
    "risk_look",
    "scorer_process",
    "seen",
    "stitcher_process",
    "strand",
    "touchpoint",
    "user_join",
    "watch",
    "webhook_source",
    "write_key",
]
