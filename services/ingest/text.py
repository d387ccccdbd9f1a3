"""Is this text JSON that every reader after us can take: UTF-8, no NUL, no half character, not too deep."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

DEPTH_MAX: Final = 32
"""Objects and arrays in each other, the call itself counted."""

_ESCAPES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_OTHERS: Final = bytes(set(range(256)) - set(b'"\\[]{}'))
_STEP: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


def is_utf8(raw: bytes) -> bool:
    """Whether the bytes are UTF-8; overlong forms and surrogates are not."""
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_nul(raw: bytes) -> bool:
    """Whether a text in this valid JSON holds a NUL (which JSON can only write as an escape)."""
    return b"\\u0000" in raw and b"\\u0000" in raw.replace(b"\\\\", b"")


def is_too_deep(raw: bytes) -> bool:
    """Whether this valid JSON is nested deeper than DEPTH_MAX. Nearly always two counts answer it."""
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_MAX:
        return False
    # What is left are quotes and brackets; every second piece between quotes is outside of a text.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)
    brackets = b"".join(bare.split(b'"')[::2])
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH_MAX


def marked(raw: bytes) -> bytes:
    """The text with each half of a surrogate pair made a NUL, so that one such call does not spoil its batch."""
    return _ESCAPES.sub(lambda found: b"\\u0000" if found["half"] else found[0], raw)


def has_half_character(raw: bytes) -> bool:
    """Whether a text in this JSON holds half of a surrogate pair."""
    return any(found["half"] for found in _ESCAPES.finditer(raw))
