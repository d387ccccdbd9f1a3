"""When each source was heard last, and how long it is silent at times."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: a new table, which it does not write."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS source_rhythm (
            source TEXT NOT NULL PRIMARY KEY,
            since TIMESTAMP WITH TIME ZONE NOT NULL,
            heard_at TIMESTAMP WITH TIME ZONE NOT NULL,
            longest_seconds DOUBLE PRECISION NOT NULL,
            looks BIGINT NOT NULL,
            silent_since TIMESTAMP WITH TIME ZONE
        )
    """)
