"""A short cut answers what is there as a whole; whatever is unusual is answered by the app, and nobody sees a difference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pathline.embedded.ports import free_port
from pathline.kit import lifecycle
from pathline.kit.door import Door, Limits
from pathline.kit.exchange import Reply, Whole
from tests.support.records import until

HEAD = b"POST /short?a=1 HTTP/1.1\r\nHost: x\r\n"
POST = HEAD + b"Content-Length: 4\r\n\r\n%b"
PLAIN = ((b"content-type", b"text/plain"),)
TIMED_OUT = Reply(503, PLAIN, b"the end", close=True)


async def _long_way(request: Request) -> PlainTextResponse:
    return PlainTextResponse("asgi " + (await request.body()).decode())


class Server:
    """A served app with a short cut, which answers when `go_on` is set."""

    def __init__(self, limits: Limits) -> None:
        self.port = free_port()
        self.go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun = 0
        self.door = Door(limits, short_cuts={b"/short": self.answer})
        self.stop = asyncio.Event()

    async def answer(self, whole: Whole) -> Reply:
        self.begun += 1
        if whole.body == b"fail":
            message = "a fault"
            raise ValueError(message)
        if whole.body != b"now!":
            try:
                await self.go_on
            except asyncio.CancelledError:
                return TIMED_OUT
        said = b"short %b %b %b" % (whole.body, whole.query, whole.headers[b"host"])
        return Reply(200, PLAIN, said, close=whole.body == b"last")

    async def opened(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        return reader, writer

    async def ask(self, sent: bytes) -> bytes:
        """All that is answered to these bytes until the line is closed from there."""
        reader, writer = await self.opened(sent)
        async with asyncio.timeout(10):
            answered = await reader.read()
        writer.close()
        return answered

    async def until_begun(self, count: int) -> None:
        async def is_begun() -> bool:
            return self.begun == count

        await until(is_begun)


@asynccontextmanager
async def _serving(limits: Limits | None = None) -> AsyncIterator[Server]:
    server = Server(limits or Limits())
    started = asyncio.Event()
    app = Starlette(routes=[Route("/short", _long_way, methods=["GET", "POST"])])
    address = f"127.0.0.1:{server.port}"
    serving = lifecycle.serve(
        app, address, stop=server.stop, started=started, door=server.door, drain_seconds=1
    )  # fmt: skip
    task = asyncio.create_task(serving)
    await started.wait()
    yield server
    server.stop.set()
    await task


async def _one(reader: asyncio.StreamReader) -> bytes:
    """One answer with its head."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await reader.readexactly(length)


async def test_requests_on_a_kept_connection_are_answered_one_after_the_other() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"now!")
        for _ in range(3):
            answer = await _one(reader)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert b"content-type: text/plain\r\n" in answer
            assert b"connection:" not in answer
            assert answer.endswith(b"\r\n\r\nshort now! a=1 x")
            writer.write(POST % b"now!")
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /short HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /short HTTP/1.0\r\nContent-Length: 4\r\n\r\nnow!",
        b"POST /%73hort HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnow!",
        HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnow!",
    ],
    ids=["GET", "HTTP 1.0", "an escape in the path", "Expect"],
)
async def test_what_is_unusual_is_answered_by_the_app(sent: bytes) -> None:
    async with _serving() as server:
        answer = await server.ask(sent)
        assert b"\r\n\r\nasgi " in answer
        assert server.begun == 0


async def test_a_body_in_parts_reaches_the_app_as_a_whole() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(HEAD + b"Content-Length: 9\r\n\r\none ")
        await until(lambda: _has_request(server))
        writer.write(b"and ")
        writer.write(b"t")
        assert (await _one(reader)).endswith(b"asgi one and t")
        # And the connection goes on as it was.
        writer.write(POST % b"now!")
        assert (await _one(reader)).endswith(b"short now! a=1 x")
        writer.close()


async def _has_request(server: Server) -> bool:
    return any(one.cycle is not None for one in server.door.open)


async def test_a_chunked_body_that_is_there_takes_the_short_cut() -> None:
    async with _serving() as server:
        chunks = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nno\r\n2\r\nw!\r\n0\r\nHost: y\r\n\r\n"
        assert (await server.ask(HEAD + chunks)).endswith(b"short now! a=1 x")


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"wait" + POST % b"now!" + POST % b"now!")
        await server.until_begun(1)
        server.go_on.set_result(None)
        assert (await _one(reader)).endswith(b"short wait a=1 x")
        assert (await _one(reader)).endswith(b"asgi now!")
        assert (await _one(reader)).endswith(b"asgi now!")
        writer.close()


async def test_many_wait_for_one_future() -> None:
    async with _serving() as server:
        opened = [await server.opened(POST % b"wait") for _ in range(5)]
        await server.until_begun(5)
        server.go_on.set_result(None)
        for reader, writer in opened:
            assert (await _one(reader)).endswith(b"short wait a=1 x")
            writer.close()


async def test_a_connection_is_closed_where_either_side_asks_for_that() -> None:
    async with _serving() as server:
        asked = HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\nnow!"
        for sent, said in ((asked, b"now!"), (POST % b"last", b"last")):
            if said == b"last":
                server.go_on.set_result(None)
            answer = await server.ask(sent)
            assert b"\r\nconnection: close\r\n" in answer
            assert answer.endswith(b"short %b a=1 x" % said)


async def test_what_follows_a_request_and_is_none_does_not_keep_it_from_its_answer() -> None:
    async with _serving() as server:
        answer = await server.ask(POST % b"now!" + b"\x00 no request\r\n\r\n")
        assert answer.count(b"HTTP/1.1") == 1
        assert answer.endswith(b"short now! a=1 x")


async def test_who_left_gets_no_answer_and_harms_nobody() -> None:
    async with _serving() as server:
        _reader, writer = await server.opened(POST % b"wait")
        await server.until_begun(1)
        writer.close()

        async def left() -> bool:
            return not server.door.open

        await until(left)
        server.go_on.set_result(None)
        reader, writer = await server.opened(POST % b"now!")
        assert (await _one(reader)).endswith(b"short now! a=1 x")
        writer.close()


async def test_a_fault_closes_its_connection_alone() -> None:
    async with _serving() as server:
        with suppress(ConnectionResetError):
            assert await server.ask(POST % b"fail") == b""
        assert server.begun == 1
        reader, writer = await server.opened(POST % b"now!")
        assert (await _one(reader)).endswith(b"short now! a=1 x")
        writer.close()


async def test_a_stop_waits_for_an_answer_and_ends_the_connection_with_it() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"wait")
        await server.until_begun(1)
        server.stop.set()

        async def ending() -> bool:
            return not any(one.cycle.keep_alive for one in server.door.open)

        await until(ending)
        assert server.door.open
        server.go_on.set_result(None)
        answer = await _one(reader)
        assert answer.endswith(b"short wait a=1 x")
        assert b"\r\nconnection: close\r\n" in answer
        assert await reader.read() == b""
        writer.close()


async def test_when_the_time_to_end_is_over_the_one_who_answers_is_told() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"wait")
        await server.until_begun(1)
        server.stop.set()
        answer = await _one(reader)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"the end")
        server.go_on.set_result(None)
        writer.close()


async def test_the_one_who_answers_is_told_too_where_others_wait_behind() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"wait" + POST % b"now!")
        await server.until_begun(1)
        server.stop.set()
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"the end")
        server.go_on.set_result(None)
        writer.close()


async def test_half_a_request_that_is_none_costs_the_one_before_it_no_answer() -> None:
    async with _serving() as server:
        reader, writer = await server.opened(POST % b"wait" + HEAD + b"transfer-encoding: chunked\r\n\r\nno chunk\r\n")
        await server.until_begun(1)
        server.go_on.set_result(None)
        answer = await _one(reader)
        assert answer.endswith(b"short wait a=1 x")
        assert b"\r\nconnection: close\r\n" in answer
        assert await reader.read() == b""
        writer.close()


async def test_a_connection_that_asks_nothing_is_closed_and_one_that_waits_is_not() -> None:
    limits = Limits(request_seconds=0.4, idle_seconds=0.2)
    async with _serving(limits) as server:
        waiting, holding = await server.opened(POST % b"wait")
        await server.until_begun(1)
        assert (await server.ask(POST % b"now!")).endswith(b"short now! a=1 x")
        server.go_on.set_result(None)
        assert (await _one(waiting)).endswith(b"short wait a=1 x")
        holding.close()
