"""Arrays with more elements than may be, found out before anything is made of these.

A few zipped kilobytes are millions of elements, each of which takes twenty times its bytes in memory once it is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

LOOKED_AT: Final = 65_536
"""Bytes of a text from which on it is looked at: what a shorter one can hold is small."""

DECODERS: Final = 16
"""Kinds of arrays that are looked at, at most: one for each dialect with several calls, and the bounds of tests."""


def exceeds(raw: bytes, most: int, field: str | None = None) -> bool:
    """Whether the array that a JSON text is, or has as this field, is longer than `most`."""
    if len(raw) <= LOOKED_AT:
        return False
    try:
        _decoder(most, field).decode(raw)
    except msgspec.ValidationError as problem:
        return "of at most length" in str(problem)
    except (ValueError, RecursionError):
        # Whoever reads it will say what is wrong with it, and ends at the same place.
        return False
    return False


@lru_cache(maxsize=DECODERS)
def _decoder(most: int, field: str | None) -> msgspec.json.Decoder[Any]:
    """A decoder that ends at the first element too many: of an object in the form of an array, with so many fields."""
    places = [(f"place_{number}", msgspec.Raw, msgspec.UNSET) for number in range(most)]
    few: Any = msgspec.defstruct("Few", places, array_like=True, forbid_unknown_fields=True, gc=False)
    if field is None:
        return msgspec.json.Decoder(few)
    return msgspec.json.Decoder(msgspec.defstruct("Holding", [(field, few)]))
