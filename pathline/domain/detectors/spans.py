"""Spans of time as people write them: `30s`, `15m`, `24h`, `3d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

MAX_SPAN: Final = timedelta(days=366)

_SPAN: Final = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta | None:
    """The span, or None where the text is none or it is longer than MAX_SPAN."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        return None
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    return span if span <= MAX_SPAN else None
