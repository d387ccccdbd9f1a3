"""The load on a collector: raw HTTP/1.1 over kept connections, cheaper than what it measures.

Requests are put together before the clock starts. `closed` sends on each connection as soon as the last answer came, for
figures of work; `Open` sends at a fixed rate whatever comes back, for figures of time: a slow answer delays no request.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, cast

from tests.bench.platform import cpu_seconds

ANSWER_END: Final = b'{"success":true}'
"""The end of the only answer that counts; any other fails the bench."""

CONNECTIONS: Final = 64


class LoadError(Exception):
    """The server answered anything but a plain success."""


REFUSED_END: Final = b"}"
"""The end of any answer, where a refusal is what is measured."""


def request(kind: str, body: bytes, key: str, *, more: str = "") -> bytes:
    """The bytes of a POST to `/v1/KIND`, with `more` lines in its head."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST /v1/{kind} HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {basic}\r\n"
        f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One kept connection. `answered` is called for each answer and gives the next request, or None for a pause."""

    def __init__(
        self,
        answered: Callable[[_Connection], bytes | None],
        failed: Callable[[str], None],
        ending: bytes = ANSWER_END,
    ) -> None:
        self._answered = answered
        self._failed = failed
        self._ending = ending
        self._buffer = b""
        self.due = 0.0
        """When its request was due, by the loop's clock, where that is asked."""
        self.transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)

    def send(self, data: bytes) -> None:
        """Send one request."""
        assert self.transport is not None
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(self._ending):
            if self._buffer.endswith(b"}") and not self._buffer.startswith(b"HTTP/1.1 200"):
                self.lost = True
                self._failed(self._buffer.decode("utf-8", "replace")[:500])
            return
        self._buffer = b""
        following = self._answered(self)
        if following is not None:
            self.send(following)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._failed(f"the connection was lost: {exc}")


async def closed(
    port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS, ending: bytes = ANSWER_END
) -> float:
    """Seconds until all these were answered, with so many connections that each wait for their answer.

    Raises:
        LoadError: an answer did not end with `ending`.
    """
    seconds, _spent = await closed_at(port, requests, (), connections=connections, ending=ending)
    return seconds


async def closed_at(
    port: int,
    requests: Sequence[bytes],
    pids: Sequence[int],
    *,
    connections: int = CONNECTIONS,
    ending: bytes = ANSWER_END,
) -> tuple[float, float]:
    """The same, and the processor seconds of these processes in that time.

    Both clocks start when the connections are open, and stop before they are closed: what is measured are requests
    over kept ones. Raises as `closed` does.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    rest = iter(requests)
    answers = 0

    def answered(_connection: _Connection) -> bytes | None:
        nonlocal answers
        answers += 1
        if answers == len(requests) and not done.done():
            done.set_result(None)
        return next(rest, None)

    def failed(reason: str) -> None:
        if not done.done():
            done.set_exception(LoadError(reason))

    opened = await _open(port, min(connections, len(requests)), answered, failed, ending)
    spent, started = sum(map(cpu_seconds, pids)), time.perf_counter()
    for connection in opened:
        connection.send(next(rest))
    try:
        await done
        return time.perf_counter() - started, sum(map(cpu_seconds, pids)) - spent
    finally:
        _close(opened)


async def _open(
    port: int,
    count: int,
    answered: Callable[[_Connection], bytes | None],
    failed: Callable[[str], None],
    ending: bytes = ANSWER_END,
) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(answered, failed, ending), "127.0.0.1", port)
        for _ in range(count)
    ]
    return [connection for _transport, connection in made]


def _close(connections: Iterable[_Connection]) -> None:
    for connection in connections:
        if connection.transport is not None:
            connection.transport.abort()


class Open:
    """An open loop: each request is sent when it is due, or as soon as one of the connections is free."""

    def __init__(self, port: int, *, connections: int) -> None:
        self._port = port
        self._connections = connections
        self._free: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        self._owed: deque[tuple[bytes, float]] = deque()
        self.failure: str | None = None
        self.waits: list[float] = []
        """Seconds from when each request was due to its answer, of those that were posted with that."""

    async def open(self) -> None:
        """Open the connections that are missing: a server ends those that were idle for long."""
        self._free = deque(one for one in self._free if not one.lost)
        missing = self._connections - len(self._free) - len(self._busy)
        self._free += await _open(self._port, missing, self._answered, self._failed)

    def post(self, data: bytes, due: float = 0.0) -> None:
        """Send now, or as soon as a connection is free; `due` is when it should have been sent."""
        while self._free:
            # The one that was idle longest, so that none is idle for long.
            connection = self._free.popleft()
            if not connection.lost:
                self._busy.add(connection)
                connection.due = due
                connection.send(data)
                return
        self._owed.append((data, due))

    def close(self) -> None:
        """Close the connections."""
        _close([*self._free, *self._busy])

    def _answered(self, connection: _Connection) -> bytes | None:
        if connection.due:
            self.waits.append(asyncio.get_running_loop().time() - connection.due)
        if self._owed:
            data, connection.due = self._owed.popleft()
            return data
        self._busy.discard(connection)
        self._free.append(connection)
        return None

    def _failed(self, reason: str) -> None:
        if self.failure is None and any(one.lost for one in self._busy):
            self.failure = reason
