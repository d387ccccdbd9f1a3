"""Kafka and PostgreSQL for a bench, on free ports at a home that is thrown away, and programs of ours beside them."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import psutil

from pathline.embedded import home as homes
from pathline.embedded.kafka import EmbeddedKafka
from pathline.embedded.part import Part
from pathline.embedded.postgres import EmbeddedPostgres
from pathline.embedded.processes import Child, Launch
from pathline.kit.topics import ensure_topics
from pathline.storage import migrate

ROOT: Final = Path(__file__).parents[2]
"""The checkout."""

POLL_SECONDS: Final = 0.05
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
PARTITIONS: Final = 4
POSTGRES: Final = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
"""What a server of its own has at least; the quick start's is that of a laptop on which much else runs."""


class Platform:
    """A running Kafka and a migrated PostgreSQL."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kafka = EmbeddedKafka(home, port=0, cache=homes.cache_directory(), progress=lambda *_: None)
        self.postgres = EmbeddedPostgres(home, POSTGRES)
        self._children: list[Child] = []

    @property
    def bootstrap(self) -> str:
        """The address of Kafka."""
        return self.kafka.address

    @property
    def dsn(self) -> str:
        """The URL of the database."""
        return self.postgres.dsn()

    async def start(self) -> None:
        """Start both and wait until they answer."""
        homes.prepare(self.home)
        for part in (self.kafka, self.postgres):
            await part.prepare()
            await self._start(part)
        await migrate.upgrade(self.dsn)

    async def _start(self, part: Part) -> None:
        child = self.run(part.name, part.launch())
        async with asyncio.timeout(part.start_seconds):
            while (reason := await part.unready()) is not None:
                if not child.running:
                    message = f"{part.name} ended: {reason}\n{child.last_words()}"
                    raise RuntimeError(message)
                await asyncio.sleep(POLL_SECONDS)

    def run(self, name: str, what: Launch) -> Child:
        """Start a process that ends with this platform."""
        child = Child(name, self.home)
        child.start(what)
        self._children.append(child)
        return child

    def pid(self, name: str) -> int:
        """The process of this name, which runs."""
        return next(child.pid for child in self._children if child.name == name and child.pid is not None)

    def python(self, name: str, module: str, *arguments: str, env: dict[str, str] | None = None) -> Child:
        """Start a program of ours."""
        given = {"PATHLINE_KAFKA": self.bootstrap, "PATHLINE_DATABASE_URL": self.dsn, **(env or {})}
        return self.run(name, Launch([sys.executable, "-m", module, *arguments], cwd=ROOT, env=given))

    def service(self, name: str, prefix: str, address: str) -> Child:
        """Start `pathline NAME` on topics of its own, listening on `address`."""
        setting = {"ingest": "COLLECTOR"}.get(name, name.upper())
        env = {f"PATHLINE_{setting}": address, "PATHLINE_TOPIC_PREFIX": prefix, "PATHLINE_LOG_LEVEL": "warning"}
        return self.python(f"{name}-{prefix}", "pathline.cli", name, env=env)

    async def topics(self, prefix: str) -> None:
        """Make the topics of Pathline under a prefix."""
        await ensure_topics(self.bootstrap, prefix=prefix, partitions=PARTITIONS, replicas=1)

    async def end(self, child: Child) -> None:
        """End one of the processes."""
        self._children.remove(child)
        await child.end(STOP_SECONDS)

    async def stop(self) -> None:
        """End all in the reverse of the order in which they were started."""
        for child in reversed(self._children):
            await child.end(STOP_SECONDS)


@asynccontextmanager
async def running() -> AsyncIterator[Platform]:
    """A platform that is there while the block runs, and leaves nothing."""
    home = Path(tempfile.mkdtemp(prefix="pathline-bench-"))
    platform = Platform(home)
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()
        shutil.rmtree(home, ignore_errors=True)


async def until_listening(child: Child, port: int) -> None:
    """Wait until a program of ours takes connections, itself and not one that shares its address.

    Raises:
        RuntimeError: it ended first.
        TimeoutError: it does not in START_SECONDS.
    """
    async with asyncio.timeout(START_SECONDS):
        while not _listens(child, port):
            if not child.running:
                message = f"{child.name} ended\n{child.last_words()}"
                raise RuntimeError(message)
            await asyncio.sleep(POLL_SECONDS)


def _listens(child: Child, port: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        listening = psutil.Process(child.pid).net_connections("tcp")
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in listening)
    return False


async def until_ready(child: Child, address: str) -> None:
    """Wait until a service says that it is ready. Raises as `until_listening` does."""
    await until_listening(child, int(address.rsplit(":", 1)[1]))
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
        while (await client.get(f"http://{address}/health/ready")).status_code != HTTPStatus.OK:
            await asyncio.sleep(POLL_SECONDS)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its children have used so far, in user and system mode."""
    process = psutil.Process(pid)
    spent = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            spent += times.user + times.system
    # A child that has ended is counted by its parent.
    ended = process.cpu_times()
    return spent + float(ended.children_user + ended.children_system)
