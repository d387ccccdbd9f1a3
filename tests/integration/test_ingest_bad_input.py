"""What bad input gets, over real HTTP: never a 5xx, always the error's shape, and nothing stored that can't be read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.kit import kafka
from pathline.kit.topics import ensure_topics
from services.ingest.codes import CODES
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, exchange, viewed
from tests.support.programs import Program
from tests.support.records import until

pytestmark = pytest.mark.integration

PREFIX = "badinput"


@pytest.fixture(scope="module")
def program(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One collector for the whole list: it must outlive all of it."""
    logs: Path = tmp_path_factory.mktemp("logs")
    env = {**environment(stack.bootstrap, database, PREFIX), "PATHLINE_REQUEST_SECONDS": "1"}
    running = Program("ingest", env, logs)

    async def begin() -> None:
        await ensure_topics(stack.bootstrap, prefix=PREFIX, partitions=2, replicas=1)
        await add_demo_keys(database)
        await running.start()

    async def end() -> None:
        assert running.running, "bad input ended the collector"
        assert await running.end() == 0

    asyncio.run(begin())
    yield running
    asyncio.run(end())
    assert "Traceback" not in running.log.read_text(encoding="utf-8")


class Got(NamedTuple):
    """An answer taken apart."""

    status: int
    headers: str
    body: Any


def parse(answer: bytes) -> Got:
    head, _, body = answer.partition(b"\r\n\r\n")
    return Got(int(head.split()[1]), head.decode("latin-1").lower(), orjson.loads(body))


async def send(program: Program, body: bytes, path: str = "/v1/track", *, head: str = "") -> Got:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo\r\ncontent-length: {len(body)}\r\n{head}"
    return parse(await exchange(program.address, f"{head}connection: close\r\n\r\n".encode() + body))


def check(got: Got, expected: str) -> None:
    assert 400 <= got.status < 500, got
    assert set(got.body) <= {"success", "code", "message", "rejected"}
    assert got.body["success"] is False
    assert got.body["message"]
    assert got.body["code"] == expected
    assert got.body["code"] in CODES
    assert "content-type: application/json" in got.headers


def call(raw: str | bytes) -> bytes:
    """A good call with this text as the value of a property."""
    text = raw.encode() if isinstance(raw, str) else raw
    return b'{"type":"track","event":"Viewed","userId":"ann","properties":{"a":' + text + b"}}"


BAD_TEXTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty_body"),
    "null": (b"null", "not_an_object"),
    "array": (b"[]", "not_an_object"),
    "string": (b'"x"', "not_an_object"),
    "number": (b"7", "not_an_object"),
    "blank": (b" \n", "invalid_json"),
    "truncated": (call("1")[:-1], "invalid_json"),
    "trailing": (call("1") + b"x", "invalid_json"),
    "two objects": (call("1") * 2, "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf" + call("1"), "invalid_json"),
    "UTF-16": (call("1").decode().encode("utf-16"), "invalid_utf8"),
    "UTF-16 without a mark": (call("1").decode().encode("utf-16-le"), "invalid_json"),
    "single quotes": (b"{'a':1}", "invalid_json"),
    "comment": (b"/* */" + call("1"), "invalid_json"),
    "form": (b"data=x", "invalid_json"),
    "invalid UTF-8": (call(b'"\xff"'), "invalid_utf8"),
    "overlong": (call(b'"\xc0\xaf"'), "invalid_utf8"),
    "surrogate in UTF-8": (call(b'"\xed\xa0\x80"'), "invalid_utf8"),
    "half a pair": (call('"\\ud800"'), "bad_character"),
    "second half alone": (call('"\\udc00"'), "bad_character"),
    "half a pair as a key": (call('{"\\ud800":1}'), "bad_character"),
    "NUL": (call('"\\u0000"'), "bad_character"),
    "NUL in a key": (call('{"\\u0000":1}'), "bad_character"),
    "NUL in an id": (b'{"event":"A","userId":"a\\u0000b"}', "bad_character"),
    "raw NUL": (call(b'"\x00"'), "invalid_json"),
    "raw line end": (call('"\n"'), "invalid_json"),
    "NaN": (call("NaN"), "invalid_json"),
    "Infinity": (call("-Infinity"), "invalid_json"),
    "1e400": (call("1e400"), "bad_number"),
    "1e999": (call("1e999"), "bad_number"),
    "1e131071": (call("1e131071"), "bad_number"),
    "5,000 digits": (call("1" * 5_000), "bad_number"),
    "1e999 where nobody reads": (b'{"type":"track","event":"A","userId":"ann","clicks":1e999}', "bad_number"),
    "leading zero": (call("01"), "invalid_json"),
    "depth 33": (call("[" * 31 + "]" * 31), "too_deep"),
    "depth 255": (call("[" * 253 + "]" * 253), "too_deep"),
    "depth 1,025": (call("[" * 1_023 + "]" * 1_023), "too_deep"),
    "depth 15,000": (call("[" * 15_000 + "]" * 15_000), "too_deep"),
    "never closed": (b'{"a":' * 6_000, "too_deep"),
    "100,000 keys": (call("{" + ",".join(f'"k{number}":1' for number in range(100_000)) + "}"), "call_too_large"),
    "1 MiB of text": (call('"' + "x" * 2**20 + '"'), "call_too_large"),
    "5 MiB": (call('"' + "x" * 5 * 2**20 + '"'), "body_too_large"),
    "id of 201 bytes": (b'{"event":"A","userId":"' + b"x" * 201 + b'"}', "no_subject"),
    "id that is an object": (b'{"event":"A","userId":{}}', "no_subject"),
    "id [object Object]": (b'{"event":"A","userId":"[object Object]"}', "no_subject"),
    "id 00000": (b'{"event":"A","anonymousId":"00000"}', "no_subject"),
    "id of spaces": (b'{"event":"A","userId":"   "}', "no_subject"),
    "message id of 101": (b'{"event":"A","userId":"ann","messageId":"' + b"x" * 101 + b'"}', "bad_message_id"),
    "message id of 5,000 digits": (b'{"event":"A","userId":"ann","messageId":' + b"1" * 4_000 + b"}", "bad_message_id"),
    "year 0": (b'{"event":"A","userId":"ann","timestamp":"0000-01-01T00:00:00Z"}', "bad_timestamp"),
    "year 294277": (b'{"event":"A","userId":"ann","timestamp":"294277-01-01T00:00:00Z"}', "bad_timestamp"),
    "leap second": (b'{"event":"A","userId":"ann","timestamp":"2016-12-31T23:59:60Z"}', "bad_timestamp"),
    "time infinity": (b'{"event":"A","userId":"ann","timestamp":"infinity"}', "bad_timestamp"),
    "year 9999": (b'{"event":"A","userId":"ann","timestamp":"9999-12-31T23:59:59Z"}', "time_out_of_range"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
async def test_a_bad_call_is_refused_with_its_code(program: Program, name: str) -> None:
    body, expected = BAD_TEXTS[name]
    check(await send(program, body), expected)


FINE_TEXTS: dict[str, bytes] = {
    "2^63": call(str(2**63)),
    "2^64": call(str(2**64)),
    "duplicate keys": b'{"event":"A","event":"B","userId":"ann","userId":"bob","properties":{"a":1,"a":2}}',
    "empty key": call('{"":1}'),
    "__proto__": call('{"__proto__":{"x":1},"constructor":null}'),
    "depth 32": call("[" * 30 + "]" * 30),
    "an escaped backslash before u0000": call('"\\\\u0000"'),
    "missing message id": b'{"event":"A","userId":"ann"}',
    "empty message id": b'{"event":"A","userId":"ann","messageId":""}',
    "integer message id": b'{"event":"A","userId":"ann","messageId":7}',
    "null ids": b'{"event":"A","userId":null,"anonymousId":"a","messageId":null,"properties":null,"context":null}',
    "no zone": b'{"event":"A","userId":"ann","timestamp":"2026-01-01T00:00:00"}',
    "NFD": '{"event":"A","userId":"e\u0301"}'.encode(),
    "right to left and zero width": '{"event":"\u202eA\u200b","userId":"\u202e\u200bx"}'.encode(),
    "markup": b'{"event":"<img onerror=alert(1)>","userId":"javascript:x","properties":{"a":"\'; DROP TABLE x"}}',
    "formula": b'{"event":"=HYPERLINK(1)","userId":"{{7*7}}","properties":{"a":"<!channel>"}}',
    "a false log line": b'{"event":"A\\r\\n{\\"level\\":\\"info\\"}\\u001b[2J","userId":"ann"}',
    "a long event name": b'{"event":"' + b"x" * 20_000 + b'","userId":"ann"}',
    "numbers as ids": b'{"event":"A","userId":42,"properties":{"order_id":1001}}',
}


@pytest.mark.parametrize("name", FINE_TEXTS)
async def test_odd_but_good_is_stored(program: Program, name: str) -> None:
    got = await send(program, FINE_TEXTS[name])
    assert (got.status, got.body) == (200, {"success": True})


BAD_BATCHES: dict[str, tuple[bytes, str]] = {
    "no calls": (b'{"batch":[]}', "empty_batch"),
    "no batch": (b"{}", "bad_batch"),
    "batch of null": (b'{"batch":null}', "bad_batch"),
    "batch is an object": (b'{"batch":{}}', "bad_batch"),
    "an array": (b"[]", "not_an_object"),
    "one more than the limit": (b'{"batch":[' + b",".join([b"{}"] * 2_501) + b"]}", "too_many_calls"),
    "two million numbers": (b'{"batch":[' + b"1," * 1_900_000 + b"1]}", "too_many_calls"),
    "calls of every kind of value": (b'{"batch":[1,null,"x",[],true,{}]}', "none_accepted"),
    "context is text": (b'{"batch":[{}],"context":"x"}', "bad_context"),
    "context is deep": (b'{"batch":[{}],"context":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "too_deep"),
    "context with 1e400": (b'{"batch":[{}],"context":{"a":1e400}}', "bad_number"),
    "context with a NUL": (b'{"batch":[{}],"context":{"a":"\\u0000"}}', "bad_character"),
    "context that multiplies": (
        b'{"context":{"a":"' + b"x" * 30_000 + b'"},"batch":[' + b",".join([b'{"type":"page","userId":"a"}'] * 2_000) + b"]}",
        "body_too_large",
    ),
    "sentAt is no time": (b'{"batch":[{}],"sentAt":"now"}', "bad_timestamp"),
    "sentAt is a large number": (b'{"batch":[{}],"sentAt":1e999}', "bad_number"),
    "deep": (b'{"batch":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
    "invalid UTF-8 beside the calls": (b'{"batch":[{}],"writeKey":"\xff"}', "invalid_utf8"),
    "truncated": (b'{"batch":[{"type":"page","userId":"ann"}', "invalid_json"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BATCHES)
async def test_a_bad_batch_is_refused_with_its_code(program: Program, name: str) -> None:
    body, expected = BAD_BATCHES[name]
    check(await send(program, body, "/v1/batch"), expected)


async def test_bad_calls_do_not_spoil_a_batch(program: Program) -> None:
    bad = [
        body
        for body, expected in BAD_TEXTS.values()
        if expected in {"bad_number", "no_subject", "bad_character", "bad_timestamp"}
    ]
    calls = [orjson.dumps(viewed(1)), *bad, call(b'"\xff"'), call("[" * 40 + "]" * 40), orjson.dumps(viewed(2))]
    got = await send(program, b'{"batch":[' + b",".join(calls) + b"]}", "/v1/batch")
    assert got.status == 200
    assert [one["index"] for one in got.body["rejected"]] == list(range(1, len(calls) - 1))


ZIPPED = gzip.compress(b'{"event":"A","userId":"ann"}')
BAD_ZIPS: dict[str, tuple[bytes, str, str]] = {
    "a bomb": (gzip.compress(b"\0" * 2**28), "gzip", "body_too_large"),
    "gzip in gzip": (gzip.compress(ZIPPED), "gzip", "invalid_utf8"),
    "not gzip": (b"{}", "gzip", "bad_gzip"),
    "cut short": (ZIPPED[:-4], "gzip", "bad_gzip"),
    "rubbish behind": (ZIPPED + b"x", "gzip", "bad_gzip"),
    "many members": (ZIPPED + gzip.compress(b"") * 1_000, "gzip", "bad_gzip"),
    "deflate": (b"{}", "deflate", "bad_encoding"),
    "twice": (ZIPPED, "gzip, gzip", "bad_encoding"),
}


@pytest.mark.parametrize("name", BAD_ZIPS)
async def test_a_bad_zip_is_refused_with_its_code(program: Program, name: str) -> None:
    body, encoding, expected = BAD_ZIPS[name]
    check(await send(program, body, head=f"content-encoding: {encoding}\r\n"), expected)


START = b"POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo\r\n"
BAD_REQUESTS: dict[str, tuple[bytes, str]] = {
    "no HTTP": (b"hello\r\n\r\n", "bad_request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "bad_request"),
    "two lengths": (START + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}", "bad_request"),
    "a length and chunks": (START + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "bad_request"),
    "a negative length": (START + b"content-length: -1\r\n\r\n", "bad_request"),
    "a bad chunk": (START + b"transfer-encoding: chunked\r\n\r\nzz\r\n", "bad_request"),
    "a header with a NUL": (START + b"x: a\0b\r\n\r\n", "bad_request"),
    "a header of 1 MB": (START + b"x: " + b"x" * 2**20 + b"\r\n\r\n", "headers_too_large"),
    "a header of 20 KB at once": (START + b"x: " + b"x" * 20_000 + b"\r\ncontent-length: 2\r\n\r\n{}", "headers_too_large"),
    "an address of 20 KB": (b"POST /" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", "headers_too_large"),
    "101 headers": (START + b"".join(b"x%d: y\r\n" % number for number in range(101)) + b"\r\n", "headers_too_large"),
    "a body that stops": (START + b"content-length: 100\r\n\r\n{", "body_timeout"),
    "a head that stops": (START, "body_timeout"),
    "a chunk never ended": (START + b"transfer-encoding: chunked\r\n\r\n64\r\n{", "body_timeout"),
    "silence": (b"", "body_timeout"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_what_is_no_good_request_is_turned_away(program: Program, name: str) -> None:
    raw, expected = BAD_REQUESTS[name]
    check(parse(await exchange(program.address, raw)), expected)


async def test_a_header_without_an_end_is_cut_off(program: Program) -> None:
    answer = await exchange(program.address, START + b"x: ", then=b"x" * 65_536)
    assert not answer or parse(answer).body["code"] == "headers_too_large"


async def test_a_body_without_an_end_is_cut_off(program: Program) -> None:
    answer = await exchange(
        program.address, START + b"transfer-encoding: chunked\r\n\r\n", then=b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    )
    assert not answer or parse(answer).body["code"] == "body_too_large"


@pytest.mark.parametrize("key", ["Bearer d\xe9mo", "Basic d\xe9mo", "Basic " + "x" * 5_000, "Digest x", "demo"])
async def test_odd_keys_are_refused(program: Program, key: str) -> None:
    raw = f"POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    got = parse(await exchange(program.address, raw.encode("latin-1")))
    check(got, got.body["code"])
    assert got.status == 401


async def test_rubbish_behind_a_good_call_takes_nothing_from_it(program: Program) -> None:
    body = orjson.dumps(viewed(8))
    answer = await exchange(program.address, START + b"content-length: %d\r\n\r\n" % len(body) + body + b"}\r\n")
    assert parse(answer).status == 200


async def test_an_upgrade_is_answered_as_it_stands(program: Program) -> None:
    body = orjson.dumps(viewed(9))
    asking = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: x\r\n"
    first = START + asking + b"content-length: %d\r\n\r\n" % len(body) + body
    second = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = await exchange(program.address, first + second)
    assert b'{"success":true}' in answer
    assert answer.endswith(b'{"live":true}')


async def test_all_that_was_stored_can_be_read(program: Program, stack: Stack) -> None:
    """Runs last: what the tests above were told is stored is there, each once, and every reader can take it."""
    consumer = kafka.make_consumer(
        stack.bootstrap, kafka.topics(PREFIX).touchpoints, client_id="test", auto_offset_reset="earliest"
    )
    await consumer.start()
    log = Log(consumer)
    try:
        records = await log.read(len(FINE_TEXTS) + 4)
    finally:
        await consumer.stop()
    for record in records:
        assert orjson.loads(to_touchpoint(accepted.decode(record.value)).body) is not None


async def test_nothing_is_held_after_all_that(program: Program) -> None:
    async def held() -> bool:
        answer = await exchange(program.address, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return b"\npathline_ingest_bytes_in_flight 0.0\n" in answer

    await until(held)
