"""What a write key may send beyond its kind, its secret before the last rotation, and the mark of a privacy signal."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: it reads and writes the columns that it names.

    Constant defaults change no row, so each statement holds its lock for an instant.
    """
    op.execute("ALTER TABLE write_key ADD COLUMN IF NOT EXISTS old_key TEXT")
    op.execute("ALTER TABLE write_key ADD COLUMN IF NOT EXISTS old_until TIMESTAMP WITH TIME ZONE")
    op.execute("ALTER TABLE write_key ADD COLUMN IF NOT EXISTS policy JSON DEFAULT '{}' NOT NULL")
    op.execute("ALTER TABLE touchpoint ADD COLUMN IF NOT EXISTS privacy_signal BOOLEAN DEFAULT false NOT NULL")
