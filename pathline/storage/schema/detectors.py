"""Detectors that run, what people decided of them, and how far a change has come through the stories."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from pathline.storage.schema.base import TIME, metadata

detector = Table(
    "detector",
    metadata,
    Column("name", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("since", TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("actor", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("file", Text),
    Column("running", Boolean, nullable=False, server_default=text("true")),
    Column("told", JSON),
)
"""Every detector that ever ran. `mode` is live or shadow: since when, by whose word, from where. `file` is its file's
name, empty for a built-in; `told` is what the file says, as the scorers run it."""

detector_act = Table(
    "detector_act",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("detector", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Index("detector_act_detector", "detector", "id"),
)
"""Append-only: what became of a detector, by whom. Kinds: live, shadow, changed, removed."""

detector_sweep = Table(
    "detector_sweep",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("rules", Text, nullable=False),
    Column("started_at", TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("done_to", Uuid),
    Column("judged", BigInteger, nullable=False, server_default=text("0")),
    Column("finished_at", TIME),
    Column("disturbed_at", TIME),
    Column("owner", Uuid),
    Column("leased_until", TIME),
    Column("generation", Integer, nullable=False, server_default=text("1")),
)
"""One row: the rules that count, and up to which story everything has been judged by them. `disturbed_at` is when a
scorer was last seen that judged by others."""

scorer_process = Table(
    "scorer_process",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("instance", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("faults", JSON, nullable=False),
    Column("seen_at", TIME, nullable=False),
)
"""Scorers, the rules that each judges by, and what is wrong with its files."""
