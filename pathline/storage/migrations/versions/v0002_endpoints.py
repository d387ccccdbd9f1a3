"""Endpoints that alerts are delivered to, and whether one is switched off."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: a new table."""
    op.execute("""
        CREATE TABLE endpoint (
            name TEXT NOT NULL PRIMARY KEY,
            address TEXT NOT NULL,
            disabled_at TIMESTAMP WITH TIME ZONE,
            reason TEXT
        )
    """)
    # The console is always there: it is fed through the alerts topic.
    op.execute("INSERT INTO endpoint (name, address) VALUES ('console', 'kafka')")
