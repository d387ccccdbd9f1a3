"""Touchpoints, people and things."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from pathline.storage.schema.base import TIME, metadata

touchpoint = Table(
    "touchpoint",
    metadata,
    Column("subject", Uuid, nullable=False),
    Column("occurred_at", TIME, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("received_at", TIME, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("stage", Text),
    Column("moment_of_truth", Boolean, nullable=False),
    Column("historical", Boolean, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("entities", ARRAY(Uuid), nullable=False),
    Column("body", JSON, nullable=False),
    Column("privacy_signal", Boolean, nullable=False, server_default=text("false")),
    Column("told_at", TIME),
    Column("clamped", Boolean, nullable=False, server_default=text("false")),
    Index("touchpoint_subject", "subject", "occurred_at", "id"),
    Index("touchpoint_received", "received_at", postgresql_using="brin"),
    Index("touchpoint_survey", "received_at", postgresql_where=text("event = 'Survey Answered'")),
    postgresql_partition_by="RANGE (received_at)",
)

identifier = Table(
    "identifier",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("strength", SmallInteger, nullable=False),
    Column("parent_id", Uuid),
    Column("parent_trusted", Boolean),
    Column("parent_at", TIME),
    Column("pointer", JSON),
    Index(
        "identifier_parent",
        "parent_id",
        "strength",
        text("parent_at DESC"),
        postgresql_where=text("parent_id IS NOT NULL"),
    ),
    Index(
        "identifier_mailbox",
        "parent_id",
        "parent_trusted",
        postgresql_where=text("parent_id IS NOT NULL AND strength IN (1, 2)"),
    ),
)

user_join = Table(
    "user_join",
    metadata,
    Column("a", Uuid, primary_key=True),
    Column("b", Uuid, primary_key=True),
    Column("bond", JSON, nullable=False),
    Index("user_join_b", "b"),
)
"""Pairs of user_ids that are one person by an alias; a < b."""

strand = Table(
    "strand",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("state", JSON, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
)

entity = Table(
    "entity",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("claimant_id", Uuid),
    Column("claim", JSON),
    Column("order_id", Uuid),
    Column("order_bond", JSON),
    Column("state", JSON, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
    Index(
        "entity_claimed",
        "claimant_id",
        text("(kind = 'order') DESC"),
        "id",
        postgresql_where=text("claimant_id IS NOT NULL"),
    ),
    Index("entity_part", "order_id", "id", postgresql_where=text("order_id IS NOT NULL")),
)

account_member = Table(
    "account_member",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("identifier_id", Uuid, primary_key=True),
    Column("since", TIME, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("account", Text),
    Index("account_member_newest", "account_id", text("trusted DESC"), text("since DESC"), "identifier_id"),
    Index("account_member_of", "identifier_id", text("trusted DESC"), text("since DESC"), "account_id"),
)
"""Who belongs to which account: a strand, since when, and whether a server has said so.

`account` is its name; null where a version before 0020 wrote the row and nobody told of it since.
"""
