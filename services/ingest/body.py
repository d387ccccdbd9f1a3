"""The bytes of a request: received within bounds, counted while they are held, inflated once."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from services.ingest.codes import Refused
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import CROWDED, Pass

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_MEMBERS_MAX: Final = 16
"""A body is one member; those who append to a file send a few."""

_WITH_GZIP_HEADER: Final = 31
DROPPED_TIMES: Final = 4
"""So many times the most that is taken is read and dropped before a refusal, so that the sender reads the answer."""

TOO_LARGE: Final = Refused("body_too_large", "the body is larger than this collector takes")
OVERLOADED: Final = Refused("overloaded", "the collector holds as much as it may; try again")
BAD_GZIP: Final = Refused("bad_gzip", "the body is no gzip, or is cut short")
BAD_ENCODING: Final = Refused("bad_encoding", "Content-Encoding is gzip or identity")


class GoneError(Exception):
    """The sender went away before its request was complete."""


class Held:
    """The bytes that all requests hold together, bounded.

    Those of requests that are still coming in get a half of the room at most: senders who never come to an end cannot
    keep out those whose calls are here whole.
    """

    def __init__(self, most: int, metrics: IngestMetrics) -> None:
        """Hold at most so many."""
        self._most = most
        self.now = 0
        self.unfinished = 0
        metrics.bytes_in_flight.set_function(lambda: self.now)

    def take(self, count: int, *, unfinished: bool = False) -> bool:
        """Hold `count` more, if that may be."""
        if self.now + count > self._most or (unfinished and self.unfinished + count > self._most // 2):
            return False
        self.now += count
        if unfinished:
            self.unfinished += count
        return True

    def give(self, count: int) -> None:
        """Hold `count` fewer."""
        self.now -= count


class Body:
    """One request's bytes. Whatever happens, `release` gives back what it holds."""

    def __init__(self, held: Held, most: int) -> None:
        """Receive at most `most` bytes, of the wire and inflated."""
        self._held = held
        self._most = most
        self._mine = 0
        self._coming = 0
        self._owner: Pass | None = None
        self.ended = False
        """Whether all of it was received: then the connection can be used again, whatever is answered."""

    def _hold(self, count: int, *, unfinished: bool = False) -> bool:
        if not self._held.take(count, unfinished=unfinished):
            return False
        self._mine += count
        if unfinished:
            self._coming += count
        return True

    def hold(self, count: int) -> Refused | None:
        """Answer for `count` bytes more that the request made."""
        if not self._hold(count):
            return OVERLOADED
        if self._owner is not None and not self._owner.hold(count):
            self._held.give(count)
            self._mine -= count
            return CROWDED
        return None

    def charge(self, owner: Pass) -> Refused | None:
        """From now on what is held is this key's, within its own room: one sender cannot use up that of all."""
        if not owner.hold(self._mine):
            return CROWDED
        self._owner = owner
        return None

    def release(self) -> None:
        """The request is answered."""
        self._held.give(self._mine)
        if self._owner is not None:
            self._owner.held -= self._mine
        self._finished()
        self._mine = 0

    def _finished(self) -> None:
        self._held.unfinished -= self._coming
        self._coming = 0

    async def receive(self, receive: Receive, refused: Refused | None = None) -> bytes | Refused:
        """All of it; what is `refused` already is read but not held, so that its sender reads the answer.

        Raises:
            GoneError: the sender went away.
        """
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return self.whole(first, refused)
        return await self._rest(first, receive, refused)

    def whole(self, raw: bytes, refused: Refused | None = None) -> bytes | Refused:
        """The same, where all of it is there."""
        self.ended = True
        if refused is not None:
            return refused
        if len(raw) > self._most:
            return TOO_LARGE
        return raw if self._hold(len(raw)) else OVERLOADED

    async def _rest(self, first: bytes, receive: Receive, refused: Refused | None) -> bytes | Refused:
        parts, size = [first], len(first)
        refused = refused or self._grown(size, size)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            part: bytes = message.get("body", b"")
            more = bool(message.get("more_body"))
            size += len(part)
            if refused is None:
                refused = self._grown(len(part), size)
                parts.append(part)
            if refused is not None:
                parts.clear()
                self.release()
                if size > DROPPED_TIMES * self._most:
                    return refused
        self.ended = True
        self._finished()
        return refused or b"".join(parts)

    def _grown(self, count: int, size: int) -> Refused | None:
        if size > self._most:
            return TOO_LARGE
        return None if self._hold(count, unfinished=True) else OVERLOADED

    def plain(self, raw: bytes, encoding: bytes) -> bytes | Refused:
        """The body inflated, where it is gzip by its header or, with none, by its first bytes."""
        named = encoding.strip().lower()
        if named in {b"gzip", b"x-gzip"} or (not named and raw[:2] == GZIP_MAGIC):
            inflated = inflate(raw, self._most)
            if isinstance(inflated, Refused):
                return inflated
            return self.hold(len(inflated)) or inflated
        return raw if named in {b"", b"identity"} else BAD_ENCODING


def inflate(raw: bytes, most: int) -> bytes | Refused:
    """The content of a gzip text of one or a few members, at most `most` bytes of it."""
    parts, left = [], most
    for _ in range(GZIP_MEMBERS_MAX):
        member = zlib.decompressobj(_WITH_GZIP_HEADER)
        try:
            part = member.decompress(raw, left + 1)
        except zlib.error:
            return BAD_GZIP
        left -= len(part)
        if left < 0:
            return TOO_LARGE
        if not member.eof:
            return BAD_GZIP
        parts.append(part)
        raw = member.unused_data
        if not raw:
            return b"".join(parts)
    return BAD_GZIP
