"""Who belongs to which account."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: a new table, which it does not write."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS account_member (
            account_id UUID NOT NULL,
            identifier_id UUID NOT NULL,
            since TIMESTAMP WITH TIME ZONE NOT NULL,
            trusted BOOLEAN NOT NULL,
            PRIMARY KEY (account_id, identifier_id)
        )
    """)
    op.execute(
        "CREATE INDEX IF NOT EXISTS account_member_newest ON account_member"
        " (account_id, trusted DESC, since DESC, identifier_id)"
    )
    op.execute("CREATE INDEX IF NOT EXISTS account_member_identifier ON account_member (identifier_id)")
