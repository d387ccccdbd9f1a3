"""An index of the mailboxes that a parent keeps, by the kind of key that said so."""

from __future__ import annotations

from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass('identifier_mailbox') AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: the index is made beside it, and no write waits.

    What a run that was cut short left half made is dropped first.
    """
    with beside() as db:
        if db.execute(text(_INVALID)).scalar():
            db.execute(text("DROP INDEX CONCURRENTLY identifier_mailbox"))
        db.execute(
            text(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS identifier_mailbox ON identifier (parent_id, parent_trusted)"
                " WHERE parent_id IS NOT NULL AND strength IN (1, 2)"
            )
        )
