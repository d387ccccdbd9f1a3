"""Rebuilds of journeys."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Identity, Index, SmallInteger, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from pathline.storage.schema.base import TIME, metadata

REBUILD_COUNTS = ("touchpoints", "placed", "noted", "applied", "changed", "earlier")

rebuild = Table(
    "rebuild",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("stages", Text, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
    Column("phase", Text, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("touched_at", TIME, nullable=False),
    Column("finished_at", TIME),
    Column("retained_since", TIME),
    Column("expected", BigInteger, nullable=False),
    *(Column(n, BigInteger, nullable=False, server_default=text("0")) for n in REBUILD_COUNTS),
    Column("worked_seconds", Double, nullable=False, server_default=text("0")),
    *(Column(name, Boolean, nullable=False, server_default=text("false")) for name in ("cancel", "others")),
    Column("positions", ARRAY(BigInteger), nullable=False),
    Column("week", Text),
    *(Column(name, Uuid) for name in ("subject", "touchpoint", "state")),
    Column("occurred_at", TIME),
)
"""Rebuilds of journeys, and how far each is; one at a time has no `finished_at`."""

rebuild_note = Table(
    "rebuild_note",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("told", JSON, nullable=False),
    Column("undone", JSON),
    Index("rebuild_note_id", "id"),
)
"""What a rebuild has read for a strand or a thing, until it is written; empty when none is under way."""

earlier_fact = Table(
    "earlier_fact",
    metadata,
    *(Column(name, kind, primary_key=True) for name, kind in (("id", Uuid()), ("name", Text()))),
    Column("stages", Text),
)
"""Facts that a rebuild left as an earlier stage file made them, as what told them is not kept any more."""
