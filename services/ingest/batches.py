"""The body of a batch, taken apart: its calls as they were sent, and what stands around them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from services.ingest import arrays, calls, clock, text
from services.ingest.codes import Refused

BAD_TIME: Final = Refused("bad_timestamp", "sentAt of a batch is text in ISO 8601")

_NO_BATCH: Final = Refused("bad_batch", "the body of a batch is an object with an array `batch`")
_NO_OBJECT: Final = Refused("not_an_object", "a batch is a JSON object")
_NONE: Final = msgspec.Raw(b"")

_text: Final = msgspec.json.Decoder(str)


class Batch(msgspec.Struct, rename="camel", gc=False):
    """A batch. All of it is left as it was sent: nothing is made of what nobody asks for."""

    batch: list[msgspec.Raw]
    context: msgspec.Raw = _NONE
    sent_at: msgspec.Raw = _NONE
    write_key: msgspec.Raw = _NONE
    historical: msgspec.Raw = _NONE

    def key(self) -> str | None:
        """The write key that it shows."""
        return text_of(self.write_key)

    def is_historical(self) -> bool:
        """Whether its calls tell what is long over."""
        return bytes(self.historical) == b"true"

    def sent(self) -> tuple[str, datetime] | Refused | None:
        """When it was sent, as it says so and as that is read; None: it does not say."""
        if bytes(self.sent_at) in (b"", b"null"):
            return None
        told = text_of(self.sent_at)
        try:
            return BAD_TIME if told is None else (told, clock.parse(told))
        except ValueError:
            return BAD_TIME


_batch: Final = msgspec.json.Decoder(Batch)


def read(raw: bytes, most: int) -> tuple[Batch, bytes] | Refused:
    """Take a batch of at most so many calls apart; also the text that its calls are of.

    Half a character in one call must not spoil the others: it is marked, and refused alone.
    """
    if arrays.exceeds(raw, most, "batch"):
        return too_many(most)
    try:
        batch = _batch.decode(raw)
        return (batch, raw) if text.is_utf8(batch.write_key) and text.is_utf8(batch.sent_at) else text.NO_UTF8
    except (ValueError, RecursionError) as problem:
        shape = isinstance(problem, msgspec.ValidationError)
        if isinstance(problem, msgspec.DecodeError) and not shape and text.has_half_character(raw):
            return read(text.marked(raw), most)
        about_calls = "`batch`" in str(problem) or "$.batch" in str(problem)
        return calls.unreadable(raw, problem, _NO_BATCH if about_calls else _NO_OBJECT)


def too_many(most: int) -> Refused:
    """Why a batch of more calls is not taken."""
    return Refused("too_many_calls", f"a batch holds at most {most} calls")


def text_of(raw: msgspec.Raw) -> str | None:
    """The text that a value is, if it is one."""
    try:
        return _text.decode(raw) if bytes(raw)[:1] == b'"' else None
    except ValueError:
        return None
