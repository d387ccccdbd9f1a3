"""Other ways in which touchpoints are sent: each is translated to calls, and answered as its senders expect it.

A dialect is pure. The collector receives the body within bounds, finds the key, and takes each call as one of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.ingest.answers import Answer, HeaderMap
from services.ingest.codes import Refused


class Asked(NamedTuple):
    """What a dialect sees of a request. Names of headers are in lower case; `raw` is the body, inflated."""

    method: str
    path: str
    query: bytes
    headers: HeaderMap
    raw: bytes


class Translated(NamedTuple):
    """What a dialect makes of it."""

    calls: Sequence[bytes | Refused]
    """Each a JSON object of a call with its `type`; a Refused stands for an item that is none."""
    key: object = None
    """The write key that the content names; one in a header or the query goes before it."""
    sent_at: object = None
    """When the whole was sent, in ISO 8601."""
    sent: Sequence[bytes] = ()
    """Where some of several are no calls: what was sent for each, to be kept as it was."""


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
