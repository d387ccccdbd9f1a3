"""A way to PostgreSQL that is cut at COMMIT: before the server heard it, or after it did and before the client is told."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

_LENGTH: Final = struct.Struct(">i")
_QUERY: Final = b"Q"
_COMMIT: Final = b"COMMIT;\0"
_READY: Final = b"Z"


class PostgresProxy:
    """What stands before one server on a Unix socket. `cuts` may be raised while it runs."""

    def __init__(self, dsn: str) -> None:
        """Pass on to the server of `dsn`, whose host is a folder with a socket."""
        parts = urlsplit(dsn)
        self._parts = parts
        self._socket = str(Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432")
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.cuts = 0
        """So many commits more are cut, by turns before the server and after it."""
        self.before = self.after = 0
        """How often that was so."""

    @property
    def dsn(self) -> str:
        """The URL of the same database by this way."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._parts.netloc.partition("@")[0]
        return f"postgresql://{user}@127.0.0.1:{port}{self._parts.path}?sslmode=disable"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)

    async def close(self) -> None:
        """End, with every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._pass_on(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, behind = await asyncio.open_unix_connection(self._socket)
        committed = asyncio.Event()
        tasks = [
            asyncio.create_task(self._asking(reader, behind, committed)),
            asyncio.create_task(_answering(answers, writer, committed)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            behind.close()

    async def _asking(
        self, reader: asyncio.StreamReader, behind: asyncio.StreamWriter, committed: asyncio.Event
    ) -> None:
        head = await reader.readexactly(_LENGTH.size)  # the first message has no kind
        behind.write(head + await reader.readexactly(_LENGTH.unpack(head)[0] - _LENGTH.size))
        while True:
            kind = await reader.readexactly(1)
            head = await reader.readexactly(_LENGTH.size)
            body = await reader.readexactly(_LENGTH.unpack(head)[0] - _LENGTH.size)
            if kind == _QUERY and body == _COMMIT and self.cuts:
                self.cuts -= 1
                if self.before <= self.after:
                    self.before += 1
                    return
                self.after += 1
                committed.set()
            behind.write(kind + head + body)
            await behind.drain()


async def _answering(answers: asyncio.StreamReader, writer: asyncio.StreamWriter, committed: asyncio.Event) -> None:
    """Give answers to the client; once it commits, wait for the answer to that and keep it."""
    while True:
        kind = await answers.readexactly(1)
        head = await answers.readexactly(_LENGTH.size)
        body = await answers.readexactly(_LENGTH.unpack(head)[0] - _LENGTH.size)
        if not committed.is_set():
            writer.write(kind + head + body)
            await writer.drain()
        elif kind == _READY:
            return


@asynccontextmanager
async def before(dsn: str) -> AsyncIterator[PostgresProxy]:
    """A proxy that is there while the block runs."""
    proxy = PostgresProxy(dsn)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
