"""What a write key lets through: its policy made ready for use, and what it has used of its rate and room."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from pathline.storage.keys import Addresses, Policy, WriteKey
from services.ingest.codes import Refused

ORIGIN_MAX: Final = 300
"""Bytes of an origin that are looked at: a name of 253, what stands before it, a port."""

_BELOW: Final = re.compile(rb"(https?://)[a-z0-9-][a-z0-9.-]*")
"""What the `https://*` of a list stands for."""

BURST_SECONDS: Final = 10
"""How many seconds' worth of calls may come at once, where the policy does not say."""

_OF_KIND: Final[dict[str, Addresses]] = {"browser": "truncated", "server": "full"}
"""What is kept of `context.ip` unless the policy says: a browser's is a person's, a server chose what it tells."""

LOCAL: Final = Refused("local_key", "this write key works only from the collector's own machine")
BAD_ORIGIN: Final = Refused("origin_not_allowed", "this write key may not be used from this origin")
BAD_EVENT: Final = Refused("event_not_allowed", "this write key may not send this event")
PRIVATE: Final = Refused("privacy_signal", "this write key takes nothing from a browser with Global Privacy Control")
RATE: Final = Refused("rate_limited", "this write key sends more calls than it may; try again")
CROWDED: Final = Refused("key_overloaded", "this write key has as much under way as it may; try again")


class Peer(NamedTuple):
    """Who sends, as far as a key asks."""

    local: bool = False
    """Whether it is on this machine."""
    origin: bytes | None = None
    """The site of the page that sends."""
    private: bool = False
    """Whether the browser sends Global Privacy Control."""


class Origins:
    """A list of sites: exact ones, and `https://*.site` for all below one."""

    def __init__(self, listed: Iterable[str]) -> None:
        """Take the list of a policy."""
        self._exact: set[bytes] = set()
        self._below: dict[bytes, set[bytes]] = {}
        for one in listed:
            scheme, below, site = one.encode().partition(b"*")
            if below:
                self._below.setdefault(site, set()).add(scheme)
            else:
                self._exact.add(scheme)

    def __contains__(self, origin: bytes) -> bool:
        if len(origin) > ORIGIN_MAX:
            return False
        return origin in self._exact or (bool(self._below) and self._is_below(origin))

    def _is_below(self, origin: bytes) -> bool:
        """Whether it ends with one of the sites; what it costs grows with its dots, not with the list."""
        dot = origin.find(b".")
        while dot >= 0:
            schemes = self._below.get(origin[dot:])
            if schemes is not None and (start := _BELOW.fullmatch(origin, 0, dot)) and start[1] in schemes:
                return True
            dot = origin.find(b".", dot + 1)
        return False


class Bucket:
    """A token bucket: one token a call. What is more than it holds passes when it is full, on credit."""

    def __init__(self, per_second: int, burst: int) -> None:
        """Fill it."""
        self._per_second = per_second
        self._size = float(burst or per_second * BURST_SECONDS)
        self._tokens = self._size
        self._at = time.monotonic()

    def take(self, count: int) -> int:
        """Take tokens; 0, or the whole seconds after which to try again."""
        now = time.monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        lacking = min(count, self._size) - self._tokens
        if lacking > 0:
            return math.ceil(lacking / self._per_second)
        self._tokens -= count
        return 0


class Pass:
    """One key in use. It stays the same object while the key does, so that what it has used is not forgotten."""

    def __init__(self, key: WriteKey, room: int) -> None:
        """Let `key` have `room` bytes under way."""
        self.held = 0
        """Bytes of its requests that are not answered yet."""
        self.room = room
        self.key = key
        self._set(key)

    def _set(self, key: WriteKey) -> None:
        policy = key.policy
        assert policy is not None, "a key whose policy cannot be read is not used"
        self.name, self.namespace = key.name, key.namespace
        self.secrets = (key.key,) if key.old_key is None else (key.key, key.old_key)
        """What a request may show for it."""
        self.trusted = key.kind == "server"
        self.loopback_only = key.loopback_only
        self.origins = Origins(policy.origins) if policy.origins else None
        self.events = frozenset(policy.events) or None
        self.addresses: Addresses = policy.addresses or _OF_KIND[key.kind]
        self.refuses_private = policy.privacy_signal == "refuse"
        self.bucket = Bucket(policy.calls_per_second, policy.burst) if policy.calls_per_second else None
        self.body_bytes_max, self.call_bytes_max, self.batch_calls_max = (
            policy.body_bytes_max or None,
            policy.call_bytes_max or None,
            policy.batch_calls_max or None,
        )

    def update(self, key: WriteKey) -> None:
        """The row was read again."""
        if key == self.key:
            return
        bucket, rate = self.bucket, _rate(self.key.policy)
        self.key = key
        self._set(key)
        if rate == _rate(key.policy):
            self.bucket = bucket

    def call_bytes(self, most: int, shared: bytes | None) -> int:
        """Bytes that a call may have, of `most` by the collector, beside the context that it shares with its batch."""
        return min(most, self.call_bytes_max or most) - len(shared or b"")

    def bars(self, peer: Peer) -> Refused | None:
        """Why it may not be used by this peer, whatever is sent."""
        if self.loopback_only and not peer.local:
            return LOCAL
        if self.origins is not None and peer.origin is not None and peer.origin not in self.origins:
            return BAD_ORIGIN
        return PRIVATE if peer.private and self.refuses_private else None

    def hold(self, count: int) -> bool:
        """Have so many bytes more under way, if that may be."""
        if self.held + count > self.room:
            return False
        self.held += count
        return True


def _rate(policy: Policy | None) -> tuple[int, int] | None:
    return None if policy is None else (policy.calls_per_second, policy.burst)
