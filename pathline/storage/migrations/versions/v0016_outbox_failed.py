"""An index of the notices that were given up, so that they are counted without reading those that wait."""

from __future__ import annotations

from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass('outbox_failed') AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: the index is made beside it, and no write waits.

    What a run that was cut short left half made is dropped first.
    """
    with beside() as db:
        if db.execute(text(_INVALID)).scalar():
            db.execute(text("DROP INDEX CONCURRENTLY outbox_failed"))
        db.execute(
            text(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_failed ON outbox (endpoint) WHERE failed_at IS NOT NULL"
            )
        )
