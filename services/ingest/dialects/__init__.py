"""Other ways in which touchpoints are sent: each is translated to calls, and answered as its senders expect it.

A dialect is pure. The collector receives the body within bounds, finds the key, and takes each call as one of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.ingest.answers import Answer, HeaderMap
from services.ingest.codes import Refused


class Bounds(NamedTuple):
    """What of a request is made something of at all; the desk is stricter with what was made."""

    calls: int = 10_000
    """Calls of it: `PATHLINE_BATCH_CALLS_MAX`, or the most that this can be set to."""
    event_bytes: int = 1_048_576
    """Bytes of one event. Its call may be smaller than itself, but hardly by half."""


class Asked(NamedTuple):
    """What a dialect sees of a request. Names of headers are in lower case; `raw` is the body, inflated."""

    method: str
    path: str
    query: bytes
    headers: HeaderMap
    raw: bytes
    shown: Sequence[str] = ()
    """The secrets of the key that a header or the query shows; none where the content must show it."""
    bounds: Bounds = Bounds()


class Made(NamedTuple):
    """What a dialect makes of one event."""

    call: bytes | Refused
    """A JSON object of a call with its `type`; or why it is none."""
    sent: bytes = b""
    """Of what is none, to be kept: the event as it was sent."""


class Translated(NamedTuple):
    """What a dialect makes of it."""

    calls: Sequence[Made]
    key: object = None
    """The write key that the content names; one in a header or the query goes before it."""
    sent_at: object = None
    """When the whole was sent, in ISO 8601."""
    alone: bool = False
    """Whether it is one event by its form: then what is wrong with it is answered for the request."""


class Shown(NamedTuple):
    """An answer. The collector adds its length, what browsers need of other origins, and Retry-After."""

    status: int
    content: bytes
    headers: Sequence[tuple[bytes, bytes]]


class Dialect(NamedTuple):
    """How one kind of sender is understood."""

    name: str
    """As metrics call it."""
    methods: tuple[str, ...]
    translate: Callable[[Asked], Translated | Refused]
    show: Callable[[Answer, Asked], Shown] | None = None
    """None: the JSON of all other addresses."""
    keyed: bool = True
    """Whether its content can show a write key. Where it cannot, nothing is read for one who shows none."""
