"""Alembic's entry: runs the versions on the connection that `pathline.storage.migrate` gives it."""

from __future__ import annotations

from alembic import context

from pathline.storage.migrate import compared
from pathline.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, include_object=compared, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
