"""When a call happened: the sender's clock, corrected by when it was sent, or ours where it cannot be true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

OLDEST: Final = timedelta(days=7)
"""A browser or app holds calls back no longer than this."""

AHEAD: Final = timedelta(minutes=5)
"""What a clock may be ahead of ours after correction."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times of server keys lie between these, so that no sum of a time and a wait overflows later on."""

TEXT_LENGTH_MAX: Final = 40
"""The longest form of ISO 8601 that anyone sends has 35 characters."""


def parse(value: object) -> datetime:
    """An instant in UTC from ISO 8601 text; one without a zone is in UTC.

    Raises:
        ValueError: it is no such text, or no instant that has a date in UTC.
    """
    if type(value) is not str or len(value) > TEXT_LENGTH_MAX:
        reason = "no ISO 8601 text"
        raise ValueError(reason)
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    try:
        return instant.astimezone(UTC)
    except OverflowError as beyond:
        reason = "no date in UTC"
        raise ValueError(reason) from beyond


def corrected(received_at: datetime, told: datetime, sent_at: datetime | None) -> tuple[datetime, bool]:
    """When a call of a browser or an app happened, and whether its own time had to be replaced.

    The age of the call is what its own clock says, whatever that clock shows. A time out of bounds becomes the
    receipt's rather than the nearest bound, or backdating would be the best way to win what goes to the earliest.
    """
    age = (sent_at or received_at) - told
    if age > OLDEST or age < -AHEAD:
        return received_at, True
    return received_at - age, False
