"""Hints on the journeys topic: these changed, look. A late, doubled or reordered one is harmless."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

VERSION: Final = 1


class Hint(msgspec.Struct, omit_defaults=True, gc=False):
    """One touchpoint that was stitched, and what it touched. Times are UTC."""

    subject: UUID
    """The strand or entity it belongs to."""
    id: UUID
    message_id: str
    event: str
    channel: str
    occurred_at: datetime
    received_at: datetime
    entities: list[UUID] = []
    """Things whose state or owner changed."""
    stage: str | None = None
    moved: list[UUID] = []
    """Ids whose customer may be another one now: the child, the root it left and the root it joined; and a person who
    is another one to detectors."""
    reowned: list[UUID] = []
    """Things that have another claimant or order now, and the claimants and orders they left."""
    traceparent: str | None = None
    historical: bool = False
    word: bool = False
    """True where no touchpoint was stitched: an operator said who is whom, and `moved` are whom that concerns."""


class HintBatch(msgspec.Struct, gc=False):
    """The value of one record: hints about subjects of one partition, in the order they were stitched."""

    v: int
    stitched_at: datetime
    hints: list[Hint]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(HintBatch)


def encode(hints: Sequence[Hint], stitched_at: datetime) -> bytes:
    """The value of a record that carries these hints."""
    return _encoder.encode(HintBatch(VERSION, stitched_at, list(hints)))


def decode(value: bytes) -> HintBatch:
    """Read a record's value.

    Raises:
        msgspec.DecodeError: it is no batch of hints.
    """
    return _decoder.decode(value)
