"""What is read, and how far: fences, what was counted, dead letters, and the stitchers at work."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from pathline.storage.schema.base import TIME, metadata

fence = Table(
    "fence",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("through", TIME, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("hints", LargeBinary),
    Column("topic_id", Uuid),
)
"""One row a partition: who owns it (epoch), how far it is read, and the hints of the last batch until they are sent."""

seen = Table(
    "seen",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("received_at", TIME, nullable=False),
    Index("seen_received", "received_at", postgresql_using="brin"),
    postgresql_partition_by="HASH (id)",
)
"""Touchpoints that were counted. Hash-partitioned, so that a client's retry with another time still meets itself."""

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", JSON, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=text("now()")),
    Column("replayed_at", TIME),
    Column("stage", Text, nullable=False, server_default=text("'stitcher'")),
    Column("source", Text),
    Column("namespace", Text),
    Column("received_at", TIME),
    Column("size", BigInteger),
    Column("told_at", TIME),
    UniqueConstraint("topic", "partition", "offset", name="dead_letter_record"),
    Index("dead_letter_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("dead_letter_age", "created_at"),
)
"""What could not be used. `told_at` is empty until the topic of dead letters has it."""

stitcher_process = Table(
    "stitcher_process",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("stages", Text, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
    Column("seen_at", TIME, nullable=False),
)
"""Stitchers, and the stage file that each runs: a rebuild waits for the last of another one to leave."""

source_rhythm = Table(
    "source_rhythm",
    metadata,
    Column("source", Text, primary_key=True),
    Column("since", TIME, nullable=False),
    Column("heard_at", TIME, nullable=False),
    Column("longest_seconds", Double, nullable=False),
    Column("looks", BigInteger, nullable=False),
    Column("silent_since", TIME),
)
"""When each source of touchpoints was heard last, how long it is silent at times, and since when it is for too long."""
