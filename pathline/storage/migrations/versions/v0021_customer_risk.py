"""Whose alerts changed, and customers whose alerts add up until some instant."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: two new tables, which it does not write.

    What it alerts meanwhile is looked at when the detectors of the new version have every story judged again.
    """
    op.execute("""
        CREATE TABLE IF NOT EXISTS risk_look (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            entity_id UUID NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS customer_risk (
            id UUID NOT NULL PRIMARY KEY,
            due_at TIMESTAMP WITH TIME ZONE
        )
    """)
    op.execute("CREATE INDEX IF NOT EXISTS customer_risk_due ON customer_risk (due_at) WHERE due_at IS NOT NULL")
