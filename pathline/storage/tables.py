"""The tables, as the statements of this package expect them. Migrations make them; a test holds the two together.

Ids of names (strand, entity, identifier) and of touchpoints are hashes (pathline.domain.identifiers).
Columns of type json hold what the domain encodes; they are text to PostgreSQL on purpose: nothing
queries inside them, and text costs less to write than jsonb.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData()

_TIME = DateTime(timezone=True)

write_key = Table(
    "write_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("loopback_only", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", _TIME, nullable=False, server_default=text("now()")),
    Column("revoked_at", _TIME),
    Column("old_key", Text),
    Column("old_until", _TIME),
    Column("policy", JSON, nullable=False, server_default=text("'{}'")),
)

webhook_source = Table(
    "webhook_source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_until", _TIME),
    Column("namespace", Text, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=text("now()")),
    Column("revoked_at", _TIME),
)

fence = Table(
    "fence",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("through", _TIME, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("hints", LargeBinary),
    Column("topic_id", Uuid),
)
"""One row a partition: who owns it (epoch), how far it is read, and the hints of the last batch until they are sent."""

seen = Table(
    "seen",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("received_at", _TIME, nullable=False),
    Index("seen_received", "received_at", postgresql_using="brin"),
    postgresql_partition_by="HASH (id)",
)
"""Touchpoints that were counted. Hash-partitioned, so that a client's retry with another time still meets itself."""

touchpoint = Table(
    "touchpoint",
    metadata,
    Column("subject", Uuid, nullable=False),
    Column("occurred_at", _TIME, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("received_at", _TIME, nullable=False),
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
    Column("told_at", _TIME),
    Column("clamped", Boolean, nullable=False, server_default=text("false")),
    Index("touchpoint_subject", "subject", "occurred_at", "id"),
    Index("touchpoint_received", "received_at", postgresql_using="brin"),
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
    Column("parent_at", _TIME),
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
    Column("since", _TIME, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Index("account_member_newest", "account_id", text("trusted DESC"), text("since DESC"), "identifier_id"),
    Index("account_member_identifier", "identifier_id"),
)
"""Who belongs to which account: a strand, since when, and whether a server has said so."""

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
    Column("created_at", _TIME, nullable=False, server_default=text("now()")),
    Column("replayed_at", _TIME),
    Column("stage", Text, nullable=False, server_default=text("'stitcher'")),
    Column("source", Text),
    Column("namespace", Text),
    Column("received_at", _TIME),
    Column("size", BigInteger),
    Column("told_at", _TIME),
    UniqueConstraint("topic", "partition", "offset", name="dead_letter_record"),
    Index("dead_letter_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("dead_letter_age", "created_at"),
)
"""What could not be used. `told_at` is empty until the topic of dead letters has it."""

watch = Table(
    "watch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("due_at", _TIME),
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
    Column("claimed_until", _TIME),
    Column("snoozed_until", _TIME),
    Column("opened_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("resolved_at", _TIME),
    Column("resolution", Text),
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    Index(
        "alert_open_episode",
        "detector",
        "entity_id",
        unique=True,
        postgresql_where=text("state IN ('open', 'acknowledged', 'snoozed')"),
    ),
    Index("alert_newest", text("opened_at DESC"), text("id DESC")),
    Index("alert_state", "state", text("opened_at DESC"), text("id DESC")),
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
    Column("at", _TIME, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("alert_event_alert", "alert_id", "id"),
)
"""Append-only: who did what to an alert, and when."""

endpoint = Table(
    "endpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("disabled_at", _TIME),
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
    Column("created_at", _TIME, nullable=False),
    Column("next_attempt_at", _TIME, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("failed_at", _TIME),
    UniqueConstraint("endpoint", "delivery_id", name="outbox_delivery"),
    Index("outbox_pending", "endpoint", "next_attempt_at", postgresql_where=text("failed_at IS NULL")),
    Index("outbox_failed", "endpoint", postgresql_where=text("failed_at IS NOT NULL")),
    Index("outbox_alert", "endpoint", "alert_id", "id", postgresql_where=text("failed_at IS NULL")),
)
"""What is to be delivered, written in the transaction of the alert. A delivered row is deleted."""

operator_act = Table(
    "operator_act",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _TIME, nullable=False, server_default=text("clock_timestamp()")),
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
    Column("told_at", _TIME),
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

REBUILD_COUNTS = ("touchpoints", "placed", "noted", "applied", "changed", "earlier")

rebuild = Table(
    "rebuild",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("stages", Text, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
    Column("phase", Text, nullable=False),
    Column("started_at", _TIME, nullable=False),
    Column("touched_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    Column("retained_since", _TIME),
    Column("expected", BigInteger, nullable=False),
    *(Column(n, BigInteger, nullable=False, server_default=text("0")) for n in REBUILD_COUNTS),
    Column("worked_seconds", Double, nullable=False, server_default=text("0")),
    *(Column(name, Boolean, nullable=False, server_default=text("false")) for name in ("cancel", "others")),
    Column("positions", ARRAY(BigInteger), nullable=False),
    Column("week", Text),
    *(Column(name, Uuid) for name in ("subject", "touchpoint", "state")),
    Column("occurred_at", _TIME),
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

stitcher_process = Table(
    "stitcher_process",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("stages", Text, nullable=False),
    Column("fold_version", SmallInteger, nullable=False),
    Column("seen_at", _TIME, nullable=False),
)
"""Stitchers, and the stage file that each runs: a rebuild waits for the last of another one to leave."""
