"""What an account is called, beside who belongs to it; and an index of the accounts of one name, up to a limit."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass('account_member_of') AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: it writes rows without the column, and reads neither.

    Who is told of again gets the name; until then it is read off what is remembered of each strand.
    """
    op.execute("ALTER TABLE account_member ADD COLUMN IF NOT EXISTS account TEXT")
    with beside() as db:
        if db.execute(text(_INVALID)).scalar():
            db.execute(text("DROP INDEX CONCURRENTLY account_member_of"))
        db.execute(
            text(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS account_member_of ON account_member"
                " (identifier_id, trusted DESC, since DESC, account_id)"
            )
        )
        db.execute(text("DROP INDEX CONCURRENTLY IF EXISTS account_member_identifier"))
