"""What the parts need before the services start: migrations, topics, the demo's write keys."""

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from pathline.demo import credentials
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit import kafka
from pathline.kit.topics import ensure_topics
from pathline.storage import fences, keys, migrate

DEMO_KEYS: tuple[tuple[str, keys.Kind], ...] = (("demo", "server"), ("demo-web", "browser"))
"""Known to everyone, and therefore refused from any other machine."""
SHOP_KEYS: tuple[tuple[str, keys.Kind], ...] = (
    (credentials.SERVER_KEY, "server"),
    (credentials.BROWSER_KEY, "browser"),
)
"""The demo shop's own, in its own namespace; as widely known, as narrowly taken."""


async def prepare_database(dsn: str, *, demo: bool = False) -> str:
    """Migrate, add the keys, with `demo` its shop's too; returns the version of the tables. Raises TroubleError."""
    version = await migrated(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            for name, kind in DEMO_KEYS:
                await keys.create(connection, name=name, key=name, kind=kind, loopback_only=True)
            for name, kind in SHOP_KEYS if demo else ():
                space = credentials.NAMESPACE
                await keys.create(connection, name=name, key=name, kind=kind, namespace=space, loopback_only=True)
    finally:
        await connection.close()
    return version


async def migrated(dsn: str) -> str:
    """Migrate; returns the version of the tables. Raises TroubleError."""
    try:
        return await migrate.upgrade(dsn)
    except (migrate.SchemaError, CommandError) as refused:
        raise TroubleError(
            Code.OTHER_VERSION,
            f"The database is of a version unknown here: {refused}. A newer Pathline wrote it: use that.",
        ) from refused
    except DBAPIError as problem:
        raise TroubleError(
            Code.NOT_REACHABLE, f"The database cannot be brought up to date: {problem.orig}."
        ) from problem


async def check_cluster(dsn: str, bootstrap: str) -> None:
    """Raise TroubleError when the database was written from another Kafka: its offsets would mean nothing."""
    found = await kafka.cluster_id(bootstrap)
    connection = await asyncpg.connect(dsn)
    try:
        written_from = await fences.cluster_ids(connection)
    finally:
        await connection.close()
    if written_from and found not in written_from:
        raise TroubleError(
            Code.OTHER_CLUSTER,
            f"The database was written from another Kafka ({', '.join(written_from)}) than the one at {bootstrap} "
            f"({found}): what it has read there means nothing here. Bring that Kafka's data back, "
            "or begin anew with an empty database too.",
        )


async def prepare_topics(bootstrap: str, *, prefix: str, partitions: int, replicas: int) -> list[str]:
    """Make the topics that are missing; returns their names."""
    return await ensure_topics(bootstrap, prefix=prefix, partitions=partitions, replicas=replicas)
