"""What the collector refuses of a known key, kept as dead letters: within bounds, and in the way of nothing good.

The answer waits for their acks as it waits for those of good calls. Where they can't be written it is the same answer:
it names what was refused, and a sender that sends all again would be refused again. The metric says that they are lost.
A provider of webhooks reads no answer: it is put off, and delivers again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from murmurhash2 import murmurhash2

from pathline.contracts.letters import COLLECTOR, Around, Letter, encode
from services.ingest.addresses import truncated
from services.ingest.lanes import Headers, NotStoredError
from services.ingest.sources import PREFIX
from services.ingest.subject import JAVA_SEED, POSITIVE

if TYPE_CHECKING:
    from pathline.storage.keys import Addresses
    from services.ingest.codes import Refused
    from services.ingest.metrics import IngestMetrics
    from services.ingest.passes import Pass
    from services.ingest.settings import IngestSettings
    from services.ingest.store import Store

BURST_SECONDS: Final = 60
"""How many seconds' worth may come at once: a batch or two that went wrong as a whole."""

KEYS_KNOWN: Final = 10_000
"""Keys whose share is remembered; one that is forgotten starts with a full one."""

SOURCE_SHARE: Final = 10
"""A source of webhooks has the share of so many keys: its provider is told that all is well, and repeats nothing."""

WAITING_BYTES_MAX: Final = 16 * 1_048_576
"""Bytes of letters that wait for acks, at most, of all keys together."""

SECRET_LEAST: Final = 16
"""A write key shorter than that is an example, and may be a word of the text that it stands in."""

SECRET_MOST: Final = 300
"""Longer than a write key, or an address with its name, can be."""

BLANK: Final = b"(write key)"
_IP: Final = re.compile(rb'"(?:i|\\u0069)(?:p|\\u0070)"\s*:\s*')
_ADDRESS: Final = re.compile(rb'"([^"\\]{0,64})"')
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z|\\)|[\[{]|[\]}]', re.DOTALL)
_SIMPLE: Final = re.compile(rb"[^\s,\]}]*")

Acks = Collection[asyncio.Future[None]]


class _Letter(msgspec.Struct, gc=False):
    """What a lane is given."""

    key: bytes
    hash: int
    value: bytes


class Share:
    """What a key may still have kept, in letters and in bytes. Whoever has some left may go below once."""

    __slots__ = ("_at", "_bytes", "_letters")

    def __init__(self, letters: float, count: float, now: float) -> None:
        """Fill it, at `now`, with so many letters and bytes."""
        self._letters = letters
        self._bytes = count
        self._at = now

    def take(self, size: int, now: float, letters_per_second: int, bytes_per_second: int) -> bool:
        """Take a letter of this size, if that may be."""
        passed, self._at = now - self._at, now
        most = letters_per_second * BURST_SECONDS, bytes_per_second * BURST_SECONDS
        self._letters = min(most[0], self._letters + passed * letters_per_second)
        self._bytes = min(most[1], self._bytes + passed * bytes_per_second)
        if self._letters < 1 or self._bytes <= 0:
            return False
        self._letters -= 1
        self._bytes -= size
        return True


class DeadLetters:
    """Where refused calls go. One for a process."""

    def __init__(self, settings: IngestSettings, store: Store, metrics: IngestMetrics) -> None:
        """Write by `store`, each key within the bounds of `settings`."""
        self._bytes_max = settings.dead_letter_bytes_max
        self._per_second = settings.dead_letters_per_second, settings.dead_letter_bytes_per_second
        self._store = store
        self._metrics = metrics
        self._shares: OrderedDict[str, Share] = OrderedDict()
        self._waiting = 0

    def put(
        self, raw: bytes, refused: Refused, key: Pass, received_at: datetime, around: Around, traced: Headers = ()
    ) -> Acks:
        """Have a refused call written, or counted where that can't be or its key has had its share.

        The write key itself and what its policy says of addresses hold here, too: neither gets into a letter.

        Args:
            raw: its bytes as they were sent; the first of them are kept.
            refused: why.
            key: who sent it.
            received_at: when.
            around: what stood around the call and decides what it means.
            traced: headers that go with it.

        Returns:
            What to wait for, with `written`; nothing where the key has had its share.
        """
        size = min(len(raw), self._bytes_max) + len(around.context or b"")
        if self._waiting + size > WAITING_BYTES_MAX:
            self._metrics.letters_dropped.inc()
            return _lost()
        if not self._may(key.name, size):
            self._metrics.letters_dropped.inc()
            return ()
        if around.context is not None and len(around.context) > self._bytes_max:
            around = msgspec.structs.replace(around, context=None, context_size=len(around.context))
        # Cut last, so that no half of a secret is left at the end.
        value = _cleared(raw[: self._bytes_max + SECRET_MOST], key)[: self._bytes_max]
        letter = Letter(
            stage=COLLECTOR,
            code=refused.code,
            message=refused.message,
            topic=self._store.topic,
            source=key.name,
            namespace=key.namespace,
            received_at=received_at,
            size=len(raw) if len(raw) > self._bytes_max else None,
            headers=(*traced, *around.to_headers()),
        )
        return self._write(_Letter(*_key(key.name), value), encode(letter), int(received_at.timestamp() * 1_000))

    def _may(self, name: str, size: int) -> bool:
        now = time.monotonic()
        times = SOURCE_SHARE if name.startswith(PREFIX) else 1
        letters, count = (times * most for most in self._per_second)
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(letters * BURST_SECONDS, count * BURST_SECONDS, now)
            if len(self._shares) > KEYS_KNOWN:
                self._shares.popitem(last=False)
        return share.take(size, now, letters, count)

    def _write(self, record: _Letter, headers: Headers, timestamp_ms: int) -> Acks:
        lanes = self._store.letters
        try:
            acks = () if lanes is None else lanes.lane_of(record.hash).add((record,), timestamp_ms, headers)
        except NotStoredError:
            acks = ()
        if not acks:
            self._metrics.letters_lost.inc()
            return _lost()
        size = len(record.value)
        self._waiting += size
        for ack in acks:
            ack.add_done_callback(partial(self._settled, size))
        return acks

    def _settled(self, size: int, ack: asyncio.Future[None]) -> None:
        self._waiting -= size
        stored = not ack.cancelled() and ack.exception() is None
        (self._metrics.letters_stored if stored else self._metrics.letters_lost).inc()


async def written(acks: Acks) -> bool:
    """Wait until they are written, or can't be, no longer than a good call is waited for; whether all of them are."""
    kept = True
    for ack in acks:
        try:
            await ack
        except NotStoredError:
            kept = False
    return kept


def _lost() -> Acks:
    """What to wait for where a letter cannot be written."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    lost.set_exception(NotStoredError())
    return (lost,)


def _key(name: str) -> tuple[bytes, int]:
    """Letters of one source go to one partition, in order."""
    key = name.encode()
    return key, murmurhash2(key, JAVA_SEED) & POSITIVE


def _cleared(raw: bytes, key: Pass) -> bytes:
    """Without the secret, and without an address that the key's policy keeps from us."""
    for secret in (key.key.key, key.key.old_key):
        if secret is not None and len(secret) >= SECRET_LEAST:
            raw = raw.replace(secret.encode(), BLANK)
    return raw if key.addresses == "full" else _without_addresses(raw, key.addresses)


def _without_addresses(raw: bytes, keep: Addresses) -> bytes:
    """A text, which need not be JSON to its end, with what may be kept of each `ip`, whatever its form."""
    parts: list[bytes] = []
    at = 0
    for found in _IP.finditer(raw):
        if found.start() >= at:
            end = _end_of_value(raw, found.end())
            parts += raw[at : found.end()], _address(raw[found.end() : end], keep)
            at = end
    return b"".join((*parts, raw[at:]))


def _end_of_value(raw: bytes, start: int) -> int:
    """Where the value that begins there ends, or the text where it does before."""
    if raw[start : start + 1] not in {b'"', b"[", b"{"}:
        simple = _SIMPLE.match(raw, start)
        return len(raw) if simple is None else simple.end()
    depth = 0
    for token in _TOKEN.finditer(raw, start):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth <= 0:
            return token.end()
    return len(raw)


def _address(value: bytes, keep: Addresses) -> bytes:
    given = _ADDRESS.fullmatch(value) if keep == "truncated" else None
    kept = None if given is None else truncated(given[1].decode("ascii", "replace"))
    return b"null" if kept is None else b'"%b"' % kept.encode()
