"""Hostile bytes on the wire: whole requests, and what is answered to them."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.hostile import STORED, told

BODY = told()
LENGTH = b"content-length: %d\r\n" % len(BODY)
CLOSE = b"connection: close\r\n"
START = b"POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo\r\n"
CHUNKED = START + b"transfer-encoding: chunked\r\n\r\n"


class Wire(NamedTuple):
    """Bytes, and the code they are answered with."""

    raw: bytes
    code: str


def sent(line: bytes = b"POST /v1/track HTTP/1.1", *more: bytes, key: bytes = b"Bearer demo") -> bytes:
    """A whole good request, but for this."""
    headers = b"".join(b"%b\r\n" % header for header in more)
    return b"%b\r\nhost: x\r\nauthorization: %b\r\n%b%b%b\r\n%b" % (line, key, headers, LENGTH, CLOSE, BODY)


def _to(path: bytes, code: str) -> Wire:
    return Wire(sent(b"POST %b HTTP/1.1" % path), code)


def _unlike(*headers: bytes) -> bytes:
    """A request whose length is told in these headers alone."""
    return START + b"".join(b"%b\r\n" % header for header in headers) + CLOSE + b"\r\n" + BODY


def _in_chunks(coding: bytes) -> bytes:
    coded = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    return START + b"transfer-encoding: " + coding + b"\r\n" + CLOSE + b"\r\n" + coded


NO_HTTP: dict[str, Wire] = {
    "a line of text": Wire(b"hello\r\n\r\n", "bad_request"),
    "a TLS hello": Wire(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "bad_request"),
    "the preface of HTTP/2": Wire(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", "bad_request"),
    "HTTP/3.7": Wire(b"GET / HTTP/3.7\r\nhost: x\r\n\r\n", "bad_request"),
    "HTTP/0.9": Wire(b"GET /\r\n\r\n", "not_found"),
    "HTTP/1.0": Wire(sent(b"POST /v1/track HTTP/1.0"), STORED),
    "no Host": Wire(sent().replace(b"host: x\r\n", b""), STORED),
    "two Hosts": Wire(sent(b"POST /v1/track HTTP/1.1", b"host: y"), STORED),
    "`CONNECT`": Wire(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", "bad_request"),
}

LENGTHS: dict[str, Wire] = {
    "two lengths": Wire(_unlike(LENGTH[:-2], b"content-length: 3"), "bad_request"),
    "the same length twice": Wire(_unlike(LENGTH[:-2], LENGTH[:-2]), "bad_request"),
    "a list of lengths": Wire(_unlike(b"content-length: 28, 28"), "bad_request"),
    "a length with a sign": Wire(_unlike(b"content-length: +28"), "bad_request"),
    "a negative length": Wire(_unlike(b"content-length: -1"), "bad_request"),
    "a length in hex": Wire(_unlike(b"content-length: 0x1c"), "bad_request"),
    "a length beyond 64 bits": Wire(_unlike(b"content-length: 99999999999999999999"), "bad_request"),
    "an empty length": Wire(_unlike(b"content-length:"), "bad_request"),
    "a length and chunks": Wire(_unlike(LENGTH[:-2], b"transfer-encoding: chunked"), "bad_request"),
    "a coding that is none": Wire(_in_chunks(b"xchunked"), "bad_request"),
    "chunked, then identity": Wire(_in_chunks(b"chunked, identity"), "bad_request"),
    "chunked twice": Wire(_in_chunks(b"chunked, chunked"), "bad_request"),
    "a chunk of no size": Wire(CHUNKED + b"zz\r\n", "bad_request"),
    "a good call in chunks": Wire(_in_chunks(b"Chunked"), STORED),
}

HEADS: dict[str, Wire] = {
    "a space before the colon": Wire(_unlike(b"content-length : %d" % len(BODY)), "bad_request"),
    "a folded header": Wire(sent(b"POST /v1/track HTTP/1.1", b"x: a\r\n b"), "bad_request"),
    "bare line feeds": Wire(sent().replace(b"\r\n", b"\n"), "bad_request"),
    "a header with a NUL": Wire(START + b"x: a\0b\r\n\r\n", "bad_request"),
    "a header of 1 MB": Wire(START + b"x: " + b"x" * 2**20 + b"\r\n\r\n", "headers_too_large"),
    "a header of 20 KB": Wire(sent(b"POST /v1/track HTTP/1.1", b"x: " + b"x" * 20_000), "headers_too_large"),
    "a request line of 64 KB": Wire(sent(b"POST /" + b"x" * 65_536 + b" HTTP/1.1"), "headers_too_large"),
    "an address of 20 KB": Wire(sent(b"POST /" + b"x" * 20_000 + b" HTTP/1.1"), "headers_too_large"),
    "101 headers": Wire(START + b"".join(b"x%d: y\r\n" % number for number in range(101)) + b"\r\n", "headers_too_large"),
    "100,000 headers": Wire(
        START + b"".join(b"x%d: y\r\n" % number for number in range(100_000)) + b"\r\n", "headers_too_large"
    ),
    "100,000 headers behind the body": Wire(
        CHUNKED + b"0\r\n" + b"".join(b"x%d: y\r\n" % number for number in range(100_000)), "headers_too_large"
    ),
    "a header of 1 MB behind the body": Wire(CHUNKED + b"0\r\nx: " + b"y" * 2**20, "headers_too_large"),
    "a chunk's extension of 1 MB": Wire(CHUNKED + b"5;" + b"x" * 2**20, "headers_too_large"),
}  # fmt: skip

ADDRESSES: dict[str, Wire] = {
    "the absolute form": _to(b"http://elsewhere.example/v1/track", STORED),
    "the absolute form with a port that is none": _to(b"http://x:999999/v1/track", "bad_request"),
    "`*`": _to(b"*", "not_found"),
    "a query alone": _to(b"?x", "bad_request"),
    "a doubled slash": _to(b"/v1//track", "not_found"),
    "a doubled slash in front": _to(b"//v1/track", "not_found"),
    "a slash behind": _to(b"/v1/track/", "not_found"),
    "an encoded letter": _to(b"/v1/%74rack", STORED),
    "dots": _to(b"/v1/../v1/track", "not_found"),
    "encoded dots": _to(b"/v1/%2e%2e/v1/track", "not_found"),
    "an encoded NUL": _to(b"/v1/track%00", "not_found"),
    "an encoded line end": _to(b"/v1/track%0d%0aset-cookie:%20a=b", "not_found"),
    "encoded bytes that are no UTF-8": _to(b"/v1/%ff", "not_found"),
    "letters beyond ASCII": _to("/v1/tr\u00e1ck".encode(), "bad_request"),
    "a parameter": _to(b"/v1/track;x=1", "not_found"),
    "a query of 3,000 fields": _to(b"/v1/track?" + b"x=1&" * 3_000, STORED),
    "a query that is no text": _to(b"/v1/track?%ff=%zz&writeKey=%00", STORED),
}

METHODS: dict[str, Wire] = {
    "`GET`, `PUT`, `DELETE`, `PATCH`, `TRACE`": Wire(sent(b"PUT /v1/track HTTP/1.1"), "method_not_allowed"),
    **{f"`{name}`": Wire(sent(f"{name} /v1/track HTTP/1.1".encode()), code) for name, code in (
        ("PROPFIND", "method_not_allowed"), ("BREW", "bad_request"), ("post", "bad_request"), ("A" * 100, "bad_request"),
    )},
    "another expectation than 100-continue": Wire(sent(b"POST /v1/track HTTP/1.1", b"expect: the-best"), STORED),
}  # fmt: skip

KEYS: dict[str, Wire] = {
    "no key": Wire(sent(key=b""), "missing_key"),
    "a key that nobody made": Wire(sent(key=b"Bearer nobody"), "unknown_key"),
    "a key beyond ASCII": Wire(sent(key=b"Bearer d\xe9mo"), "unknown_key"),
    "Basic beyond ASCII": Wire(sent(key=b"Basic d\xe9mo"), "missing_key"),
    "Basic of 5,000 characters": Wire(sent(key=b"Basic " + b"x" * 5_000), "missing_key"),
    "a key of 10,000 characters": Wire(sent(key=b"Bearer " + b"x" * 10_000), "unknown_key"),
    "Digest": Wire(sent(key=b"Digest x"), "missing_key"),
    "a key without a scheme": Wire(sent(key=b"demo"), "missing_key"),
    "a key with `\\0`": Wire(sent(key=b"Basic ZGVtbwA="), "unknown_key"),
    "a spoofed X-Forwarded-For with a key for this machine": Wire(
        sent(b"POST /v1/track HTTP/1.1", b"x-forwarded-for: 127.0.0.1"), "local_key"
    ),
    "a spoofed Forwarded": Wire(sent(b"POST /v1/track HTTP/1.1", b"forwarded: for=127.0.0.1"), "local_key"),
    "a key behind the body": Wire(
        b"POST /v1/track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\nauthorization: Bearer demo\r\n\r\n" % (len(BODY), BODY),
        "missing_key",
    ),
}  # fmt: skip

HALVES: dict[str, Wire] = {
    "silence": Wire(b"", "body_timeout"),
    "half a head": Wire(START, "body_timeout"),
    "half a body": Wire(START + b"content-length: 100\r\n\r\n{", "body_timeout"),
    "a chunk never ended": Wire(CHUNKED + b"64\r\n{", "body_timeout"),
    "empty lines": Wire(b"\r\n" * 100, "body_timeout"),
}

REQUESTS: dict[str, dict[str, Wire]] = {
    "What is no HTTP/1.1": NO_HTTP,
    "Lengths": LENGTHS,
    "Heads": HEADS,
    "Addresses": ADDRESSES,
    "Methods": METHODS,
    "Keys": KEYS,
    "Requests that do not come to an end": HALVES,
}
"""By the heading of the page."""
