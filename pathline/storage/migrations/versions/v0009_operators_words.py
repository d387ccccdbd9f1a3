"""What operators say of who is whom, and the history of it."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only, and safe while the old version runs: new tables, which it neither reads nor writes.

    Until it is replaced it shows people as touchpoints have them; it can undo nothing that an operator said.
    """
    op.execute(
        "CREATE TABLE IF NOT EXISTS operator_act ("
        " id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,"
        " kind TEXT NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL,"
        " subject_id UUID NOT NULL, other_id UUID, left_id UUID NOT NULL, joined_id UUID NOT NULL,"
        " takes_back BIGINT, inferred JSON, moved UUID[] NOT NULL, told_at TIMESTAMP WITH TIME ZONE)"
    )
    op.execute("CREATE INDEX IF NOT EXISTS operator_act_untold ON operator_act (id) WHERE told_at IS NULL")
    op.execute(
        "CREATE INDEX IF NOT EXISTS operator_act_taken_back ON operator_act (takes_back) WHERE takes_back IS NOT NULL"
    )
    op.execute("CREATE INDEX IF NOT EXISTS operator_act_moved ON operator_act USING gin (moved)")
    op.execute(
        "CREATE TABLE IF NOT EXISTS operator_link (child_id UUID PRIMARY KEY, parent_id UUID, act_id BIGINT NOT NULL)"
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS operator_link_parent ON operator_link (parent_id) WHERE parent_id IS NOT NULL"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS operator_join ("
        " a UUID NOT NULL, b UUID NOT NULL, act_id BIGINT NOT NULL, PRIMARY KEY (a, b))"
    )
    op.execute("CREATE INDEX IF NOT EXISTS operator_join_b ON operator_join (b)")
