"""The sender's own time of a touchpoint, where another one counts, and whether it was out of bounds."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: it reads and writes the columns that it names.

    No value and a constant default change no row, so each statement holds its lock for an instant.
    """
    op.execute("ALTER TABLE touchpoint ADD COLUMN IF NOT EXISTS told_at TIMESTAMP WITH TIME ZONE")
    op.execute("ALTER TABLE touchpoint ADD COLUMN IF NOT EXISTS clamped BOOLEAN DEFAULT false NOT NULL")
