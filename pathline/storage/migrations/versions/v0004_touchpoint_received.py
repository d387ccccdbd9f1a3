"""An index by which the map of a window reads only that part of a week's touchpoints."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UNINDEXED = """
SELECT child.relname FROM pg_inherits AS partition JOIN pg_class AS child ON child.oid = partition.inhrelid
WHERE partition.inhparent = 'touchpoint'::regclass AND NOT EXISTS (
    SELECT FROM pg_inherits AS part JOIN pg_index AS index ON index.indexrelid = part.inhrelid
    WHERE part.inhparent = 'touchpoint_received'::regclass AND index.indrelid = child.oid
)
ORDER BY child.relname
"""


def upgrade() -> None:
    """Forward only, and safe while the old version runs: nothing is locked longer than one partition takes to be read.

    Rows come in the order of `received_at`, so a block range index finds a window in pages of which a whole week has a
    few; to keep it costs an insert nothing to speak of. Each partition is indexed in a transaction of its own, and a
    run that was cut short goes on where it was.
    """
    with op.get_context().autocommit_block():
        db = op.get_bind()
        db.execute(text("CREATE INDEX IF NOT EXISTS touchpoint_received ON ONLY touchpoint USING brin (received_at)"))
        for (partition,) in db.execute(text(_UNINDEXED)).all():
            index = f"{partition}_received"
            db.execute(text(f'CREATE INDEX IF NOT EXISTS "{index}" ON "{partition}" USING brin (received_at)'))
            db.execute(text(f'ALTER INDEX touchpoint_received ATTACH PARTITION "{index}"'))
