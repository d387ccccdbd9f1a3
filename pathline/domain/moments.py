"""The time at which a story is judged: a clock, and how far what was received has been read."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec


class Moment(msgspec.Struct, frozen=True):
    """The time, as deadlines count it."""

    clock: datetime
    """The database's clock, received_at in a replay, the simulated clock in a backtest."""
    sighted: datetime
    """Up to here everything received has been read."""
    now: datetime
    """What has been due by now has fired: `sighted`, or the clock less the longest time to wait for a reader."""


def moment(clock: datetime, read_through: datetime | None, blind_after: timedelta) -> Moment:
    """The time at which to judge.

    Args:
        clock: the database's.
        read_through: the least `through` of the partitions of touchpoints, None while nobody ever read any.
        blind_after: how long a deadline waits for a reader that stands still.
    """
    blind = clock - blind_after
    sighted = blind if read_through is None else min(clock, read_through)
    return Moment(clock, sighted, max(sighted, blind))
