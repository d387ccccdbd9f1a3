"""Signatures of deliveries: HMAC-SHA256 over the bytes as they came, compared in constant time, as bytes.

The providers' own libraries were looked at. `stripe` 16.1 takes 17 MB, half a second of CPU and 446 modules to import,
for twenty lines. `standardwebhooks`, with which alerts are signed, verifies by a clock of its own with a tolerance of
its own, and raises what happens to come up on headers that nobody well-meaning sends; the tests hold ours to it.
AfterShip, EasyPost, Shippo and WooCommerce publish an algorithm and no light library.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from services.ingest.codes import Refused
from services.ingest.providers.delivery import Delivery, Verify

MISSING: Final = Refused("missing_signature", "the delivery carries no signature")
BAD: Final = Refused("bad_signature", "the signature is not one of this body by a secret of this source")
STALE: Final = Refused("stale_signature", "the delivery was signed too long ago, or ahead of this clock")

SIGNATURES_MAX: Final = 8
"""Signatures of one delivery that are looked at; a provider that rotates sends two."""

TIME_DIGITS_MAX: Final = 12
"""A time in seconds has ten."""


def digest(secret: bytes, content: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.new(secret, content, hashlib.sha256).digest()


def base64_of(secret: bytes, content: bytes) -> bytes:
    """The same as base64 text."""
    return b64encode(digest(secret, content))


def hex_of(secret: bytes, content: bytes) -> bytes:
    """The same as hexadecimal text."""
    return digest(secret, content).hex().encode()


def matches(given: Iterable[bytes], expected: Iterable[bytes]) -> bool:
    """Whether one of these is one of those. Every pair is compared, in constant time."""
    looked_at, known = list(given)[:SIGNATURES_MAX], list(expected)
    return sum(hmac.compare_digest(one, other) for one in looked_at for other in known) > 0


def of_body(
    header: bytes,
    compute: Callable[[bytes, bytes], bytes],
    *,
    prefix: bytes = b"",
    key: Callable[[str], bytes] = str.encode,
) -> Verify:  # fmt: skip
    """The check of a header that holds the signature of the body alone."""

    def verify(delivery: Delivery, secrets: Sequence[str], _now: datetime, _seconds: float) -> Refused | None:
        given = delivery.headers.get(header, b"").strip()
        if not given:
            return MISSING
        expected = [prefix + compute(key(secret), delivery.raw) for secret in secrets if secret]
        return None if matches([given], expected) else BAD

    return verify


def of_time_and_body(header: bytes) -> Verify:
    """The check of a header `t=SECONDS,v1=HEX` over time and body, as Stripe has it; other schemes are left unread."""

    def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, seconds: float) -> Refused | None:
        given = delivery.headers.get(header, b"").strip()
        if not given:
            return MISSING
        parts = [part.strip().partition(b"=")[::2] for part in given.split(b",")]
        times = [value for name, value in parts if name == b"t"]
        signatures = [value for name, value in parts if name == b"v1"]
        if len(times) != 1 or not signatures:
            return BAD
        content = times[0] + b"." + delivery.raw
        expected = [hex_of(secret.encode(), content) for secret in secrets if secret]
        return check_time(times[0], now, seconds) if matches(signatures, expected) else BAD

    return verify


def check_time(told: bytes, now: datetime, seconds: float) -> Refused | None:
    """Why a time that was signed is none, or too far from now. Asked last: only who signed it learns of our clock."""
    if not told.isdigit() or len(told) > TIME_DIGITS_MAX:
        return BAD
    return STALE if abs(now.timestamp() - int(told)) > seconds else None
