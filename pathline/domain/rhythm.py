"""The rhythm of a source: how long it is silent at times, and since when it is silent for longer than it ever is.

A source has no timetable, but a longest silence: a shop's nights, a courier's weekends. That is all that is kept of it,
halved with time so that one bad week is forgotten. Twice as long is more than nobody having had anything to say.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

HALF_LIFE: Final = timedelta(days=28)
"""After so long without another like it a silence counts half."""

FACTOR: Final = 2
"""So many times its longest silence is out of the usual."""

KNOWN_AFTER: Final = timedelta(days=8)
KNOWN_LOOKS: Final = 20
"""A source of which nobody has seen a whole week, or that spoke but a few times, has no rhythm."""


class Limits(NamedTuple):
    """No shorter silence is an incident, and a source that is silent for longer at times has no rhythm at all."""

    least: timedelta
    most: timedelta


class Rhythm(NamedTuple):
    """What is known of a source."""

    source: str
    since: datetime
    """When it was first heard."""
    heard_at: datetime
    longest: timedelta = timedelta()
    """Its longest silence, halved with HALF_LIFE."""
    looks: int = 1
    """In how many looks it was heard."""


def heard(before: Rhythm | None, source: str, at: datetime, limits: Limits) -> Rhythm:
    """The rhythm of a source that was heard at this time, be it late or again."""
    if before is None:
        return Rhythm(source, at, at)
    if at <= before.heard_at:
        return before
    gap = at - before.heard_at
    faded = before.longest * 0.5 ** (gap / HALF_LIFE)
    usual = allowed(before, limits)
    # What was an incident is no habit; a source that has slowed down is learned by and by.
    longest = max(faded, gap if usual is None else min(gap, usual))
    return before._replace(heard_at=at, longest=longest, looks=before.looks + 1)


def allowed(rhythm: Rhythm, limits: Limits) -> timedelta | None:
    """How long it may be silent; None while it has no rhythm."""
    known = rhythm.looks >= KNOWN_LOOKS and rhythm.heard_at - rhythm.since >= KNOWN_AFTER
    if not known or rhythm.longest > limits.most:
        return None
    return max(limits.least, min(FACTOR * rhythm.longest, limits.most))


def silent_since(rhythm: Rhythm, through: datetime, limits: Limits) -> datetime | None:
    """Since when it is silent for too long; `through` is up to when all that was received has been read."""
    usual = allowed(rhythm, limits)
    return rhythm.heard_at if usual is not None and through - rhythm.heard_at > usual else None
