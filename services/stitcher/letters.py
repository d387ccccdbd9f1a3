"""What the log says of dead letters: where each lies and why, never what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pathline.kit.logging import get_logger
from pathline.storage.stitching import DeadLetter

log = get_logger(__name__)

LOGGED_MOST: Final = 20
"""Dead letters of one batch that get a line each; the others are counted in one. The table and a metric have all."""

TEXT_LENGTH: Final = 100
"""Characters logged of an id or a trace context, which a sender chose."""


class _Named(msgspec.Struct):
    message_id: str


_named: Final = msgspec.json.Decoder(_Named)
_headers: Final = msgspec.json.Decoder(list[tuple[str, str]])


def tell(letters: Sequence[DeadLetter]) -> None:
    """Log the dead letters of a batch."""
    for letter in letters[:LOGGED_MOST]:
        log.warning(
            "dead letter",
            code=letter.code,
            partition=letter.partition,
            offset=letter.offset,
            message_id=_message_id(letter.value),
            traceparent=_traceparent(letter.headers),
        )
    if len(letters) > LOGGED_MOST:
        log.warning("more dead letters in the same batch", count=len(letters) - LOGGED_MOST)


def _message_id(value: bytes | None) -> str | None:
    """Its message id, where so much of it can be read."""
    try:
        return _named.decode(value or b"").message_id[:TEXT_LENGTH]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _traceparent(headers: str) -> str | None:
    return next((text[:TEXT_LENGTH] for name, text in _headers.decode(headers) if name == "traceparent"), None)
