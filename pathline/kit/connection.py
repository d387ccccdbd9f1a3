"""One connection as the door holds it: uvicorn's protocol, with limits, and with a short cut past ASGI."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pathline.kit.exchange import Exchange, Header, Reply, encoded
from pathline.kit.refusal import BAD_REQUEST, HEADERS_TOO_LARGE, TOO_MANY, Refusal

if TYPE_CHECKING:
    from pathline.kit.door import Door

LINGER_SECONDS: Final = 1.0
LINGER_BYTES_MAX: Final = 4_194_304
"""One who is turned away while still writing is listened to a little, or the answer would be lost with the line."""

WAITING_BYTES: Final = 2_560
WAITING_HEADER_BYTES: Final = 144
"""What a request that waits takes in memory beside its text, and what each of its headers does."""

_DROPPED: Final[deque[tuple[bytes, bytes]]] = deque(maxlen=0)
"""Where headers behind a body go: what they could change has been decided by then, and they have no end."""

_OF_UPGRADES: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})

_NO_ROOM: Final = "too much waits behind requests without an answer"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    cycle: Any
    """The request that came last: an Exchange, or what uvicorn has for ASGI."""

    def __init__(self, *args: Any, door: Door, **more: Any) -> None:
        """Uvicorn's protocol, behind `door`."""
        super().__init__(*args, **more)
        self._door = door
        self._in_head = True
        self._head_bytes = 0
        self._carried_bytes = 0
        """Of the read in which the last request ended, all bytes: so many at most are of the head behind it."""
        self._read_bytes = 0
        self._has_body = False
        self._bare_bytes = 0
        """Read since the last byte of a body, and yet no end of it: of a chunk's extension or of trailers."""
        self._unread: tuple[int, float] | None = None
        """How much the peer left untaken when it last took something, and when; None while it is not waited for."""
        self._paused = False
        self._answering: RequestResponseCycle | Exchange | None = None
        """The request that is being answered, or was last; with others behind it that is not `cycle`."""
        self._waiting: list[int] = []
        """What each request of `pipeline` takes of the door's room, the first to be answered first."""
        self._why: Refusal | None = None
        self._upgrading = False
        self._turned_away = False
        self._ignored_bytes = 0
        self.begun: float | None = None
        """Since when a request is expected or coming in, by the loop's clock; None while one is being answered."""
        self.idle_since: float | None = None
        """Since when all is answered. Uvicorn has a timer for each answer instead, which costs more."""
        self._held_back: Exchange | None = None
        """A request that takes a short cut, if all of it is in what is being parsed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        super().connection_made(transport)
        self.begun = self.loop.time()
        self._door.open.add(self)
        if len(self._door.open) > self._door.limits.connections_max:
            self.turn_away(TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._door.open.discard(self)
        self.begun = None
        if self._answering is not None:
            # Uvicorn tells the last request only, which with others behind the first is not the one being answered.
            self._answering.disconnected = True
            self._answering.message_event.set()
            self._answering = None
        super().connection_lost(exc)
        if self._waiting:
            self._door.waiting_bytes -= sum(self._waiting)
            # They refer to the connection and it to them: they would stay until Python looks for such cycles.
            self._waiting.clear()
            self.pipeline.clear()
            self.cycle = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Parse, within the limits."""
        if self._turned_away:
            self._ignored_bytes += len(data)
            if self._ignored_bytes > LINGER_BYTES_MAX:
                self.transport.abort()
            return
        self.idle_since = None
        if self._in_head:
            self._head_bytes += len(data)
        self._read_bytes = len(data)
        self._has_body = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.turn_away(self._why or BAD_REQUEST)
        else:
            if self._in_head:
                self._look_at_head()
            else:
                self._look_at_body()
        # Not from the parser's callback: what is raised there it takes for a fault of the request.
        if self._held_back is not None:
            self._go_on(self._held_back)

    def _go_on(self, exchange: Exchange) -> None:
        """Answer a request, or hand it to the ASGI app if more of it is to come."""
        self._held_back = None
        if not exchange.more_body:
            exchange.begin()
        elif not self._turned_away:
            self.cycle = None
            self._start_asgi(exchange.lines)
            if exchange.body:
                super().on_body(exchange.body)

    def _look_at_body(self) -> None:
        """In a body. What is no byte of it is bounded as a head is: the parser would keep it all."""
        self._bare_bytes = 0 if self._has_body else self._bare_bytes + self._read_bytes
        if self._bare_bytes > self._door.limits.header_bytes_max:
            self.turn_away(HEADERS_TOO_LARGE)

    def _look_at_head(self) -> None:
        """Between requests, or in the head of one."""
        if self._head_bytes > self._door.limits.header_bytes_max:
            self.turn_away(HEADERS_TOO_LARGE)
        elif self.begun is None and self.cycle.response_complete:
            # Empty lines begin no request, but have ended the wait for one.
            self.begun = self.loop.time()

    def _feed(self, data: bytes) -> None:
        """Parse. Java's client asks for HTTP/2 on every first request; it is answered as if it had not.

        Each request of a line may ask; as many as may be on one bound how often this goes round.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._upgrading or self.parser.get_method() == b"CONNECT":
                    raise httptools.HttpParserError from upgrade
                data = self._not_upgraded() + data[upgrade.args[0] :]
            else:
                return

    def _not_upgraded(self) -> bytes:
        """The head of the request that wants another protocol, without that wish, for a parser that begins anew."""
        kept = [(name, value) for name, value in self.headers if name not in _OF_UPGRADES]
        lines = b"".join(b"%b: %b\r\n" % header for header in kept)
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, lines)
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        return head

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made when it is known that it needs one."""
        self.url = b""
        self.headers = []
        self._in_head = True
        self.begun = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. What it says is looked at when all are there."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Its head is there: look at it before anybody works on it."""
        self._in_head = False
        too_many = len(self.headers) > self._door.limits.headers_max
        # The bytes seen so far may be those of the body, too: count only where they could be too many.
        seen = self._head_bytes + self._carried_bytes
        if too_many or (seen > self._door.limits.header_bytes_max and self._is_head_too_large()):
            self._why = HEADERS_TOO_LARGE
            raise ValueError(HEADERS_TOO_LARGE.message)
        if len(self.pipeline) >= self._door.limits.pipelined_max:
            # Hundreds of thousands of them would come in while the first one is answered.
            raise ValueError(BAD_REQUEST.message)
        self._upgrading = self.parser.should_upgrade()
        if self._upgrading:
            return
        path, _, query = self.url.partition(b"?")
        answering = self._door.short_cuts.get(path)
        if answering is not None and self._is_usual(by_name := dict(self.headers)):
            exchange = Exchange(self, answering, keep_alive=self.parser.should_keep_alive())
            exchange.query, exchange.headers, exchange.lines = query, by_name, self.headers
            self.cycle = self._held_back = self._answering = exchange
        else:
            self._start_asgi(self.headers)
        self.headers = _DROPPED  # type: ignore[assignment]

    def _is_usual(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request may take a short cut, by its head and what is before it."""
        return (
            self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and b"expect" not in headers
            and not self._paused
            and (self.cycle is None or self.cycle.response_complete)
        )

    def _start_asgi(self, headers: list[Header]) -> None:
        """Begin the request as uvicorn does: behind the one before it, if that has no answer yet."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._waiting.append(self._held(_bytes_of(self.url, headers)))
        url = self.url
        super().on_message_begin()
        self.url = url
        for header in headers:
            super().on_header(*header)
        super().on_headers_complete()
        self.headers = _DROPPED  # type: ignore[assignment]

    def _held(self, count: int) -> int:
        """As many bytes, now held. Raises ValueError, which ends the line behind what is on it."""
        if not self._door.hold(count):
            raise ValueError(_NO_ROOM)
        return count

    def answered(self, exchange: Exchange, reply: Reply) -> None:
        """Send what a short cut answers."""
        if exchange.disconnected or self.transport.is_closing():
            return
        dated = self.server_state.default_headers
        if exchange.keep_alive and not reply.close:
            self.transport.write(self._door.encoded(reply, dated))
        else:
            self.transport.write(encoded(reply, dated, keep_alive=False))
            self.transport.close()
        self.on_response_complete()

    def broken(self) -> None:
        """Close: a short cut has failed."""
        self.transport.abort()

    def leave(self) -> None:
        """End the wait for a short cut's answer, and the line with it."""
        if isinstance(self._answering, Exchange):
            self._answering.keep_alive = False
            self._answering.cancel()

    def on_response_complete(self) -> None:
        """An answer was sent: the next in the line, or a time in which another request may come."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            # From now on the app has it, and counts it.
            self._door.waiting_bytes -= self._waiting.pop(0)
            self._start_asgi_task(*self.pipeline.pop())
            if self.begun is not None:
                # What is missing of the last one was not read until now.
                self.begun = self.loop.time()
        else:
            self.idle_since = self.loop.time()
        if not self.pipeline:
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._has_body = True
        if self._waiting:
            self._waiting[-1] += self._held(len(body))
        super().on_body(body)

    def _is_head_too_large(self) -> bool:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        return size > self._door.limits.header_bytes_max

    def on_message_complete(self) -> None:
        """All of it is there."""
        if self._upgrading:
            return
        super().on_message_complete()
        self.begun = None
        self._in_head = True
        self._head_bytes = self._bare_bytes = 0
        self._carried_bytes = self._read_bytes

    def pause_writing(self) -> None:
        """More is written to the peer than it takes."""
        super().pause_writing()
        self._paused = True

    def resume_writing(self) -> None:
        """It took enough."""
        super().resume_writing()
        self._paused = False

    def is_late(self, before: float) -> bool:
        """Whether a request is not here whole that was expected since `before`. Behind others it is not read on."""
        return self.begun is not None and self.begun < before and not self.pipeline

    def is_unread(self, now: float, before: float) -> bool:
        """Whether the peer took nothing of what waits for it since `before`."""
        if not self._paused and not self.transport.is_closing():
            self._unread = None
            return False
        left = self.transport.get_write_buffer_size()
        if self._unread is None or left < self._unread[0]:
            self._unread = left, now
        return self._unread[1] < before

    def turn_away(self, refusal: Refusal) -> None:
        """Answer, where no answer was begun, and close soon."""
        self.begun = None
        if self._turned_away or self.transport.is_closing():
            return
        self._turned_away = True
        if not self._may_answer():
            self._end_behind_answers()
            return
        self.transport.write(refusal.raw())
        self._door.on_refusal(refusal.status, refusal.code)
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _end_behind_answers(self) -> None:
        """End the line, and say nothing: what could be said would stand in the middle of an answer."""
        if self.pipeline and self.cycle.more_body:
            # A half of a request does not cost those before it their answers.
            self.pipeline.popleft()
            self._door.waiting_bytes -= self._waiting.pop()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering
        self.cycle.keep_alive = False
        if self.cycle.more_body or self.cycle.response_complete:
            self.transport.close()
        else:
            # An answer is under way, and ends the line. Unless what still comes is read and dropped, it would be lost.
            self.flow.resume_reading()

    def _may_answer(self) -> bool:
        """Whether an answer here would not stand in the middle of another."""
        cycle: RequestResponseCycle | Exchange | None = self.cycle
        if cycle is None:
            return True
        if cycle.response_complete:
            # One who was answered before all of the body was there gets no second answer to it.
            return self._in_head
        return not cycle.response_started and cycle.more_body and not self.pipeline


def _bytes_of(url: bytes, headers: list[Header]) -> int:
    """What a request without its body takes in memory while it waits, about."""
    text = sum(len(name) + len(value) for name, value in headers)
    return WAITING_BYTES + len(headers) * WAITING_HEADER_BYTES + len(url) + text
