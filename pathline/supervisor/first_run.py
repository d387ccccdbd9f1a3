"""What the parts need before the services start: the API token, migrations, topics, the demo's write keys."""

import os
import secrets
from pathlib import Path

import asyncpg

from pathline.kit.topics import ensure_topics
from pathline.storage import keys, migrate

CREDENTIAL_FILE = "api-token"
DEMO_KEYS: tuple[tuple[str, keys.Kind], ...] = (("demo", "server"), ("demo-web", "browser"))
"""Known to everyone, and therefore refused from any other machine."""


def api_token(home: Path) -> str:
    """The token of the console's API, made at the first start: one bare line, for this user's eyes only."""
    path = home / CREDENTIAL_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return path.read_text(encoding="utf-8").strip()
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    return token


async def prepare_database(dsn: str) -> str:
    """Migrate, add the demo's keys; returns the version of the tables."""
    version = await migrate.upgrade(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            for name, kind in DEMO_KEYS:
                await keys.create(connection, name=name, key=name, kind=kind, loopback_only=True)
    finally:
        await connection.close()
    return version


async def prepare_topics(bootstrap: str, *, prefix: str, partitions: int, replicas: int) -> list[str]:
    """Make the topics that are missing; returns their names."""
    return await ensure_topics(bootstrap, prefix=prefix, partitions=partitions, replicas=replicas)
