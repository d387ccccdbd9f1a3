"""The record of an accepted touchpoint on the touchpoints topic: an envelope around the call as it was sent.

The collector decodes a call once, into the few fields it needs, and copies its bytes into the
envelope; readers decode the whole. `encode` and `decode` are the two ends of that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

VERSION: Final = 2
"""Since 2 a record does not say again what its call says (the message id) or what is the same (the time it occurred
and the time it was received): a tenth of its bytes. Records of version 1 say all of it, and are read as ever."""


_UNSAID: Final = datetime(1, 1, 1, tzinfo=UTC)


class Call(msgspec.Struct, rename="camel", gc=False):
    """A Segment call as its sender wrote it. Ids may be numbers; explicit nulls are as good as absent."""

    type: str = "track"
    event: Any = None
    name: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    message_id: Any = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    traits: msgspec.Raw = msgspec.Raw(b"{}")
    context: Any = None


class Accepted(msgspec.Struct, gc=False):
    """The value of a record, as `decode` gives it. Times are UTC."""

    v: int
    source: str
    namespace: str
    trusted: bool
    library: str
    """What kind of sender: web, app, server or other."""
    received_at: datetime
    call: Call
    occurred_at: datetime = _UNSAID
    """By the sender's clock, corrected; the time of receipt where the record says none."""
    message_id: str = ""
    """The call's own where the record says none."""
    clamped: bool = False
    historical: bool = False
    privacy_signal: bool = False
    """Whether the browser that sent it sends Global Privacy Control."""
    shared: Any = None
    """The context of the batch that the call came in, where there was one."""


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
    record = _decoder.decode(value)
    if record.occurred_at is _UNSAID:
        record.occurred_at = record.received_at
    if not record.message_id:
        if type(record.call.message_id) is not str:
            message = "neither the record nor its call has a message id"
            raise msgspec.ValidationError(message)
        record.message_id = record.call.message_id
    return record


def encode(
    call: bytes,
    *,
    source: str,
    namespace: str,
    trusted: bool,
    library: str,
    received_at: datetime,
    occurred_at: datetime,
    message_id: str | None,
    clamped: bool = False,
    historical: bool = False,
    privacy_signal: bool = False,
    shared: bytes | None = None,
) -> bytes:
    """The value of a record.

    `call` and `shared` are JSON objects, checked by then, that stay as they were sent. `message_id` is None where it is
    the call's own: text, and not empty.
    """
    envelope = Envelope(
        source=source,
        namespace=namespace,
        trusted=trusted,
        received_at=received_at,
        historical=historical,
        privacy_signal=privacy_signal,
        shared=shared,
    )
    return envelope.around(call, library, occurred_at, message_id, clamped=clamped)


class Envelope:
    """What stands around the calls of one request, with what they share encoded once."""

    __slots__ = ("_by_library", "_received_at", "_start", "_to_call")

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
        self._to_call = b',"call":' if shared is None else b',"shared":%b,"call":' % shared
        self._by_library: dict[str, bytes] = {}

    def around(
        self, call: bytes, library: str, occurred_at: datetime, message_id: str | None, *, clamped: bool = False
    ) -> bytes:
        """The value of a record. `call` is a JSON object, checked by then, that stays as it was sent."""
        if message_id is None and occurred_at is self._received_at and not clamped:
            # Most calls of servers: of those that are sent as they occur nothing is said that is not said of all.
            return b"".join((self._by_library.get(library) or self._start_for(library), call, b"}"))
        more = b"" if occurred_at is self._received_at else b',"occurred_at":%b' % _encoder.encode(occurred_at)
        if message_id is not None:
            more += b',"message_id":%b' % _encoder.encode(message_id)
        if clamped:
            more += b',"clamped":true'
        return b'%b,"library":%b%b%b%b}' % (self._start, _encoder.encode(library), more, self._to_call, call)

    def _start_for(self, library: str) -> bytes:
        """What comes before the call, for a kind of sender: there are four, kept for the calls that follow."""
        start = b'%b,"library":%b%b' % (self._start, _encoder.encode(library), self._to_call)
        self._by_library[library] = start
        return start
