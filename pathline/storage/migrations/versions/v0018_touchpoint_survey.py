"""An index of the touchpoints that are answers to surveys: it grows with them alone."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_WHAT = "(received_at) WHERE event = 'Survey Answered'"
_UNINDEXED = """
SELECT child.relname FROM pg_inherits AS partition JOIN pg_class AS child ON child.oid = partition.inhrelid
WHERE partition.inhparent = 'touchpoint'::regclass AND NOT EXISTS (
    SELECT FROM pg_inherits AS part JOIN pg_index AS index ON index.indexrelid = part.inhrelid
    WHERE part.inhparent = 'touchpoint_survey'::regclass AND index.indrelid = child.oid
)
ORDER BY child.relname
"""
_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: each week is indexed beside those who write.

    A run that was cut short goes on where it was, and drops first what it left half made.
    """
    with op.get_context().autocommit_block():
        op.get_bind().execute(text(f"CREATE INDEX IF NOT EXISTS touchpoint_survey ON ONLY touchpoint {_WHAT}"))
    with beside() as db:
        for (partition,) in db.execute(text(_UNINDEXED)).all():
            index = f"{partition}_survey"
            if db.execute(text(_INVALID), {"name": index}).scalar():
                db.execute(text(f'DROP INDEX CONCURRENTLY "{index}"'))
            db.execute(text(f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{index}" ON "{partition}" {_WHAT}'))
    with op.get_context().autocommit_block():
        db = op.get_bind()
        for (partition,) in db.execute(text(_UNINDEXED)).all():
            db.execute(text(f'ALTER INDEX touchpoint_survey ATTACH PARTITION "{partition}_survey"'))
