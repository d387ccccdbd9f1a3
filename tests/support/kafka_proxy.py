"""A way to Kafka that has faults: frame by frame, so that an answer can be late, lost or a lie while the broker is real.

A client finds the brokers' addresses in the answers; they are exchanged there, so that all of its traffic comes this way.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import AbstractAsyncContextManager
from typing import Final

from pathline.kit.settings import split_address
from tests.support.proxy import Proxy, listening, until_one_ends

PRODUCE: Final = 0
"""The API key of a write."""

_LENGTH: Final = struct.Struct(">i")
_API_AND_ID: Final = struct.Struct(">hhi")
_HOST: Final = b"127.0.0.1"


class KafkaProxy(Proxy):
    """What stands before one broker on loopback. The faults are attributes, and may change while it runs."""

    def __init__(self, bootstrap: str) -> None:
        """Pass on to `bootstrap`."""
        super().__init__()
        _, self._upstream = split_address(bootstrap)
        self.delay_seconds = 0.0
        """Every answer is given so late."""
        self.lose_answers = 0
        """So many writes more are done, and the connection is cut in place of the answer."""
        self.swallow = 0
        """So many writes more are never done, and answered as the one before them was."""
        self.lost = self.swallowed = 0
        """How often that was so."""

    @property
    def address(self) -> str:
        """What clients are given as bootstrap."""
        return f"127.0.0.1:{self.port}"

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass frames both ways."""
        await _Line(self, reader, writer).run(self._upstream)

    def here(self, frame: bytes) -> bytes:
        """An answer with this proxy's address in the place of the broker's."""
        return frame.replace(_HOST + _LENGTH.pack(self._upstream), _HOST + _LENGTH.pack(self.port))


class _Line:
    """One connection of a client, and the one to the broker behind it."""

    def __init__(self, proxy: KafkaProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._writes: set[int] = set()
        self._last_written = b""
        self._answers: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def run(self, port: int) -> None:
        """Pass frames both ways until either end closes."""
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", port)
        await until_one_ends(behind, self._asking(behind), self._answering(behind_reader), self._giving())

    async def _asking(self, behind: asyncio.StreamWriter) -> None:
        while True:
            frame = await _frame(self._reader)
            api, _version, number = _API_AND_ID.unpack_from(frame)
            if api == PRODUCE and self._proxy.swallow and self._last_written:
                self._proxy.swallow -= 1
                self._proxy.swallowed += 1
                self._give(_LENGTH.pack(number) + self._last_written)
                continue
            if api == PRODUCE:
                self._writes.add(number)
            behind.write(_LENGTH.pack(len(frame)) + frame)
            await behind.drain()

    async def _answering(self, behind: asyncio.StreamReader) -> None:
        while True:
            frame = await _frame(behind)
            (number,) = _LENGTH.unpack_from(frame)
            if number in self._writes:
                self._writes.discard(number)
                if self._proxy.lose_answers:
                    self._proxy.lose_answers -= 1
                    self._proxy.lost += 1
                    return
                self._last_written = frame[_LENGTH.size :]
            self._give(self._proxy.here(frame))

    def _give(self, frame: bytes) -> None:
        self._answers.put_nowait((asyncio.get_running_loop().time() + self._proxy.delay_seconds, frame))

    async def _giving(self) -> None:
        while True:
            due, frame = await self._answers.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            self._writer.write(_LENGTH.pack(len(frame)) + frame)
            await self._writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)


def before(bootstrap: str) -> AbstractAsyncContextManager[KafkaProxy]:
    """A proxy that is there while the block runs."""
    return listening(KafkaProxy(bootstrap))
