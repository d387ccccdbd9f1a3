"""Every server turns away what is too large, too slow or too much, and leaves alone what is only long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from pathline.embedded.ports import free_port
from pathline.kit import lifecycle
from pathline.kit.door import KIBIBYTE, PIPELINED_MAX, Door, Limits
from tests.support.records import until

HALF = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"

LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

LARGE = 16 * KIBIBYTE * KIBIBYTE
"""Bytes of an answer that no buffer of the system holds."""

SECONDS = 0.3
"""What a request has to arrive in where a test is about that."""


async def _hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def _said(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse(request.headers.get("x-said", "nothing"))


async def _read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


class Server:
    """A served app, and what the door heard."""

    def __init__(self, door: Door | None) -> None:
        self.port = free_port()
        self.statuses: list[int] = []
        self.door = door
        self.go_on = asyncio.Event()
        self.large = asyncio.Event()
        self.left = asyncio.Event()

    async def ask(self, sent: bytes) -> bytes:
        """All that is answered to these bytes until the line is closed from there."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        async with asyncio.timeout(10):
            answered = await reader.read()
        writer.close()
        return answered

    async def largely(self, _request: Request) -> PlainTextResponse:
        """More than the system takes for a peer that does not read."""
        self.large.set()
        return PlainTextResponse("x" * LARGE)

    async def stay(self, request: Request) -> PlainTextResponse:
        """No answer before its sender left."""
        await request.body()
        self.go_on.set()
        await request.receive()
        self.left.set()
        return PlainTextResponse("too late")

    async def slowly(self, _request: Request) -> StreamingResponse:
        """A stream whose second word comes when the test says so."""

        async def words() -> AsyncIterator[str]:
            yield "begun "
            await self.go_on.wait()
            yield "ended"

        return StreamingResponse(words())


@asynccontextmanager
async def _serving(limits: Limits | None = None) -> AsyncIterator[Server]:
    server = Server(None)
    if limits is not None:
        server.door = Door(limits, lambda status, _code: server.statuses.append(int(status)))
    stop, started = asyncio.Event(), asyncio.Event()
    app = Starlette(
        routes=[
            Route("/", _hello),
            Route("/read", _read, methods=["POST"]),
            Route("/said", _said, methods=["POST"]),
            Route("/stream", server.slowly),
            Route("/large", server.largely),
            Route("/stay", server.stay),
        ]
    )
    task = asyncio.create_task(
        lifecycle.serve(app, f"127.0.0.1:{server.port}", stop=stop, started=started, door=server.door)
    )
    await started.wait()
    yield server
    stop.set()
    await task


async def test_a_head_without_end_is_refused_by_every_server() -> None:
    async with _serving() as server:
        answer = await server.ask(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (64 * KIBIBYTE))
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b'"code":"headers_too_large"' in answer
        many = b"".join(b"x%d: y\r\n" % number for number in range(200))
        assert (await server.ask(b"GET / HTTP/1.1\r\n" + many + b"\r\n")).startswith(b"HTTP/1.1 431 ")


async def test_a_request_that_does_not_come_to_its_end_is_closed() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        for half in (b"", b"GET / HT", HALF % b"/read"):
            assert (await server.ask(half)).startswith(b"HTTP/1.1 408 ")
        assert server.statuses == [408, 408, 408]


async def test_who_was_answered_before_all_was_there_gets_no_second_answer() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        answer = await server.ask(HALF % b"/")
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.count(b"HTTP/1.1") == 1


async def test_empty_lines_between_requests_do_not_hold_a_connection() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"\r\n")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_connection_too_many_is_told_when_to_come_again() -> None:
    async with _serving(Limits(connections_max=1)) as server:
        door = server.door
        assert door is not None
        _, holding = await asyncio.open_connection("127.0.0.1", server.port)

        async def held() -> bool:
            return len(door.open) == 1

        await until(held)
        answer = await server.ask(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2\r\n" in answer
        holding.close()


async def test_what_is_no_http_is_said_to_be_none() -> None:
    async with _serving() as server:
        answer = await server.ask(b"\x16\x03\x01 hello\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'{"success":false,"code":"bad_request"' in answer


async def test_the_head_of_a_request_behind_another_has_the_same_limit() -> None:
    first = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    second = b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (17 * KIBIBYTE) + b"\r\nconnection: close\r\n\r\n"
    async with _serving() as server:
        # The refusal does not overtake the answer to the first, which is under way.
        assert (await server.ask(first + second)).count(b"HTTP/1.1 200 ") <= 1
        assert (await server.ask(first + second.replace(b"y", b""))).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    "rest",
    [b"0\r\n" + b"x: y\r\n" * 5_000, b"0\r\nx: " + b"y" * 30_000, b"5;" + b"x" * 30_000],
    ids=["trailers", "a trailer", "a chunk's extension"],
)
async def test_what_is_no_body_behind_a_head_has_an_end(rest: bytes) -> None:
    async with _serving() as server:
        head = b"POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert (await server.ask(head + rest)).startswith(b"HTTP/1.1 431 ")


async def test_there_is_an_end_to_the_requests_that_wait_behind_another() -> None:
    asked = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    async with _serving() as server:
        assert (await server.ask(asked * PIPELINED_MAX + LAST)).count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1
        assert (await server.ask(asked * 5_000)).count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1


async def test_each_request_on_a_line_may_ask_for_http_2_and_is_answered_as_if_it_had_not() -> None:
    asked = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\r\n"
    body = asked.replace(b"GET /", b"POST /read").replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\nyes")
    async with _serving() as server:
        assert (await server.ask(asked * 2 + body + asked + LAST)).count(b"HTTP/1.1 200 ") == 5
        assert (await server.ask(asked * 5_000)).count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1


async def test_what_waits_behind_others_is_bounded_over_all_connections() -> None:
    most, size = 64 * KIBIBYTE, 20 * KIBIBYTE
    behind = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size
    sent = b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n" + behind + b"y" * size
    async with _serving(Limits(waiting_bytes_max=most)) as server:
        door = server.door
        assert door is not None
        asked = [asyncio.create_task(server.ask(sent)) for _ in range(6)]

        async def all_read() -> bool:
            begun = [one for one in door.open if one.cycle is not None]
            return len(begun) == 6 and all(one.cycle.keep_alive is False for one in begun)

        # The last request of a line is the one that ends it: the POST, or what was asked before one that may not wait.
        await until(all_read)
        waiting = [cycle for one in door.open for cycle, _app in one.pipeline]
        assert sum(len(cycle.body) for cycle in waiting) <= door.waiting_bytes <= most
        server.go_on.set()
        answers = await asyncio.gather(*asked)
        assert all(b"ended" in answer for answer in answers)
        assert sum(answer.endswith(b"\r\n\r\n%d" % size) for answer in answers) == most // size - 1 == len(waiting)
        assert door.waiting_bytes == 0


async def test_headers_that_wait_behind_others_are_counted_for_what_they_take() -> None:
    head = b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x:\r\n" * 90 + b"\r\n"
    async with _serving(Limits(waiting_bytes_max=64 * KIBIBYTE)) as server:
        answer = await server.ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + head * 50)
        # Fifty of them are 20 KB on the wire and 600 in memory.
        assert answer.count(b"HTTP/1.1 200 ") == 1 + 4
        assert server.door is not None and server.door.waiting_bytes == 0


async def test_who_leaves_takes_what_waits_along() -> None:
    async with _serving(Limits()) as server:
        door = server.door
        assert door is not None
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /stay HTTP/1.1\r\nhost: x\r\n\r\n" * 2 + HALF % b"/read")

        async def waits() -> bool:
            return door.waiting_bytes > len(b"half")

        await until(waits)
        writer.transport.abort()

        async def gone() -> bool:
            return not door.open and not door.waiting_bytes

        await until(gone)


async def test_a_half_of_a_request_behind_another_has_its_time_once_it_is_read_on() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n" + HALF % b"/read")
        await reader.readuntil(b"begun ")
        # One who came later and says nothing has been turned away: the door has looked at this one, too.
        assert (await server.ask(b"")).startswith(b"HTTP/1.1 408 ")
        server.go_on.set()
        async with asyncio.timeout(10):
            assert b"ended" in await reader.readuntil(b"0\r\n\r\n")
            writer.write(b" more")
            assert (await reader.readuntil(b"\r\n\r\n9")).startswith(b"HTTP/1.1 200 ")
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + HALF % b"/read")
            assert b"hello" in await reader.read()
        writer.close()


async def test_half_a_request_that_is_none_does_not_keep_those_before_it_from_their_answers() -> None:
    broken = b"POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n"
    asked = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    async with _serving() as server:
        for before in (1, 3):
            answer = await server.ask(asked * before + broken)
            assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200 ") == before


async def test_the_request_being_answered_hears_that_its_sender_left_with_others_waiting() -> None:
    async with _serving(Limits()) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /stay HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        async with asyncio.timeout(10):
            await server.go_on.wait()
            writer.transport.abort()
            await server.left.wait()


async def test_a_trailer_is_no_header() -> None:
    body = b"4\r\nhalf\r\n0\r\nx-said: behind\r\n\r\n"
    head = b"POST /said HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    async with _serving() as server:
        assert (await server.ask(head + body)).endswith(b"nothing")


async def test_a_tunnel_is_refused() -> None:
    async with _serving() as server:
        assert (await server.ask(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_who_takes_no_answer_is_let_go() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        door = server.door
        assert door is not None
        idle = socket.create_connection(("127.0.0.1", server.port))
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIBIBYTE)
        idle.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")

        async def came() -> bool:
            return server.large.is_set() and len(door.open) == 1

        async def gone() -> bool:
            return not door.open

        await until(came)
        await until(gone)
        idle.close()


async def test_who_takes_an_answer_slowly_is_left_alone() -> None:
    async with _serving(Limits()) as server:
        door = server.door
        assert door is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=KIBIBYTE)
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

        async def waits() -> bool:
            return any(one.is_unread(0.0, -1.0) or one._unread for one in door.open)

        await until(waits)
        (one,) = door.open
        left = one.transport.get_write_buffer_size()
        assert one.is_unread(10.0, 5.0)

        async def took() -> bool:
            await reader.read(64 * KIBIBYTE)
            return one.transport.get_write_buffer_size() < left

        await until(took)
        assert not one.is_unread(10.0, 5.0)
        while await reader.read(KIBIBYTE * KIBIBYTE):
            pass
        writer.close()


async def test_a_stream_stays_open_longer_than_a_request_may_take_to_arrive() -> None:
    async with _serving(Limits(request_seconds=SECONDS)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await reader.readuntil(b"begun ")
        # One who came later and says nothing has been turned away: the door has looked at this stream, too.
        assert (await server.ask(b"")).startswith(b"HTTP/1.1 408 ")
        server.go_on.set()
        async with asyncio.timeout(10):
            assert b"ended" in await reader.read()
        assert server.statuses == [408]
        writer.close()
