"""What the ways with faults have in common: connections taken on a free port of loopback, and passed on while they last."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar


class Proxy(ABC):
    """Stands before one server."""

    def __init__(self) -> None:
        """Take no connections yet."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    @abstractmethod
    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until either end closes, or it is to be cut."""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

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
                await self.pass_on(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()


AnyProxy = TypeVar("AnyProxy", bound=Proxy)


@asynccontextmanager
async def listening(proxy: AnyProxy) -> AsyncIterator[AnyProxy]:
    """A proxy that is there while the block runs."""
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()


async def until_one_ends(behind: asyncio.StreamWriter, *ways: Coroutine[Any, Any, None]) -> None:
    """Go these ways until one of them ends; then the others end, and the connection `behind` the proxy."""
    tasks = [asyncio.create_task(one) for one in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        behind.close()
