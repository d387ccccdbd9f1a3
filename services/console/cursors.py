"""Cursors: a place in an order of (time, id), as opaque text."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from uuid import UUID

from services.console.errors import ApiError

Place = tuple[datetime, UUID]


def to_text(place: Place) -> str:
    """The cursor of a place."""
    at, one = place
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{one.hex}".encode()).rstrip(b"=").decode()


def from_text(text: str) -> Place:
    """The place of a cursor. Raises ApiError `bad_cursor`."""
    try:
        at, _bar, one = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition("|")
        place = utc(datetime.fromisoformat(at)), UUID(hex=one)
    except (ValueError, OverflowError, binascii.Error):
        code = "bad_cursor"
        raise ApiError(code, "the cursor is not one that an answer gave") from None
    return place


def utc(time: datetime) -> datetime:
    """The time in UTC. Raises ValueError for one without a zone, OverflowError for one that UTC has no year for."""
    if time.tzinfo is None:
        message = "no zone"
        raise ValueError(message)
    return time.astimezone(UTC)
