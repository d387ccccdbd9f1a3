"""Hostile bytes on the wire, to a collector that runs: an answer or a close in time, and afterwards all is as before.

The list is tests/support/hostile_requests.py, docs/bad-input.md shows it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import Iterator

import orjson
import pytest

from pathline.kit.door import PIPELINED_MAX
from pathline.kit.settings import split_address
from tests.conftest import Stack
from tests.support.attacked import ANSWER_SECONDS, Target, attacked, check, parse
from tests.support.collector import viewed
from tests.support.hostile_requests import BODY, CHUNKED, CLOSE, LENGTH, REQUESTS, START, Wire, sent
from tests.support.records import until

pytestmark = pytest.mark.integration

CASES = {f"{heading}: {name}": wire for heading, wires in REQUESTS.items() for name, wire in wires.items()}
GOOD = START + LENGTH + b"\r\n" + BODY
LAST = sent()
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def target(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from attacked(stack, database, tmp_path_factory, "badrequest", PATHLINE_REQUEST_SECONDS="1")


@pytest.mark.parametrize("wire", CASES.values(), ids=CASES)
async def test_bytes_get_their_answer(target: Target, wire: Wire) -> None:
    check(parse(await target.exchange(wire.raw)), wire.code)
    await target.unhurt()


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (START + b"x: ", b"x" * 65_536),
        (START, b"x: y\r\n" * 8_000),
        (b"POST /", b"x" * 65_536),
        (CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        (CHUNKED, b"1\r\n{\r\n" * 8_000),
        (CHUNKED, b"1;" + b"x" * 1_000 + b"\r\n{\r\n"),
        (CHUNKED + b"5;", b"x" * 65_536),
        (CHUNKED + b"0\r\n", b"x: y\r\n" * 8_000),
        (CHUNKED + b"0\r\nx: ", b"y" * 65_536),
        (CHUNKED.replace(b"POST", b"PUT"), b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        (CHUNKED.replace(b"track", b"nowhere"), b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        (CHUNKED.replace(b"demo", b"nobody"), b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        (b"\r\n", b"\r\n" * 8_000),
    ],
    ids=["a header", "headers", "an address", "a body", "chunks of a byte", "extensions of chunks", "an extension",
         "headers behind a body", "a header behind a body", "a body that no method takes", "a body to no address",
         "a body with no key", "empty lines"],
)  # fmt: skip
async def test_what_has_no_end_is_cut_off_and_not_kept(target: Target, begun: bytes, more: bytes) -> None:
    before = target.memory_bytes()
    answer = await target.exchange(begun, then=more)
    # Who goes on writing when the line is closed may lose the answer that was on it.
    assert not answer or 400 <= parse(answer).status < 500
    assert target.memory_bytes() - before < 64 * MEBIBYTE
    await target.unhurt()


async def test_a_thousand_requests_in_one_go_are_answered_in_order_or_cut_off(target: Target) -> None:
    bodies = [orjson.dumps(viewed(number)) if number % 7 else b"{}" for number in range(1_000)]
    asked = b"".join(START + b"content-length: %d\r\n\r\n" % len(body) + body for body in bodies)
    answers = [answer[:3] for answer in (await target.exchange(asked)).split(b"HTTP/1.1 ")[1:]]
    assert answers == [b"200" if number % 7 else b"400" for number in range(PIPELINED_MAX + 1)]
    await target.unhurt()


async def test_where_the_wire_cuts_requests_changes_nothing(target: Target) -> None:
    chance = random.Random(1)
    asked = GOOD + CHUNKED.replace(b"track", b"nowhere") + b"0\r\n\r\n" + START + b"content-length: 2\r\n\r\n{}" + LAST
    for cuts in (len(asked), *(chance.randint(1, 20) for _ in range(20))):
        places = sorted(
            {0, len(asked), *(range(len(asked)) if cuts == len(asked) else chance.sample(range(len(asked)), cuts))}
        )
        reader, writer = await asyncio.open_connection(*split_address(target.program.address))
        for begin, end in itertools.pairwise(places):
            writer.write(asked[begin:end])
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(ANSWER_SECONDS):
            answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
        writer.close()
        assert [answer[:3] for answer in answers] == [b"200", b"404", b"400", b"200"]
    await target.unhurt()


async def test_requests_without_an_end_do_not_pile_up(target: Target) -> None:
    before = target.memory_bytes()
    await target.exchange(b"", then=b"GET / HTTP/1.1\r\n\r\n" * 4_000)
    assert target.memory_bytes() - before < 64 * MEBIBYTE
    await target.unhurt()


async def test_who_leaves_with_requests_waiting_is_no_fault(target: Target) -> None:
    """The log, which is looked at when the collector has ended, tells of none."""
    for _ in range(20):
        _, writer = await asyncio.open_connection(*split_address(target.program.address))
        writer.write(GOOD * 20)
        await writer.drain()
        writer.transport.abort()
    await target.unhurt()


async def test_a_large_head_behind_a_good_request_is_refused_too(target: Target) -> None:
    answer = await target.exchange(GOOD + sent(b"POST /v1/track HTTP/1.1", b"x: " + b"y" * 60_000))
    assert answer.count(b'{"success":true}') <= 1
    assert answer.count(b"HTTP/1.1 ") <= 1
    await target.unhurt()


async def test_who_asks_for_leave_to_send_gets_it_and_no_longer_than_others(target: Target) -> None:
    asking = sent(b"POST /v1/track HTTP/1.1", b"expect: 100-continue")
    assert (await target.exchange(asking)).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    waiting = START + b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    first, _, second = (await target.exchange(waiting)).partition(b"\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue"
    check(parse(second), "body_timeout")
    await target.unhurt()


async def test_a_head_is_answered_without_a_body(target: Target) -> None:
    answer = await target.exchange(b"HEAD /v1/track HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_bytes_behind_a_good_call_take_nothing_from_it(target: Target) -> None:
    answer = await target.exchange(GOOD + b"}\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b'{"success":true}') == 1


@pytest.mark.parametrize(
    "asking",
    [
        b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: x\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n",
    ],
    ids=["to HTTP/2", "to a websocket"],
)
async def test_an_upgrade_is_answered_as_if_it_were_none(target: Target, asking: bytes) -> None:
    answer = await target.exchange(GOOD.replace(LENGTH, asking + LENGTH) + LAST)
    assert answer.count(b'{"success":true}') == 2


async def test_who_takes_no_answers_is_let_go(target: Target) -> None:
    """A hundred answers that nobody reads do not stay in memory, nor their connection among the open ones."""
    before = await target.metric("pathline_ingest_connections")
    silent = []
    for _ in range(20):
        one = socket.socket()
        # What the system takes for one who does not read is little, then.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        one.connect(split_address(target.program.address))
        one.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * PIPELINED_MAX)
        silent.append(one)

    async def gone() -> bool:
        return await target.metric("pathline_ingest_connections") <= before

    await until(gone)
    for one in silent:
        one.close()
    await target.unhurt()
