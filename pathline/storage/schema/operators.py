"""What operators said of who is whom."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Identity, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from pathline.storage.schema.base import TIME, metadata

operator_act = Table(
    "operator_act",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("other_id", Uuid),
    Column("left_id", Uuid, nullable=False),
    Column("joined_id", Uuid, nullable=False),
    Column("takes_back", BigInteger),
    Column("inferred", JSON),
    Column("moved", ARRAY(Uuid), nullable=False),
    Column("told_at", TIME),
    Index("operator_act_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("operator_act_taken_back", "takes_back", postgresql_where=text("takes_back IS NOT NULL")),
    Index("operator_act_moved", "moved", postgresql_using="gin"),
)
"""Append-only: which operator said what of who is whom. `told_at` is empty until the journeys topic has its hint."""

operator_link = Table(
    "operator_link",
    metadata,
    Column("child_id", Uuid, primary_key=True),
    Column("parent_id", Uuid),
    Column("act_id", BigInteger, nullable=False),
    Index("operator_link_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
)
"""The parent that an operator gives an identifier, or that it has none. No stitcher writes here."""

operator_join = Table(
    "operator_join",
    metadata,
    Column("a", Uuid, primary_key=True),
    Column("b", Uuid, primary_key=True),
    Column("act_id", BigInteger, nullable=False),
    Index("operator_join_b", "b"),
)
"""Pairs of user_ids that are one person by an operator's word; a < b."""
