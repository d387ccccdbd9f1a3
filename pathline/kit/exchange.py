"""A request and its answer without ASGI, for the addresses that must be quick.

An ASGI request costs a scope, a cycle, a task and two messages, more than a collector does with it. Where all of a
request is there at once, as it nearly always is, a coroutine answers it: run from the parser's callback to its first
wait, and on from the callback of what it waits for. Whatever is unusual (a body in parts, another request unanswered
before it, HTTP/1.0, `Expect`) takes the ASGI way, which gives the same answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any, Final, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Header = tuple[bytes, bytes]


class Whole(NamedTuple):
    """A POST, all of it there."""

    query: bytes
    headers: dict[bytes, bytes]
    """Of a name that stands twice the last counts."""
    client: tuple[str, int] | None
    body: bytes


class Reply(NamedTuple):
    """What is answered. With `close` the connection ends."""

    status: int
    headers: tuple[Header, ...]
    """All but `content-length` and `connection`."""
    content: bytes
    close: bool = False


Answering = Callable[[Whole], Coroutine[Any, None, Reply]]
"""Answers a request. It awaits futures alone (no task runs it, so no time-outs of asyncio), sets no context variable,
raises nothing, and ends soon when it is cancelled."""

ShortCuts = Mapping[bytes, Answering]
"""By path."""


class Connection(Protocol):
    """What an exchange needs of the connection it is on."""

    client: tuple[str, int] | None

    def answered(self, exchange: Exchange, reply: Reply) -> None:
        """Send the reply."""

    def broken(self) -> None:
        """Close at once: there will be no answer."""


class _Nobody:
    """Who waits for more of an exchange's body."""

    def set(self) -> None:
        """Tell them."""


class Exchange:
    """One request on its way. The connection sees in it what it would see in uvicorn's cycle of an ASGI request."""

    __slots__ = (
        "_answering", "_connection", "_work", "body", "disconnected", "headers", "keep_alive", "lines", "more_body",
        "query", "response_complete",
    )  # fmt: skip

    message_event: Final = _Nobody()
    response_started: Final = False
    """The answer is written in one piece."""

    headers: dict[bytes, bytes]
    lines: list[Header]
    """The headers as they came."""
    query: bytes

    def __init__(self, connection: Connection, answering: Answering, *, keep_alive: bool) -> None:
        """Of a request whose head is there."""
        self._connection = connection
        self._answering = answering
        self._work: Coroutine[Any, None, Reply] | None = None
        self.body = b""
        self.disconnected = False
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False

    def begin(self) -> None:
        """All of it is there: run until the first wait. Nearly always there is but one."""
        self._work = self._answering(Whole(self.query, self.headers, self._connection.client, self.body))
        # Whoever answers has them now, and decides how long they are kept.
        self.body = b""
        del self.headers, self.lines
        self._go_on()

    def cancel(self) -> None:
        """Let the one who answers say what is said when the time is over."""
        if self._work is not None and not self.response_complete:
            self._go_on(cancelled=True)

    def _go_on(self, _awaited: object = None, *, cancelled: bool = False) -> None:
        if self.response_complete:
            # It was cancelled before what it waited for came.
            return
        work = self._work
        assert work is not None
        try:
            waits = work.throw(asyncio.CancelledError()) if cancelled else work.send(None)
            # As a task does: it says that the future was awaited, or the next who awaits it would be taken for a fault.
            waits._asyncio_future_blocking = False  # noqa: SLF001 - the name that all who run coroutines share
            waits.add_done_callback(self._go_on)
        except StopIteration as ended:
            self.response_complete = True
            self._connection.answered(self, ended.value)
        except BaseException:
            self.response_complete = True
            self._connection.broken()
            raise


def encoded(reply: Reply, dated: Iterable[Header], *, keep_alive: bool) -> bytes:
    """The bytes of a reply."""
    lines = [b"%b: %b\r\n" % header for header in (*dated, *reply.headers)]
    closing = b"" if keep_alive else b"connection: close\r\n"
    length = b"content-length: %d\r\n" % len(reply.content)
    return b"".join((STATUS_LINE[reply.status], *lines, length, closing, b"\r\n", reply.content))


async def send_reply(reply: Reply, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    """Answer an ASGI request."""
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.content))]
    if reply.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})
