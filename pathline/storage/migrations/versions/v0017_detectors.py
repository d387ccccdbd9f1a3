"""Shadow episodes, the version of the detector that opened one, and the state of detectors."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from pathline.storage.migrations.beside import beside

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS detector (
        name TEXT PRIMARY KEY, mode TEXT NOT NULL, since TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        actor TEXT NOT NULL, origin TEXT NOT NULL, file TEXT, running BOOLEAN DEFAULT true NOT NULL, told JSON
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS detector_act (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        detector TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS detector_act_detector ON detector_act (detector, id)
    """,
    """
    CREATE TABLE IF NOT EXISTS detector_sweep (
        id SMALLINT PRIMARY KEY, rules TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL, done_to UUID,
        judged BIGINT DEFAULT 0 NOT NULL, finished_at TIMESTAMP WITH TIME ZONE, disturbed_at TIMESTAMP WITH TIME ZONE,
        owner UUID, leased_until TIMESTAMP WITH TIME ZONE, generation INTEGER DEFAULT 1 NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS scorer_process (
        id UUID PRIMARY KEY, instance TEXT NOT NULL, rules TEXT NOT NULL, faults JSON NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL
    )
    """,
)

# Read by the first column of a key, a step for each detector, however many causes there are.
_KNOWN = """
WITH RECURSIVE known (name) AS (
    (SELECT detector FROM alert_cause ORDER BY detector LIMIT 1)
  UNION ALL
    SELECT (SELECT c.detector FROM alert_cause c WHERE c.detector > k.name ORDER BY c.detector LIMIT 1)
    FROM known k WHERE k.name IS NOT NULL
)
INSERT INTO detector (name, mode, actor, origin, running)
SELECT name, 'live', 'pathline', 'upgrade', true FROM known WHERE name IS NOT NULL ON CONFLICT DO NOTHING
"""

_ALIVE = "state IN ('open', 'acknowledged', 'snoozed')"
_MADE = {
    "alert_shown": "(opened_at DESC, id DESC) WHERE NOT shadow",
    "alert_shown_state": "(state, opened_at DESC, id DESC) WHERE NOT shadow",
    "alert_shadow": "(opened_at DESC, id DESC) WHERE shadow",
    "alert_shadow_open": f"(detector, id) WHERE shadow AND {_ALIVE}",
    "alert_record": "(detector, opened_at DESC)",
}
_REPLACED = ("alert_newest", "alert_state")
_INVALID = "SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"


def upgrade() -> None:
    """Forward only, and safe while the old version runs: columns with a constant default, and tables it does not know.

    What alerted before goes on to alert: only what is first met from now on begins in shadow. Indexes are made
    beside who writes; what a run that was cut short left half made is dropped first. An old console sorts its lists
    until it is replaced, as the indexes of what is shown leave out what it does not know of.
    """
    op.execute(
        "ALTER TABLE alert ADD COLUMN IF NOT EXISTS shadow BOOLEAN DEFAULT false NOT NULL,"
        " ADD COLUMN IF NOT EXISTS detector_version INTEGER DEFAULT 1 NOT NULL"
    )
    for table in _TABLES:
        op.execute(table)
    op.execute(_KNOWN)
    with beside() as db:
        for name, columns in _MADE.items():
            if db.execute(text(_INVALID), {"name": name}).scalar():
                db.execute(text(f"DROP INDEX CONCURRENTLY {name}"))
            db.execute(text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON alert {columns}"))
        for name in _REPLACED:
            db.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
