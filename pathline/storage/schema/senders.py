"""Who may send: write keys, and the sources of signed webhooks."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Table, Text, text

from pathline.storage.schema.base import TIME, metadata

write_key = Table(
    "write_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("loopback_only", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", TIME, nullable=False, server_default=text("now()")),
    Column("revoked_at", TIME),
    Column("old_key", Text),
    Column("old_until", TIME),
    Column("policy", JSON, nullable=False, server_default=text("'{}'")),
)

webhook_source = Table(
    "webhook_source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_until", TIME),
    Column("namespace", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=text("now()")),
    Column("revoked_at", TIME),
)
