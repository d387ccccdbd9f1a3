"""Cursors: a place in an order of (time, id), as opaque text."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
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
        moment = datetime.fromisoformat(at)
        place = moment, UUID(hex=one)
    except (ValueError, binascii.Error):
        place = None
    if place is None or place[0].tzinfo is None:
        code = "bad_cursor"
        raise ApiError(code, "the cursor is not one that an answer gave")
    return place
