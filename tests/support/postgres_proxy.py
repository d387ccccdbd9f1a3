"""A way to PostgreSQL that is cut at COMMIT: before the server heard it, or after it did and before the client is told."""

from __future__ import annotations

import asyncio
import struct
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.support.proxy import Proxy, listening, until_one_ends

_LENGTH: Final = struct.Struct(">i")
_QUERY: Final = b"Q"
_COMMIT: Final = b"COMMIT;\0"
_READY: Final = b"Z"


class PostgresProxy(Proxy):
    """What stands before one server on a Unix socket. `cuts` may be raised while it runs."""

    def __init__(self, dsn: str) -> None:
        """Pass on to the server of `dsn`, whose host is a folder with a socket."""
        super().__init__()
        parts = urlsplit(dsn)
        self._parts = parts
        self._socket = str(Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432")
        self.cuts = 0
        """So many commits more are cut, by turns before the server and after it."""
        self.before = self.after = 0
        """How often that was so."""

    @property
    def dsn(self) -> str:
        """The URL of the same database by this way."""
        user = self._parts.netloc.partition("@")[0]
        return f"postgresql://{user}@127.0.0.1:{self.port}{self._parts.path}?sslmode=disable"

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass messages both ways."""
        answers, behind = await asyncio.open_unix_connection(self._socket)
        committed = asyncio.Event()
        await until_one_ends(behind, self._asking(reader, behind, committed), _answering(answers, writer, committed))

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


def before(dsn: str) -> AbstractAsyncContextManager[PostgresProxy]:
    """A proxy that is there while the block runs."""
    return listening(PostgresProxy(dsn))
