"""An index by which what is too old is found in `seen`, and vacuum that keeps up with rows that are only added."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from pathline.storage.migrations.beside import without_lock_timeout

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_PARTITIONS = """
SELECT child.relname FROM pg_inherits AS part JOIN pg_class AS child ON child.oid = part.inhrelid
WHERE part.inhparent = '{table}'::regclass AND child.relkind = 'r' ORDER BY child.relname
"""
_INDEXED = """
SELECT index.indisvalid FROM pg_index AS index WHERE index.indexrelid = to_regclass(:index)
"""
_ATTACHED = "SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass(:index)"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: indexes are made beside who writes, settings change no row.

    A block range index has a line for 128 pages, so an insert pays next to nothing for it. A run that was cut short
    goes on where it was; an index that it left half made is made anew.
    """
    with op.get_context().autocommit_block():
        db = op.get_bind()
        with_summaries = "USING brin (received_at) WITH (autosummarize = on)"
        db.execute(text(f"CREATE INDEX IF NOT EXISTS seen_received ON ONLY seen {with_summaries}"))
        for (partition,) in db.execute(text(_PARTITIONS.format(table="seen"))).all():
            index = f"{partition}_received"
            if db.execute(text(_INDEXED), {"index": index}).scalar() is False:
                db.execute(text(f'DROP INDEX "{index}"'))
            with without_lock_timeout(db):
                db.execute(text(f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{index}" ON "{partition}" {with_summaries}'))
            if not db.execute(text(_ATTACHED), {"index": index}).scalar():
                db.execute(text(f'ALTER INDEX seen_received ATTACH PARTITION "{index}"'))
            db.execute(text(f'ALTER TABLE "{partition}" SET (autovacuum_freeze_min_age = 0)'))
        for (partition,) in db.execute(text(_PARTITIONS.format(table="touchpoint"))).all():
            db.execute(text(f'ALTER TABLE "{partition}" SET (autovacuum_freeze_min_age = 0)'))
