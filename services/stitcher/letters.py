"""What is read off a dead letter: for the log where it lies and why, never what it holds; and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pathline.contracts.letters import headers_from_json
from pathline.kit.logging import get_logger
from pathline.storage.letters import DeadLetter

log = get_logger(__name__)

LOGGED_MOST: Final = 20
"""Dead letters of one batch that get a line each; the others are counted in one. The table and a metric have all."""

TEXT_LENGTH: Final = 100
"""Characters logged of an id or a trace context, which a sender chose."""


class _Named(msgspec.Struct):
    message_id: str


class _Sourced(msgspec.Struct):
    source: str


_named: Final = msgspec.json.Decoder(_Named)
_sourced: Final = msgspec.json.Decoder(_Sourced)


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
    told = next((value for name, value in headers_from_json(headers) if name == "traceparent"), None)
    return None if told is None else told.decode("utf-8", "replace")[:TEXT_LENGTH]


def source_of(value: bytes | None) -> str | None:
    """The name of the write key with which it came, where so much of it can be read."""
    try:
        return _sourced.decode(value or b"").source.replace("\0", "�")[:TEXT_LENGTH]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
