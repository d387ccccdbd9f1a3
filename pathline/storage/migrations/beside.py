"""Indexes that are made beside those who write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic import op
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def beside() -> Iterator[Connection]:
    """A connection outside a transaction and without lock timeout: for CREATE and DROP INDEX CONCURRENTLY alone."""
    with op.get_context().autocommit_block(), without_lock_timeout(op.get_bind()) as db:
        yield db


@contextmanager
def without_lock_timeout(db: Connection) -> Iterator[Connection]:
    """Let statements that say CONCURRENTLY wait.

    They wait for every older transaction in the database, be it of a backup, and nobody waits behind them. One that
    gave up after some seconds would throw away an index that took an hour.
    """
    before = db.execute(text("SHOW lock_timeout")).scalar()
    db.execute(text("SET lock_timeout = 0"))
    try:
        yield db
    finally:
        db.execute(text(f"SET lock_timeout = '{before}'"))
