"""The domain's structs as JSON text in a column, and back."""

from __future__ import annotations

from typing import Final

import msgspec

from pathline.domain.bonds import Bond, Pointer
from pathline.domain.facts import State

_encoder: Final = msgspec.json.Encoder()
_state: Final = msgspec.json.Decoder(State)
_bond: Final = msgspec.json.Decoder(Bond)
_pointer: Final = msgspec.json.Decoder(Pointer)


def to_json(value: State | Bond | Pointer) -> str:
    """The struct as JSON text."""
    return _encoder.encode(value).decode()


def state(text: str) -> State:
    """Facts from a column."""
    return _state.decode(text)


def bond(text: str | None) -> Bond | None:
    """A bond from a column, None for NULL."""
    return None if text is None else _bond.decode(text)


def pointer(text: str | None) -> Pointer | None:
    """A pointer from a column, None for NULL."""
    return None if text is None else _pointer.decode(text)
