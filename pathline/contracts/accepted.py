"""The record of an accepted touchpoint on the touchpoints topic: an envelope around the call as it was sent.

The collector decodes a call once, into the few fields it needs, and copies its bytes into the
envelope; readers decode the whole. `encode` and `decode` are the two ends of that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

VERSION: Final = 1


class Call(msgspec.Struct, rename="camel", gc=False):
    """A Segment call as its sender wrote it. Ids may be numbers; explicit nulls are as good as absent."""

    type: str = "track"
    event: Any = None
    name: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    traits: msgspec.Raw = msgspec.Raw(b"{}")
    context: Any = None


class Accepted(msgspec.Struct, gc=False):
    """The value of a record. Times are UTC."""

    v: int
    source: str
    namespace: str
    trusted: bool
    library: str
    """What kind of sender: web, app, server or other."""
    received_at: datetime
    occurred_at: datetime
    """By the sender's clock, corrected."""
    message_id: str
    call: Call
    clamped: bool = False
    historical: bool = False
    privacy_signal: bool = False
    """Whether the browser that sent it sends Global Privacy Control."""
    shared: Any = None
    """The context of the batch that the call came in, where there was one."""


class _Head(msgspec.Struct, omit_defaults=True, gc=False):
    """All of the record but the two parts that are copied as bytes."""

    v: int
    source: str
    namespace: str
    trusted: bool
    library: str
    received_at: datetime
    occurred_at: datetime
    message_id: str
    clamped: bool = False
    historical: bool = False


class _Common(msgspec.Struct, omit_defaults=True, gc=False):
    """The part of the record that all calls of one request share."""

    v: int
    source: str
    namespace: str
    trusted: bool
    received_at: datetime
    historical: bool = False
    privacy_signal: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Accepted)


def decode(value: bytes) -> Accepted:
    """Read a record's value.

    Raises:
        msgspec.DecodeError: it is no accepted touchpoint.
    """
    return _decoder.decode(value)


def encode(
    call: bytes,
    *,
    source: str,
    namespace: str,
    trusted: bool,
    library: str,
    received_at: datetime,
    occurred_at: datetime,
    message_id: str,
    clamped: bool = False,
    historical: bool = False,
    shared: bytes | None = None,
) -> bytes:
    """The value of a record. `call` and `shared` are JSON objects, checked by then, that stay as they were sent."""
    head = _encoder.encode(
        _Head(
            VERSION, source, namespace, trusted, library, received_at, occurred_at, message_id, clamped, historical
        )
    )  # fmt: skip
    if shared is None:
        return b'%b,"call":%b}' % (head[:-1], call)
    return b'%b,"shared":%b,"call":%b}' % (head[:-1], shared, call)


class Envelope:
    """What `encode` writes for the calls of one request, with what they share encoded once."""

    __slots__ = ("_by_library", "_clamped", "_received_at", "_start", "_then", "_to_call")

    def __init__(
        self,
        *,
        source: str,
        namespace: str,
        trusted: bool,
        received_at: datetime,
        historical: bool = False,
        privacy_signal: bool = False,
        shared: bytes | None = None,
    ) -> None:
        """Take what they share; `shared` is a JSON object, checked by then."""
        common = _encoder.encode(_Common(VERSION, source, namespace, trusted, received_at, historical, privacy_signal))
        self._start = common[:-1]
        self._received_at = received_at
        self._then = _encoder.encode(received_at)
        self._to_call = b',"call":' if shared is None else b',"shared":%b,"call":' % shared
        self._clamped = b',"clamped":true' + self._to_call
        self._by_library: dict[str, bytes] = {}

    def around(
        self, call: bytes, library: str, occurred_at: datetime, message_id: str, *, clamped: bool = False
    ) -> bytes:
        """The value of a record. `call` is a JSON object, checked by then, that stays as it was sent."""
        # Most calls of servers give no time of their own: it is encoded once with the receipt's.
        when = self._then if occurred_at is self._received_at else _encoder.encode(occurred_at)
        start = self._by_library.get(library) or self._start_for(library)
        to_call = self._clamped if clamped else self._to_call
        return b"".join((start, when, b',"message_id":', _encoder.encode(message_id), to_call, call, b"}"))

    def _start_for(self, library: str) -> bytes:
        """What comes before the time, for a kind of sender: there are four, kept for the calls that follow."""
        start = b'%b,"library":%b,"occurred_at":' % (self._start, _encoder.encode(library))
        self._by_library[library] = start
        return start
