"""The bytes of a request: bounded while they come in, while they are held and when they are inflated."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.ingest import body
from services.ingest.body import Body, GoneError, Held
from services.ingest.metrics import IngestMetrics


def held(most: int = 10_000) -> Held:
    return Held(most, IngestMetrics(CollectorRegistry(), "t"))


def sending(parts: Iterable[bytes], *, ends: bool = True) -> Any:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        messages[-1]["more_body"] = False
    messages.append({"type": "http.disconnect"})
    rest = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(rest)

    return receive


async def test_it_is_put_together_and_given_back() -> None:
    all_held = held()
    one = Body(all_held, 1_000)
    assert await one.receive(sending([b"a" * 300, b"b" * 300, b""])) == b"a" * 300 + b"b" * 300
    assert all_held.now == 600
    one.release()
    assert all_held.now == 0


@pytest.mark.parametrize("parts", [[b"x" * 1_001], [b"x" * 500, b"x" * 501], [b"x" * 900, b"x" * 900, b"x"]])
async def test_a_large_one_is_refused(parts: list[bytes]) -> None:
    all_held = held()
    one = Body(all_held, 1_000)
    assert await one.receive(sending(parts)) is body.TOO_LARGE
    assert all_held.now <= 1_000
    one.release()
    assert all_held.now == 0


async def test_an_endless_one_is_not_read_to_its_end() -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 100
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    one = Body(held(), 1_000)
    assert await one.receive(receive) is body.TOO_LARGE
    assert not one.ended
    assert read <= body.DROPPED_TIMES * 1_000 + 200


@pytest.mark.parametrize("parts", [[b"x" * 600], [b"x" * 300, b"x" * 300]])
async def test_there_is_an_end_to_what_all_hold(parts: list[bytes]) -> None:
    all_held = held(1_000)
    assert all_held.take(500)
    one = Body(all_held, 1_000)
    assert await one.receive(sending(parts)) is body.OVERLOADED
    assert one.ended, "its sender need not connect anew to try again"
    one.release()
    assert all_held.now == 500


@pytest.mark.parametrize("parts", [[b"x"], [b"x", b"y"]])
async def test_a_sender_may_go_away(parts: list[bytes]) -> None:
    all_held = held()
    one = Body(all_held, 1_000)
    with pytest.raises(GoneError):
        await one.receive(sending(parts, ends=False))
    one.release()
    assert all_held.now == 0


def plain(raw: bytes, encoding: bytes = b"gzip", *, most: int = 1_000) -> object:
    return Body(held(), most).plain(raw, encoding)


def test_gzip_is_inflated_once() -> None:
    zipped = gzip.compress(b"hello")
    assert plain(zipped) == plain(zipped, b"x-gzip") == plain(zipped, b" GZIP ") == plain(zipped, b"") == b"hello"
    assert plain(gzip.compress(zipped)) == zipped
    assert plain(b"hello", b"") == plain(b"hello", b"identity") == b"hello"


def test_members_follow_each_other_but_not_for_ever() -> None:
    zipped = gzip.compress(b"ab")
    assert plain(zipped * 3) == b"ababab"
    assert plain(zipped * body.GZIP_MEMBERS_MAX) == b"ab" * body.GZIP_MEMBERS_MAX
    assert plain(zipped * (body.GZIP_MEMBERS_MAX + 1)) is body.BAD_GZIP


def test_a_bomb_is_stopped_at_the_limit() -> None:
    assert plain(gzip.compress(b"\0" * 50_000_000)) is body.TOO_LARGE
    assert plain(gzip.compress(b"\0" * 600) * 2) is body.TOO_LARGE
    assert plain(gzip.compress(b"\0" * 1_000)) == b"\0" * 1_000


@pytest.mark.parametrize("raw", [b"{}", b"\x1f\x8b", gzip.compress(b"hello")[:-1], gzip.compress(b"hello") + b"x", b""])
def test_what_is_no_gzip_is_refused(raw: bytes) -> None:
    assert plain(raw) is body.BAD_GZIP


def test_a_wrong_sum_is_refused() -> None:
    zipped = bytearray(gzip.compress(b"hello"))
    zipped[-6] ^= 1
    assert plain(bytes(zipped)) is body.BAD_GZIP


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"\xff"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    assert plain(b"{}", encoding) is body.BAD_ENCODING
