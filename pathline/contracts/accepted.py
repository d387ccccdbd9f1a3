"""The record of an accepted touchpoint on the touchpoints topic: an envelope around the call as it was sent.

The collector decodes a call once, into the few fields it needs, and copies its bytes into the
envelope; readers decode the whole. `encode` and `decode` are the two ends of that.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

VERSION: Final = 1
"""What is written: the least version whose readers understand it. New fields that an older reader may leave out of
account do not raise it."""

READABLE: Final = 2
"""The highest version that is read. One of 2 leaves out what its call or another field says: a message id that is the
call's own, a time of occurrence that is the one of receipt. Nothing writes it: an older reader takes it for broken."""

UNSENT: Final = msgspec.Raw(b"{}")
"""What stands for properties or traits that a call does not have."""

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
    timestamp: Any = None
    original_timestamp: Any = None
    properties: msgspec.Raw = UNSENT
    traits: msgspec.Raw = UNSENT
    context: Any = None


class NewerRecordError(msgspec.DecodeError):
    """A newer version of Pathline wrote the record: what it says may be more than we can read."""


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


class _Versioned(msgspec.Struct, gc=False):
    """What records of every version have, so that something else which lies there is not taken for a newer one."""

    v: int
    source: str
    namespace: str


class _Common(msgspec.Struct, omit_defaults=True, gc=False):
    """The part of the record that all calls of one request share."""

    v: int
    source: str
    namespace: str
    trusted: bool
    received_at: datetime
    historical: bool = False
    privacy_signal: bool = False


_encode = encode_text = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Accepted)
_versions = msgspec.json.Decoder(_Versioned)


def decode(value: bytes) -> Accepted:
    """Read a record's value.

    Raises:
        NewerRecordError: it is one of a newer version; whoever writes what it says must stop here.
        msgspec.DecodeError: it is no accepted touchpoint.
    """
    try:
        record = _decoder.decode(value)
    except msgspec.ValidationError:
        # A newer one may be without a field that this version needs.
        _check_version(_version_of(value))
        raise
    _check_version(record.v)
    if record.occurred_at is _UNSAID:
        record.occurred_at = record.received_at
    if not record.message_id:
        if type(record.call.message_id) is not str:
            message = "neither the record nor its call has a message id"
            raise msgspec.ValidationError(message)
        record.message_id = record.call.message_id
    return record


def _version_of(value: bytes) -> int:
    """The version that a record says, 0 where it says none."""
    with suppress(ValueError, RecursionError):
        return _versions.decode(value).v
    return 0


def _check_version(version: int) -> None:
    if version > READABLE:
        message = f"a record is of version {version}, this process reads up to {READABLE}"
        raise NewerRecordError(message)


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
    privacy_signal: bool = False,
    shared: bytes | None = None,
) -> bytes:
    """The value of a record. `call` and `shared` are JSON objects, checked by then, that stay as they were sent."""
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
        common = _encode(_Common(VERSION, source, namespace, trusted, received_at, historical, privacy_signal))
        self._start = common[:-1]
        self._received_at = received_at
        self._then = _encode(received_at)
        self._to_call = b',"call":' if shared is None else b',"shared":%b,"call":' % shared
        self._clamped = b',"clamped":true' + self._to_call
        self._by_library: dict[str, bytes] = {}

    def around(
        self, call: bytes, library: str, occurred_at: datetime, message_id: str, *, clamped: bool = False
    ) -> bytes:
        """The value of a record. `call` is a JSON object, checked by then, that stays as it was sent."""
        said = _encode(message_id)
        if occurred_at is self._received_at and not clamped:
            # Most calls of servers give no time of their own: what comes before their ids is the same.
            start = self._by_library.get(library) or self._start_for(library)
            return b"".join((start, said, self._to_call, call, b"}"))
        to_call = self._clamped if clamped else self._to_call
        start = self._start_at(library, _encode(occurred_at))
        return b"".join((start, said, to_call, call, b"}"))

    def usual(self, library: str) -> tuple[bytes, bytes]:
        """What comes before the id and the call of most of a sender's calls, and what comes between these."""
        return self._by_library.get(library) or self._start_for(library), self._to_call

    def _start_for(self, library: str) -> bytes:
        """What comes before the id of a call of no other time: four kinds send, kept for those that follow."""
        start = self._start_at(library, self._then)
        self._by_library[library] = start
        return start

    def _start_at(self, library: str, when: bytes) -> bytes:
        """What comes before the id of a call of this time."""
        return b'%b,"library":%b,"occurred_at":%b,"message_id":' % (self._start, _encode(library), when)
