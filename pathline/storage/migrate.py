"""Bringing the database up to date: forward only, one process at a time, never waiting long for a lock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pathline.storage.tables import metadata

ADVISORY_LOCK: Final = 0x9A7B11E
"""Key of the lock under which migrations run, so that two that start together do not race."""

TURN_SECONDS: Final = 0.1
"""How often it is asked whether whoever migrates is done."""

LOCK_TIMEOUT: Final = "5s"
"""A migration that can't get a lock in this time fails, rather than queue every statement behind it."""


class SchemaError(Exception):
    """The database is not at the version that this code was written for."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def head() -> str:
    """The version that this code expects."""
    version = ScriptDirectory.from_config(_config()).get_current_head()
    if version is None:
        message = "there are no migrations"
        raise SchemaError(message)
    return version


def compared(_object: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:  # noqa: FBT001
    """Whether the drift check looks at a table: partitions and Alembic's own table are no part of the model."""
    return not (kind == "table" and reflected and name is not None and name not in metadata.tables)


async def upgrade(dsn: str) -> str:
    """Migrate the database at `dsn` (postgresql://...) to the newest version and return that version."""
    engine = create_async_engine(_async_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
    return head()


async def current(dsn: str) -> str | None:
    """The version of the database at `dsn`, or None for one never migrated."""
    engine = create_async_engine(_async_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    finally:
        await engine.dispose()


async def drift(dsn: str) -> list[Any]:
    """What differs between the migrated database and the tables of the code; empty when nothing does."""
    engine = create_async_engine(_async_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compare)
    finally:
        await engine.dispose()


def _compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"include_object": compared})
    return list(compare_metadata(context, metadata))


def _upgrade(connection: Connection) -> None:
    _wait_for_turn(connection)
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    try:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()


def _wait_for_turn(connection: Connection) -> None:
    """Take the lock, asking again and again: CREATE INDEX CONCURRENTLY of the holder waits for statements that wait."""
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}).scalar():
        connection.commit()
        time.sleep(TURN_SECONDS)


def _async_url(dsn: str) -> str:
    scheme, rest = dsn.split("://", 1)
    if scheme not in {"postgresql", "postgres"}:
        message = f"{scheme}:// is not a PostgreSQL address"
        raise SchemaError(message)
    return f"postgresql+asyncpg://{rest}"
