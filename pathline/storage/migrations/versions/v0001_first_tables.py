"""The first tables."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEEN_PARTITIONS = 8

# Rows that are updated again and again leave room on their page, so that an update needs no index write (HOT).
STATEMENTS = (
    """
    CREATE TABLE alert (
        id UUID NOT NULL,
        detector TEXT NOT NULL,
        entity_id UUID NOT NULL,
        story_id UUID NOT NULL,
        namespace TEXT NOT NULL,
        entity_kind TEXT NOT NULL,
        entity_value TEXT NOT NULL,
        severity TEXT NOT NULL,
        state TEXT NOT NULL,
        title TEXT NOT NULL,
        ease TEXT NOT NULL,
        episode INTEGER NOT NULL,
        previous_id UUID,
        blind BOOLEAN DEFAULT false NOT NULL,
        why JSON NOT NULL,
        amount TEXT,
        currency TEXT,
        assignee TEXT,
        claimed_until TIMESTAMP WITH TIME ZONE,
        snoozed_until TIMESTAMP WITH TIME ZONE,
        opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
        resolved_at TIMESTAMP WITH TIME ZONE,
        resolution TEXT,
        revision BIGINT DEFAULT 1 NOT NULL,
        PRIMARY KEY (id)
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE INDEX alert_entity ON alert (entity_id)
    """,
    """
    CREATE INDEX alert_newest ON alert (opened_at DESC, id DESC)
    """,
    """
    CREATE UNIQUE INDEX alert_open_episode ON alert (detector, entity_id)
    WHERE state IN ('open', 'acknowledged', 'snoozed')
    """,
    """
    CREATE INDEX alert_state ON alert (state, opened_at DESC, id DESC)
    """,
    """
    CREATE INDEX alert_story ON alert (story_id)
    """,
    """
    CREATE TABLE alert_cause (
        detector TEXT NOT NULL,
        cause TEXT NOT NULL,
        alert_id UUID NOT NULL,
        PRIMARY KEY (detector, cause)
    )
    """,
    """
    CREATE INDEX alert_cause_alert ON alert_cause (alert_id)
    """,
    """
    CREATE TABLE alert_event (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        alert_id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        actor TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail JSON NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE INDEX alert_event_alert ON alert_event (alert_id, id)
    """,
    """
    CREATE TABLE dead_letter (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        "offset" BIGINT NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        key BYTEA,
        value BYTEA,
        headers JSON NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        replayed_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id),
        CONSTRAINT dead_letter_record UNIQUE (topic, partition, "offset")
    )
    """,
    """
    CREATE TABLE entity (
        id UUID NOT NULL,
        namespace TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        claimant_id UUID,
        claim JSON,
        order_id UUID,
        order_bond JSON,
        state JSON NOT NULL,
        revision BIGINT NOT NULL,
        fold_version SMALLINT NOT NULL,
        PRIMARY KEY (id)
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE INDEX entity_claimant ON entity (claimant_id) WHERE claimant_id IS NOT NULL
    """,
    """
    CREATE INDEX entity_order ON entity (order_id) WHERE order_id IS NOT NULL
    """,
    """
    CREATE TABLE fence (
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        epoch BIGINT NOT NULL,
        next_offset BIGINT NOT NULL,
        through TIMESTAMP WITH TIME ZONE NOT NULL,
        cluster_id TEXT NOT NULL,
        hints BYTEA,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE identifier (
        id UUID NOT NULL,
        namespace TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        strength SMALLINT NOT NULL,
        parent_id UUID,
        parent_trusted BOOLEAN,
        parent_at TIMESTAMP WITH TIME ZONE,
        pointer JSON,
        PRIMARY KEY (id)
    ) WITH (fillfactor = 90)
    """,
    """
    CREATE INDEX identifier_parent ON identifier (parent_id, strength, parent_at DESC) WHERE parent_id IS NOT NULL
    """,
    """
    CREATE TABLE outbox (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        endpoint TEXT NOT NULL,
        delivery_id TEXT NOT NULL,
        alert_id UUID NOT NULL,
        payload JSON NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        last_error TEXT,
        failed_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id),
        CONSTRAINT outbox_delivery UNIQUE (endpoint, delivery_id)
    )
    """,
    """
    CREATE INDEX outbox_pending ON outbox (endpoint, next_attempt_at) WHERE failed_at IS NULL
    """,
    """
    CREATE TABLE seen (
        id UUID NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id)
    )
     PARTITION BY HASH (id)
    """,
    """
    CREATE TABLE strand (
        id UUID NOT NULL,
        state JSON NOT NULL,
        revision BIGINT NOT NULL,
        fold_version SMALLINT NOT NULL,
        PRIMARY KEY (id)
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE TABLE touchpoint (
        subject UUID NOT NULL,
        occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
        id UUID NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        message_id TEXT NOT NULL,
        source TEXT NOT NULL,
        type TEXT NOT NULL,
        event TEXT NOT NULL,
        channel TEXT NOT NULL,
        stage TEXT,
        moment_of_truth BOOLEAN NOT NULL,
        historical BOOLEAN NOT NULL,
        partition INTEGER NOT NULL,
        "offset" BIGINT NOT NULL,
        entities UUID[] NOT NULL,
        body JSON NOT NULL
    )
     PARTITION BY RANGE (received_at)
    """,
    """
    CREATE INDEX touchpoint_subject ON touchpoint (subject, occurred_at, id)
    """,
    """
    CREATE TABLE user_join (
        a UUID NOT NULL,
        b UUID NOT NULL,
        bond JSON NOT NULL,
        PRIMARY KEY (a, b)
    )
    """,
    """
    CREATE INDEX user_join_b ON user_join (b)
    """,
    """
    CREATE TABLE watch (
        id UUID NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE,
        revision BIGINT DEFAULT 0 NOT NULL,
        PRIMARY KEY (id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE INDEX watch_due ON watch (due_at) WHERE due_at IS NOT NULL
    """,
    """
    CREATE TABLE write_key (
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        namespace TEXT NOT NULL,
        loopback_only BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        revoked_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (name),
        UNIQUE (key)
    )
    """,
    "CREATE TABLE touchpoint_rest PARTITION OF touchpoint DEFAULT",
)


def upgrade() -> None:
    """Forward only, and safe while the old version runs."""
    for statement in STATEMENTS:
        op.execute(statement)
    for remainder in range(SEEN_PARTITIONS):
        op.execute(
            f"CREATE TABLE seen_{remainder} PARTITION OF seen"
            f" FOR VALUES WITH (MODULUS {SEEN_PARTITIONS}, REMAINDER {remainder})"
        )
