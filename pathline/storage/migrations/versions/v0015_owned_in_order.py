"""Indexes by which what a till owns, and the parts of an order, are read up to a limit, however many there are."""

from __future__ import annotations

from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_MADE = {
    "entity_claimed": "(claimant_id, (kind = 'order') DESC, id) WHERE claimant_id IS NOT NULL",
    "entity_part": "(order_id, id) WHERE order_id IS NOT NULL",
}
_REPLACED = ("entity_claimant", "entity_order")
_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: what it read by the old indexes it reads by the new ones.

    They are made beside it, and no write waits. What a run that was cut short left half made is dropped first.
    """
    with beside() as db:
        for name, columns in _MADE.items():
            if db.execute(text(_INVALID), {"name": name}).scalar():
                db.execute(text(f"DROP INDEX CONCURRENTLY {name}"))
            db.execute(text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON entity {columns}"))
        for name in _REPLACED:
            db.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
