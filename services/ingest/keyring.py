"""Who may send: the write keys in memory, read again every few seconds, and how a request shows its own."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

import asyncpg
from starlette.types import Scope

from pathline.kit import logging
from pathline.kit.database import DATABASE_ERRORS, create_pool
from pathline.kit.health import Health
from pathline.storage import keys, sources
from pathline.storage.keys import WriteKey
from services.ingest.answers import HeaderMap
from services.ingest.codes import Refused
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Origins, Pass
from services.ingest.sources import Sources

log = logging.get_logger(__name__)

READ_SECONDS: Final = 3.0
"""How long one reading of the keys may take."""

KEY_MAX: Final = 200
"""Characters of a write key; what is longer is none."""

MISSING: Final = Refused("missing_key", "the request shows no write key")
UNKNOWN: Final = Refused("unknown_key", "the write key is not known")
UNAVAILABLE: Final = Refused("keys_unavailable", "the write keys cannot be read now; try again")
UNREADABLE: Final = Refused("keys_unavailable", "this collector cannot read what the write key may send; try again")
"""A newer version set its policy. To guess would be to ignore a restriction; to refuse for good would lose calls that
another collector takes."""


class Keyring:
    """The keys that may be used. Without the database the known ones go on serving."""

    def __init__(self, metrics: IngestMetrics, room: int) -> None:
        """Empty, until the keys were read once; each may have `room` bytes under way."""
        self._metrics = metrics
        self._room = room
        self._by_name: dict[str, Pass] = {}
        self._by_key: dict[str, Pass | Refused] = {}
        self._by_header: dict[bytes, Pass | Refused] = {}
        self._rotated: dict[str, tuple[Pass | Refused, datetime]] = {}
        """The secrets before the last rotation, and until when they are taken."""
        self._unreadable: frozenset[str] = frozenset()
        self._origins: Origins | None = None
        self.sources = Sources(room)
        """Of webhooks; read with the keys."""
        self.fresh = False
        """Whether the last reading worked: only then is an unknown key known to be unknown."""

    def replace(self, active: Iterable[WriteKey]) -> None:
        """Use these from now on."""
        known, self._by_name, self._by_key, self._rotated = self._by_name, {}, {}, {}
        unreadable = set()
        for key in active:
            one: Pass | Refused = UNREADABLE
            if key.policy is None:
                unreadable.add(key.name)
            else:
                one = self._by_name[key.name] = known.get(key.name) or Pass(key, self._room)
                one.update(key)
            self._by_key[key.key] = one
            if key.old_key is not None and key.old_until is not None:
                self._rotated[key.old_key] = one, key.old_until
        self._by_header = {form: one for text, one in self._by_key.items() for form in _forms(text)}
        # A site that a page of an unread list may be on hears from the request itself to try again.
        self._origins = None if unreadable else _union(self._by_name.values())
        self.fresh = True
        self._metrics.keys.set(len(self._by_name))
        self._metrics.keys_unreadable.set(len(unreadable))
        for name in sorted(unreadable - self._unreadable):
            log.warning("the policy of a write key cannot be read; a newer Pathline set it", key=name)
        self._unreadable = frozenset(unreadable)

    def is_origin(self, origin: bytes) -> bool:
        """Whether some key may be used from this site: all that a preflight, which carries no key, can be asked."""
        return self._origins is None or origin in self._origins

    def by_header(self, value: bytes) -> Pass | Refused:
        """The key that an Authorization header shows."""
        known = self._by_header.get(value)
        if known is not None:
            return known
        shown = _shown(value)
        return MISSING if shown is None else self.by_text(shown)

    def by_text(self, shown: object) -> Pass | Refused:
        """The key of this text, from a body or a query."""
        if not isinstance(shown, str) or not shown:
            return MISSING
        known = self._by_key.get(shown) if len(shown) <= KEY_MAX else None
        return self._other(shown) if known is None else known

    def _other(self, shown: str) -> Pass | Refused:
        """What a text is that is no key's present secret. An old one ends in time, also while nothing can be read."""
        rotated = self._rotated.get(shown)
        if rotated is not None:
            one, until = rotated
            return one if datetime.now(UTC) < until else UNKNOWN
        return UNKNOWN if self.fresh else UNAVAILABLE

    async def keep(self, dsn: str, seconds: float, health: Health, stop: asyncio.Event) -> None:
        """Read the keys again every so often until `stop`."""
        pool: asyncpg.Pool[Any] | None = None
        try:
            while not stop.is_set():
                try:
                    async with asyncio.timeout(READ_SECONDS):
                        if pool is None:
                            pool = await create_pool(dsn, max_size=1, application_name="pathline ingest")
                        # The bound on taking a connection is the one on giving it back, too.
                        async with pool.acquire(timeout=READ_SECONDS) as db:
                            active, known = await keys.active(db), await sources.active(db)
                except DATABASE_ERRORS as problem:
                    self._metrics.keys_failures.inc()
                    if self.fresh:
                        log.warning("write keys not read", error=type(problem).__name__)
                    self.fresh = False
                    if not self._by_key:
                        health.set("keys", f"{type(problem).__name__}: {problem}"[:200])
                else:
                    self.replace(active)
                    self.sources.replace(known)
                    health.set("keys", None)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await stop.wait()
        finally:
            if pool is not None:
                pool.terminate()


def _union(passes: Iterable[Pass]) -> Origins | None:
    """The sites of all browser keys together; None: one of these may be used from everywhere."""
    lists = [one.key.policy.origins for one in passes if one.key.policy is not None and not one.trusted]
    return Origins([origin for listed in lists for origin in listed]) if lists and all(lists) else None


def _forms(key: str) -> tuple[bytes, ...]:
    """How SDKs write it in a header: Basic with and without the colon, Bearer."""
    raw = key.encode()
    return b"Basic " + base64.b64encode(raw + b":"), b"Basic " + base64.b64encode(raw), b"Bearer " + raw


def _shown(header: bytes) -> str | None:
    """The key in an Authorization header that is written in an unusual way."""
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"bearer":
        raw = rest
    elif scheme.lower() == b"basic" and len(rest) <= 2 * KEY_MAX:
        try:
            raw = base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True).partition(b":")[0]
        except binascii.Error:
            return None
    else:
        return None
    return raw.decode("utf-8", "replace") or None


def key_in_query(query: bytes) -> str | None:
    """The `writeKey` of a query string."""
    if b"writeKey" not in query:
        return None
    for field in query.split(b"&"):
        name, _, value = field.partition(b"=")
        if name == b"writeKey" and value:
            return unquote_plus(value.decode("ascii", "replace"))
    return None


@lru_cache(maxsize=4_096)
def is_loopback(host: str) -> bool:
    """Whether a peer is on this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def is_local(scope: Scope, headers: HeaderMap) -> bool:
    """Whether the peer itself is on this machine; what a proxy says of somebody else is not believed."""
    client = scope["client"]
    return (
        client is not None
        and is_loopback(client[0])
        and b"x-forwarded-for" not in headers
        and b"forwarded" not in headers
    )
