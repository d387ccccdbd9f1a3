"""A small proxy before the collector: it writes down what passes, and answers or fails in place of it as it is told."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, Self
from urllib.parse import unquote_plus

from pathline.kit.settings import split_address

RETRY_AFTER_SECONDS: Final = 1
"""What a 429 of ours asks a sender to wait."""

_IDS: Final = re.compile(r'"(?:messageId|eid)"\s*:\s*"([^"]+)"|[?&]eid=([^&\s]+)')
_TOLD: Final = re.compile(r" (#\d+);")
"""The number behind the text, of what a webhook delivers: some of their providers have no id of it."""

_REASON: Final = {503: "Service Unavailable", 429: "Too Many Requests"}


class Fault(Enum):
    """What may be done to a request with calls in place of passing it on and its answer back."""

    BUSY = 503
    LIMITED = 429
    DROPPED = 0
    """It is passed on, and the answer to it is not passed back."""


class Message(NamedTuple):
    """A request or an answer: the first line, the headers by their names in lower case, the body, and all as it came."""

    start: str
    headers: dict[str, str]
    body: bytes
    raw: bytes


@dataclass
class Exchange:
    """One request that came, and what was answered. Times are in seconds by the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    ids: frozenset[str]
    """Of the calls in it."""
    began: float
    fault: Fault | None = None
    status: int = 0
    """0: the sender was answered nothing."""
    answered: float = 0.0
    answer: bytes = b""


@dataclass
class Proxy:
    """Does the faults in turn, one for each request with calls, then passes on."""

    collector: str
    faults: list[Fault] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    address: str = ""
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where an SDK sends to."""
        return f"http://{self.address}"

    def with_calls(self) -> list[Exchange]:
        """The requests that carried calls."""
        return [one for one in self.exchanges if one.ids]

    def settled(self) -> set[str]:
        """The ids of the calls whose answer by the collector the sender got."""
        return {name for one in self.exchanges if one.status and one.fault is None for name in one.ids}

    def over(self) -> set[str]:
        """The ids of the calls that were answered, or met a fault."""
        return {name for one in self.exchanges if one.status or one.fault for name in one.ids}

    def after(self, fault: Fault) -> list[tuple[Exchange, list[Exchange]]]:
        """Each request that a fault met, and the later ones that carried a call of it again."""
        carried = self.with_calls()
        return [
            (one, [later for later in carried if later.began > one.began and later.ids & one.ids])
            for one in carried
            if one.fault is fault
        ]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        upstream = _Upstream(self.collector)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._one(reader, writer, upstream):
                    pass
        finally:
            writer.close()
            upstream.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """One request and its answer; whether the connection goes on."""
        request = await read_message(reader)
        method, path, _ = request.start.split(" ", 2)
        ids = frozenset() if method == "OPTIONS" else ids_of(request)
        exchange = Exchange(method, path, request.headers, request.body, ids, time.monotonic())
        self.exchanges.append(exchange)
        if ids and self.faults:
            exchange.fault = self.faults.pop(0)
        if exchange.fault in {Fault.BUSY, Fault.LIMITED}:
            assert exchange.fault is not None
            exchange.status, answer = exchange.fault.value, refusal(exchange)
        else:
            got = await upstream.ask(request.raw)
            if exchange.fault is Fault.DROPPED:
                writer.transport.abort()
                return False
            exchange.status, answer = int(got.start.split(" ", 2)[1]), got.raw
            exchange.answer = got.body
        exchange.answered = time.monotonic()
        writer.write(answer)
        await writer.drain()
        return True


class _Upstream:
    """A connection to the collector, opened anew where that has closed an idle one."""

    def __init__(self, collector: str) -> None:
        self._collector = collector
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Message:
        """The answer to a request."""
        while True:
            fresh = self._streams is None
            if self._streams is None:
                self._streams = await asyncio.open_connection(*split_address(self._collector))
            reader, writer = self._streams
            try:
                writer.write(request)
                await writer.drain()
                return await read_message(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                if fresh:
                    raise

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def read_message(reader: asyncio.StreamReader) -> Message:
    """The next one of a connection.

    Raises:
        asyncio.IncompleteReadError: the other side went away.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("transfer-encoding", "").lower() != "chunked":
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Message(start, headers, body, head + body)
    body, raw = b"", head
    while True:
        size_line = await reader.readuntil(b"\r\n")
        size = int(size_line.partition(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        raw += size_line + chunk
        body += chunk[:-2]
        if size == 0:
            return Message(start, headers, body, raw)


def ids_of(request: Message) -> frozenset[str]:
    """The ids of the calls of a request, in its body or its query; a webhook delivers one call."""
    body = gzip.decompress(request.body) if request.body[:2] == b"\x1f\x8b" else request.body
    text = request.start.split(" ", 2)[1] + "\n" + body.decode()
    if "/webhooks/" in request.start:
        return frozenset(_TOLD.findall(text))
    return frozenset(unquote_plus(one[1] or one[2]) for one in _IDS.finditer(text))


def refusal(exchange: Exchange) -> bytes:
    """An answer as the collector gives it: a page of another site may read it, too."""
    assert exchange.fault is not None
    status = exchange.fault.value
    code = "overloaded" if exchange.fault is Fault.BUSY else "rate_limited"
    body = b'{"success":false,"code":"%b","message":"said by a test"}' % code.encode()
    lines = [
        f"HTTP/1.1 {status} {_REASON[status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"retry-after: {RETRY_AFTER_SECONDS}",
        *_for_origin(exchange.headers.get("origin")),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _for_origin(origin: str | None) -> Sequence[str]:
    if origin is None:
        return ()
    return (
        f"access-control-allow-origin: {origin}",
        "access-control-allow-credentials: true",
        "access-control-expose-headers: retry-after",
    )
