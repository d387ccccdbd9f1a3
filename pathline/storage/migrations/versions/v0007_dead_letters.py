"""Who found a dead letter, whose it is, and whether the topic of dead letters knows it."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: it writes the columns that it names.

    Constant defaults change no row. The indexes hold up who writes a dead letter while they are made, which are
    moments: the table has what went wrong in a month. What it had before is told to the topic.
    """
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS stage TEXT DEFAULT 'stitcher' NOT NULL")
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS source TEXT")
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS namespace TEXT")
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS received_at TIMESTAMP WITH TIME ZONE")
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS size BIGINT")
    op.execute("ALTER TABLE dead_letter ADD COLUMN IF NOT EXISTS told_at TIMESTAMP WITH TIME ZONE")
    op.execute("CREATE INDEX IF NOT EXISTS dead_letter_untold ON dead_letter (id) WHERE told_at IS NULL")
    op.execute("CREATE INDEX IF NOT EXISTS dead_letter_age ON dead_letter (created_at)")
