"""What a hostile or broken sender sends, and what it gets: the tests' own list, and docs/bad-input.md made of it."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

STORED = "stored"
"""In place of a code: 200, and Kafka has it."""


class Case(NamedTuple):
    """A body, and the code it is answered with."""

    body: bytes
    code: str
    path: str = "/v1/track"
    key: str = "demo"
    encoding: str = ""
    """Content-Encoding."""


def call(raw: str | bytes) -> bytes:
    """A good call with this text as the value of a property."""
    text = raw.encode() if isinstance(raw, str) else raw
    return b'{"type":"track","event":"Viewed","userId":"ann","properties":{"a":' + text + b"}}"


def told(**fields: object) -> bytes:
    """A good call, but for these fields."""
    return json.dumps({"event": "A", "userId": "ann", **fields}, ensure_ascii=False).encode()


def _year_ahead() -> str:
    return (datetime.now(UTC) + timedelta(days=365)).isoformat()


TEXTS: dict[str, Case] = {
    "an empty body": Case(b"", "empty_body"),
    "`null`": Case(b"null", "not_an_object"),
    "`[]`": Case(b"[]", "not_an_object"),
    '`"x"`': Case(b'"x"', "not_an_object"),
    "`7`": Case(b"7", "not_an_object"),
    "blanks alone": Case(b" \n", "invalid_json"),
    "a call cut short": Case(call("1")[:-1], "invalid_json"),
    "bytes behind it": Case(call("1") + b"x", "invalid_json"),
    "two calls in a row": Case(call("1") * 2, "invalid_json"),
    "a byte order mark": Case(b"\xef\xbb\xbf" + call("1"), "invalid_json"),
    "UTF-16": Case(call("1").decode().encode("utf-16"), "invalid_utf8"),
    "UTF-16 without a mark": Case(call("1").decode().encode("utf-16-le"), "invalid_json"),
    "single quotes": Case(b"{'a':1}", "invalid_json"),
    "a comment": Case(b"/* */" + call("1"), "invalid_json"),
    "a form": Case(b"data=x", "invalid_json"),
    "bytes that are no UTF-8": Case(call(b'"\xff"'), "invalid_utf8"),
    "an overlong form": Case(call(b'"\xc0\xaf"'), "invalid_utf8"),
    "a surrogate in UTF-8": Case(call(b'"\xed\xa0\x80"'), "invalid_utf8"),
    "the first half of a pair": Case(call('"\\ud800"'), "bad_character"),
    "the second half of a pair": Case(call('"\\udc00"'), "bad_character"),
    "half a pair in a key": Case(call('{"\\ud800":1}'), "bad_character"),
    "`\\u0000` in a value": Case(call('"\\u0000"'), "bad_character"),
    "`\\u0000` in a key": Case(call('{"\\u0000":1}'), "bad_character"),
    "`\\u0000` in an id": Case(b'{"event":"A","userId":"a\\u0000b"}', "bad_character"),
    "a backslash before u0000": Case(call('"\\\\u0000"'), STORED),
    "a bare NUL": Case(call(b'"\x00"'), "invalid_json"),
    "a bare line end": Case(call('"\n"'), "invalid_json"),
    "right-to-left and zero-width": Case('{"event":"\u202eA\u200b","userId":"\u202e\u200bx"}'.encode(), STORED),
    "NFC": Case(told(userId="\u00e9"), STORED),
    "NFD, the same id": Case(told(userId="e\u0301"), STORED),
}

NUMBERS: dict[str, Case] = {
    "`NaN`": Case(call("NaN"), "invalid_json"),
    "`-Infinity`": Case(call("-Infinity"), "invalid_json"),
    "1e400": Case(call("1e400"), "bad_number"),
    "1e999": Case(call("1e999"), "bad_number"),
    "1e131071": Case(call("1e131071"), "bad_number"),
    "1e999 in a field that nobody reads": Case(
        b'{"type":"track","event":"A","userId":"ann","clicks":1e999}', "bad_number"
    ),
    "5,000 digits": Case(call("1" * 5_000), "bad_number"),
    "a leading zero": Case(call("01"), "invalid_json"),
    "2^63": Case(call(str(2**63)), STORED),
    "2^64": Case(call(str(2**64)), STORED),
    "1e308": Case(call("1e308"), STORED),
    "1e-20000": Case(call("1e-20000"), STORED),
    "numbers as ids": Case(told(userId=42, properties={"order_id": 1001}), STORED),
}

SHAPES: dict[str, Case] = {
    "depth 32": Case(call("[" * 30 + "]" * 30), STORED),
    "depth 33": Case(call("[" * 31 + "]" * 31), "too_deep"),
    "depth 255": Case(call("[" * 253 + "]" * 253), "too_deep"),
    "depth 1,025": Case(call("[" * 1_023 + "]" * 1_023), "too_deep"),
    "depth 15,000": Case(call("[" * 15_000 + "]" * 15_000), "too_deep"),
    "never closed": Case(b'{"a":' * 6_000, "too_deep"),
    "a key twice": Case(b'{"event":"A","event":"B","userId":"ann","userId":"bob","properties":{"a":1,"a":2}}', STORED),
    "an empty key": Case(call('{"":1}'), STORED),
    "`__proto__`": Case(call('{"__proto__":{"x":1},"constructor":null}'), STORED),
    "100,000 keys": Case(
        call("{" + ",".join(f'"k{number}":1' for number in range(100_000)) + "}"), "call_too_large"
    ),
    "a text of 1 MiB": Case(call('"' + "x" * 2**20 + '"'), "call_too_large"),
    "a body of 5 MiB": Case(call('"' + "x" * 5 * 2**20 + '"'), "body_too_large"),
    "an event's name of 20,000 characters": Case(told(event="x" * 20_000), STORED),
    "explicit nulls": Case(
        b'{"event":"A","userId":null,"anonymousId":"a","messageId":null,"properties":null,"context":null}', STORED
    ),
}  # fmt: skip

IDS: dict[str, Case] = {
    "an id that is `null` as text": Case(told(userId="null"), "no_subject"),
    "an id that is null": Case(told(userId=None), "no_subject"),
    "an id `undefined`": Case(told(userId="undefined"), "no_subject"),
    "an id `[object Object]`": Case(told(userId="[object Object]"), "no_subject"),
    "an id `00000`": Case(b'{"event":"A","anonymousId":"00000"}', "no_subject"),
    "an id of spaces": Case(told(userId="   "), "no_subject"),
    "an id of 200 bytes": Case(told(userId="x" * 200), STORED),
    "an id of 201 bytes": Case(told(userId="x" * 201), "no_subject"),
    "an id of 101 characters in 202 bytes": Case(told(userId="\u00e9" * 101), "no_subject"),
    "an id that is an object": Case(told(userId={}), "no_subject"),
    "a message id that is missing": Case(told(), STORED),
    "a message id that is empty": Case(told(messageId=""), STORED),
    "a message id that is a number": Case(told(messageId=7), STORED),
    "a message id of 101 characters": Case(told(messageId="x" * 101), "bad_message_id"),
    "a message id of 4,000 digits": Case(told(messageId=int("1" * 4_000)), "bad_message_id"),
    "a message id sent before": Case(told(messageId="twice"), STORED),
    "the same with another body": Case(told(messageId="twice", event="B"), STORED),
    "a merge of one with itself": Case(told(previousId="ann"), STORED, "/v1/alias"),
    "a merge of A to B": Case(told(previousId="a-ring", userId="b-ring"), STORED, "/v1/alias"),
    "and of B to A": Case(told(previousId="b-ring", userId="a-ring"), STORED, "/v1/alias"),
    "a merge by a browser": Case(told(previousId="x"), "needs_server_key", "/v1/alias", "demo-web"),
}

TIMES: dict[str, Case] = {
    "year 0": Case(told(timestamp="0000-01-01T00:00:00Z"), "bad_timestamp"),
    "year 294277": Case(told(timestamp="294277-01-01T00:00:00Z"), "bad_timestamp"),
    "year 9999": Case(told(timestamp="9999-12-31T23:59:59Z"), "time_out_of_range"),
    "year 9999 by a browser": Case(told(timestamp="9999-12-31T23:59:59Z"), STORED, key="demo-web"),
    "`infinity`": Case(told(timestamp="infinity"), "bad_timestamp"),
    "no zone": Case(told(timestamp="2026-01-01T00:00:00"), STORED),
    "a leap second": Case(told(timestamp="2016-12-31T23:59:60Z"), "bad_timestamp"),
    "a year ahead": Case(told(timestamp=_year_ahead()), STORED),
    "a year ahead by a browser": Case(told(timestamp=_year_ahead()), STORED, key="demo-web"),
    "a number": Case(told(timestamp=1_780_000_000_000), "bad_timestamp"),
}

FALSE_LINE = 'A\r\n{"event":"a false line","level":"info"}'

INJECTIONS: dict[str, Case] = {
    "`<img onerror>`": Case(told(event="<img src=x onerror=alert(1)>", userId="<img onerror>"), STORED),
    "`javascript:`": Case(told(properties={"url": "javascript:alert(1)"}, userId="javascript:x"), STORED),
    "`'; DROP`": Case(told(event="'; DROP TABLE touchpoint; --", userId="'; DROP TABLE touchpoint"), STORED),
    "`=HYPERLINK(`": Case(told(event='=HYPERLINK("http://x.example")', userId="=HYPERLINK(1)"), STORED),
    "CRLF and a false log line": Case(told(event=FALSE_LINE, userId=FALSE_LINE), STORED),
    "ANSI escapes": Case(told(event="\u001b[2J\u001b]0;x\u0007", userId="\u001b[31mann"), STORED),
    "`{{7*7}}`": Case(told(event="{{7*7}}${7*7}", userId="{{7*7}}"), STORED),
    "`<!channel>`": Case(told(event="<!channel>", properties={"name": "<!channel>"}), STORED),
}

BATCHES: dict[str, Case] = {
    name: Case(body, code, "/v1/batch")
    for name, body, code in (
        ("a batch of 0", b'{"batch":[]}', "empty_batch"),
        ("no `batch`", b"{}", "bad_batch"),
        ("a batch that is null", b'{"batch":null}', "bad_batch"),
        ("a batch that is an object", b'{"batch":{}}', "bad_batch"),
        ("an array", b"[]", "not_an_object"),
        ("a batch of the limit", b'{"batch":[' + b",".join([b'{"type":"page","userId":"ann"}'] * 2_500) + b"]}", STORED),
        ("a batch of the limit and 1", b'{"batch":[' + b",".join([b"{}"] * 2_501) + b"]}", "too_many_calls"),
        ("a batch of two million numbers", b'{"batch":[' + b"1," * 1_900_000 + b"1]}", "too_many_calls"),
        ("calls of every kind of value", b'{"batch":[1,null,"x",[],true,{}]}', "none_accepted"),
        ("one bad call among good ones", b'{"batch":[{"type":"page","userId":"ann"},1]}', STORED),
        ("a context that is text", b'{"batch":[{}],"context":"x"}', "bad_context"),
        ("a deep context", b'{"batch":[{}],"context":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "too_deep"),
        ("a context with 1e400", b'{"batch":[{}],"context":{"a":1e400}}', "bad_number"),
        ("a context with a NUL", b'{"batch":[{}],"context":{"a":"\\u0000"}}', "bad_character"),
        ("a context that multiplies", b'{"context":{"a":"' + b"x" * 30_000 + b'"},"batch":['
         + b",".join([b'{"type":"page","userId":"a"}'] * 2_000) + b"]}", "body_too_large"),
        ("`sentAt` that is no time", b'{"batch":[{}],"sentAt":"now"}', "bad_timestamp"),
        ("`sentAt` of 1e999", b'{"batch":[{}],"sentAt":1e999}', "bad_timestamp"),
        ("a deep batch", b'{"batch":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
        ("no UTF-8 beside the calls", b'{"batch":[{}],"writeKey":"\xff"}', "invalid_utf8"),
        ("a batch cut short", b'{"batch":[{"type":"page","userId":"ann"}', "invalid_json"),
        ("two million escapes and half a character",
         b'{"batch":[{"type":"page","userId":"a","x":"' + b"\\\\" * 2_000_000 + b'\\ud800"}]}', "none_accepted"),
    )
}  # fmt: skip

_ZIPPED = gzip.compress(told())
ZIPS: dict[str, Case] = {
    "a gzip bomb of 256 MiB": Case(gzip.compress(b"\0" * 2**28), "body_too_large", encoding="gzip"),
    "a gzip bomb without a header": Case(gzip.compress(b"\0" * 2**28), "body_too_large"),
    "gzip in gzip": Case(gzip.compress(_ZIPPED), "invalid_utf8", encoding="gzip"),
    "gzip that says it is none": Case(_ZIPPED, "invalid_utf8", encoding="identity"),
    "gzip without a header": Case(_ZIPPED, STORED),
    "JSON that says it is gzip": Case(told(), "bad_gzip", encoding="gzip"),
    "gzip cut short": Case(_ZIPPED[:-4], "bad_gzip", encoding="gzip"),
    "bytes behind gzip": Case(_ZIPPED + b"x", "bad_gzip", encoding="gzip"),
    "gzip of a thousand members": Case(_ZIPPED + gzip.compress(b"") * 1_000, "bad_gzip", encoding="gzip"),
    "an empty body that says it is gzip": Case(b"", "bad_gzip", encoding="gzip"),
    "deflate": Case(told(), "bad_encoding", encoding="deflate"),
    "br": Case(told(), "bad_encoding", encoding="br"),
    "gzip twice": Case(_ZIPPED, "bad_encoding", encoding="gzip, gzip"),
}

CALLS: dict[str, dict[str, Case]] = {
    "Texts": TEXTS,
    "Numbers": NUMBERS,
    "Shapes and sizes": SHAPES,
    "Ids": IDS,
    "Times": TIMES,
    "What means something to somebody else": INJECTIONS,
    "Batches": BATCHES,
    "Compression": ZIPS,
}
"""By the heading of the page."""
