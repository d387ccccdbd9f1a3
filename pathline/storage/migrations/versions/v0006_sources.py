"""Sources of webhooks: which provider sends to which address, and the secret that it signs with."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: a new table."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS webhook_source (
            name TEXT NOT NULL PRIMARY KEY,
            provider TEXT NOT NULL,
            secret TEXT NOT NULL,
            old_secret TEXT,
            old_until TIMESTAMP WITH TIME ZONE,
            namespace TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            revoked_at TIMESTAMP WITH TIME ZONE
        )
    """)
