"""An index by which the first notice of each alert is found, however many wait for an endpoint that is down."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: the outbox is short, so its index is made at once."""
    op.execute("CREATE INDEX outbox_alert ON outbox (endpoint, alert_id, id) WHERE failed_at IS NULL")
