"""A collector for a bench: one process on topics of its own, with a write key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
import psutil

from pathline.embedded.ports import free_port
from pathline.embedded.processes import Child
from pathline.storage import keys
from tests.bench.platform import Platform, until_ready

MEBIBYTE: Final = 1_048_576


class Served(NamedTuple):
    """A collector that is ready, and the server key that it takes."""

    child: Child
    port: int
    key: str

    def mebibytes(self) -> float:
        """What it has in memory now."""
        assert self.child.pid is not None
        return float(psutil.Process(self.child.pid).memory_info().rss) / MEBIBYTE


@asynccontextmanager
async def collector(platform: Platform, prefix: str, env: Mapping[str, str]) -> AsyncIterator[Served]:
    """`pathline ingest` under this prefix, with these settings, while the block runs."""
    await platform.topics(prefix)
    key = f"{prefix}-key"
    db = await asyncpg.connect(platform.dsn)
    try:
        await keys.create(db, name=prefix, key=key, kind="server")
    finally:
        await db.close()
    port = free_port()
    address = f"127.0.0.1:{port}"
    own = {"PATHLINE_COLLECTOR": address, "PATHLINE_TOPIC_PREFIX": prefix, "PATHLINE_LOG_LEVEL": "warning"}
    child = platform.python(f"ingest-{prefix}", "pathline.cli", "ingest", env={**own, **env})
    await until_ready(child, address)
    try:
        yield Served(child, port, key)
    finally:
        await platform.end(child)
