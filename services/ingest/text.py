"""Is this text JSON that every reader after us can take: UTF-8, no NUL, no half character, not too deep."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from services.ingest.codes import Refused

DEPTH_MAX: Final = 32
"""Objects and arrays in each other, the call itself counted."""

NO_UTF8: Final = Refused("invalid_utf8", "the bytes are not UTF-8")
BAD_CHARACTER: Final = Refused("bad_character", "a text holds a NUL or half a surrogate pair")
TOO_DEEP: Final = Refused("too_deep", f"objects and arrays are nested deeper than {DEPTH_MAX}")

_HALF: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
"""A first half without a second behind it, or the other way round, in a text without escaped backslashes."""

_ESCAPED_BACKSLASH: Final = b"\\\\"
_IN_ITS_PLACE: Final = b"\0\0"
"""Stands in no JSON, so that it can be taken back; where it stands all the same, other bytes do that are no JSON."""

_OTHERS: Final = bytes(set(range(256)) - set(b'"\\[]{}'))
_OBJECT: Final = ord("{")
_ARRAY: Final = ord("[")
_BACKSLASH: Final = ord("\\")
_STEP: Final = {_OBJECT: 1, _ARRAY: 1, ord("}"): -1, ord("]"): -1}


def flaw(raw: bytes) -> Refused | None:
    """What keeps this valid JSON from being stored. Nearly always a look for single bytes says that nothing does."""
    if not raw.isascii() and not is_utf8(raw):
        return NO_UTF8
    openings = raw.count(_OBJECT) + (raw.count(_ARRAY) if _ARRAY in raw else 0)
    if openings > DEPTH_MAX and depth(raw) > DEPTH_MAX:
        return TOO_DEEP
    return BAD_CHARACTER if _BACKSLASH in raw and has_nul(raw) else None


def are_sound(whole: bytes, calls: Sequence[bytes]) -> bool:
    """Whether a look at a batch as a whole says already that none of its calls has a flaw; nearly always it does."""
    if not whole.isascii() and not is_utf8(whole):
        return False
    if _BACKSLASH in whole and b"\\u0000" in whole:
        return False
    # The openings are counted by what is missing without them: `count` looks at each byte, `replace` flies over most.
    objects = max([len(call) - len(call.replace(b"{", b"")) for call in calls])
    return objects + max([call.count(b"[") for call in calls if _ARRAY in call], default=0) <= DEPTH_MAX


def is_utf8(raw: bytes | msgspec.Raw) -> bool:
    """Whether the bytes are UTF-8; overlong forms and surrogates are not."""
    try:
        str(raw, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def has_nul(raw: bytes) -> bool:
    """Whether a text in this valid JSON holds a NUL (which JSON can only write as an escape)."""
    return b"\\u0000" in raw and b"\\u0000" in raw.replace(b"\\\\", b"")


def depth(raw: bytes) -> int:
    """How deep this valid JSON is nested; 0 for a bare value."""
    # What is left are quotes and brackets; every second piece between quotes is outside of a text.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)
    brackets = b"".join(bare.split(b'"')[::2])
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def marked(raw: bytes) -> bytes:
    """The text with each half of a surrogate pair made a NUL, so that one such call does not spoil its batch."""
    bare = raw.replace(b"\0", b"\1").replace(_ESCAPED_BACKSLASH, _IN_ITS_PLACE)
    return _HALF.sub(rb"\\u0000", bare).replace(_IN_ITS_PLACE, _ESCAPED_BACKSLASH)


def has_half_character(raw: bytes) -> bool:
    """Whether a text in this JSON holds half of a surrogate pair."""
    # Escapes are not looked at one by one: there may be millions of them in a few zipped kilobytes.
    return _HALF.search(raw.replace(_ESCAPED_BACKSLASH, _IN_ITS_PLACE)) is not None
