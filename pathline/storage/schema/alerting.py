"""Alerts, what wakes a detector, and what is to be delivered."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from pathline.storage.schema.base import TIME, metadata

watch = Table(
    "watch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("due_at", TIME),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Index("watch_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)
"""Stories that detectors look at: the lock of whoever judges one, and when it must be judged again unasked."""

alert = Table(
    "alert",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("detector", Text, nullable=False),
    Column("entity_id", Uuid, nullable=False),
    Column("story_id", Uuid, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("entity_kind", Text, nullable=False),
    Column("entity_value", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("ease", Text, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("previous_id", Uuid),
    Column("blind", Boolean, nullable=False, server_default=text("false")),
    Column("why", JSON, nullable=False),
    Column("amount", Text),
    Column("currency", Text),
    Column("assignee", Text),
    Column("claimed_until", TIME),
    Column("snoozed_until", TIME),
    Column("opened_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("resolved_at", TIME),
    Column("resolution", Text),
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    Column("shadow", Boolean, nullable=False, server_default=text("false")),
    Column("detector_version", Integer, nullable=False, server_default=text("1")),
    Index(
        "alert_open_episode",
        "detector",
        "entity_id",
        unique=True,
        postgresql_where=text("state IN ('open', 'acknowledged', 'snoozed')"),
    ),
    Index("alert_shown", text("opened_at DESC"), text("id DESC"), postgresql_where=text("NOT shadow")),
    Index("alert_shown_state", "state", text("opened_at DESC"), text("id DESC"), postgresql_where=text("NOT shadow")),
    Index("alert_shadow", text("opened_at DESC"), text("id DESC"), postgresql_where=text("shadow")),
    Index(
        "alert_shadow_open",
        "detector",
        "id",
        postgresql_where=text("shadow AND state IN ('open', 'acknowledged', 'snoozed')"),
    ),
    Index("alert_record", "detector", text("opened_at DESC")),
    Index("alert_entity", "entity_id"),
    Index("alert_story", "story_id"),
)
"""`story_id` is the story that the alert was judged in when last looked at; a parcel may meet its order."""

alert_cause = Table(
    "alert_cause",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Index("alert_cause_alert", "alert_id"),
)
"""Every cause that ever raised an alert. The primary key is what makes a cause alert once."""

alert_event = Table(
    "alert_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("at", TIME, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("alert_event_alert", "alert_id", "id"),
)
"""Append-only: who did what to an alert, and when."""

risk_look = Table(
    "risk_look",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity_id", Uuid, nullable=False),
)
"""Things and strands whose alerts changed; a row is deleted by whoever looks at the customer."""

customer_risk = Table(
    "customer_risk",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("due_at", TIME),
    Index("customer_risk_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)
"""Customers whose alerts add up: when time alone may change that, and the lock of whoever looks at one."""

endpoint = Table(
    "endpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("disabled_at", TIME),
    Column("reason", Text),
)
"""Where notices go: `console`, `webhook`. A disabled one gets none until its address changes or someone enables it."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("next_attempt_at", TIME, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("failed_at", TIME),
    UniqueConstraint("endpoint", "delivery_id", name="outbox_delivery"),
    Index("outbox_pending", "endpoint", "next_attempt_at", postgresql_where=text("failed_at IS NULL")),
    Index("outbox_failed", "endpoint", postgresql_where=text("failed_at IS NOT NULL")),
    Index("outbox_alert", "endpoint", "alert_id", "id", postgresql_where=text("failed_at IS NULL")),
)
"""What is to be delivered, written in the transaction of the alert. A delivered row is deleted."""
