"""Which topic a partition was read from: one that was made anew has the same name."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: no row changes; the next owner of each notes it."""
    op.execute("ALTER TABLE fence ADD COLUMN IF NOT EXISTS topic_id UUID")
