"""Rebuilds of journeys: how far one is, what it has read and not yet written, and which stage files stitchers run."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: new tables, which it neither reads nor writes."""
    op.execute(
        "CREATE TABLE IF NOT EXISTS rebuild ("
        " id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stages TEXT NOT NULL, fold_version SMALLINT NOT NULL,"
        " phase TEXT NOT NULL, started_at TIMESTAMP WITH TIME ZONE NOT NULL,"
        " touched_at TIMESTAMP WITH TIME ZONE NOT NULL,"
        " finished_at TIMESTAMP WITH TIME ZONE, retained_since TIMESTAMP WITH TIME ZONE, expected BIGINT NOT NULL,"
        " touchpoints BIGINT DEFAULT 0 NOT NULL, placed BIGINT DEFAULT 0 NOT NULL, noted BIGINT DEFAULT 0 NOT NULL,"
        " applied BIGINT DEFAULT 0 NOT NULL, changed BIGINT DEFAULT 0 NOT NULL, earlier BIGINT DEFAULT 0 NOT NULL,"
        " worked_seconds DOUBLE PRECISION DEFAULT 0 NOT NULL, cancel BOOLEAN DEFAULT false NOT NULL,"
        " others BOOLEAN DEFAULT false NOT NULL, positions BIGINT[] NOT NULL,"
        " week TEXT, subject UUID, occurred_at TIMESTAMP WITH TIME ZONE,"
        " touchpoint UUID, state UUID) WITH (fillfactor = 50)"
    )
    op.execute("CREATE TABLE IF NOT EXISTS rebuild_note (id UUID NOT NULL, told JSON NOT NULL, undone JSON)")
    op.execute("CREATE INDEX IF NOT EXISTS rebuild_note_id ON rebuild_note (id)")
    op.execute(
        "CREATE TABLE IF NOT EXISTS earlier_fact (id UUID NOT NULL, name TEXT NOT NULL, stages TEXT,"
        " PRIMARY KEY (id, name))"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS stitcher_process (id UUID PRIMARY KEY, stages TEXT NOT NULL,"
        " fold_version SMALLINT NOT NULL, seen_at TIMESTAMP WITH TIME ZONE NOT NULL)"
    )
