"""Sessions: what one person did without a long pause, and the purchases made in the same one or a later one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

PAUSE: Final = timedelta(minutes=30)
"""Who does nothing for so long is gone; what follows is another session. The usual measure of web analytics."""

MAX_SESSIONS: Final = 20
"""Sessions that are shown, the newest."""


class Timed(Protocol):
    """What happened at a time."""

    @property
    def at(self) -> datetime:
        """When."""


T = TypeVar("T", bound=Timed)


class Act(NamedTuple):
    """Something a person did."""

    at: datetime
    message_id: str
    event: str
    channel: str
    stage: str | None = None
    moment_of_truth: bool = False
    things: tuple[UUID, ...] = ()
    """The orders, parcels, ... that it names."""


LastTouches = Mapping[tuple[UUID | None, str], Act]
"""The last of what was done at a stage: about a thing, or at all (None)."""


def last_touches(acts: Iterable[Act]) -> LastTouches:
    """What was done last at each stage, at all and about each thing."""
    last: dict[tuple[UUID | None, str], Act] = {}
    for act in acts:
        for thing in (None, *act.things) if act.stage is not None else ():
            held = last.get((thing, act.stage or ""))
            if held is None or (act.at, act.message_id) > (held.at, held.message_id):
                last[thing, act.stage or ""] = act
    return last


class Session(NamedTuple):
    """Acts of which none is PAUSE after the one before."""

    started_at: datetime
    ended_at: datetime
    acts: int
    channels: tuple[str, ...]
    """In the order in which they were first met: the first is where the customer came in."""
    orders: tuple[str, ...]
    """Ids of the orders placed in it."""


class Bought(NamedTuple):
    """How an order came about."""

    started_at: datetime
    """The beginning of the session in which it was placed."""
    sessions: int
    """Sessions since the purchase before it (or the beginning), up to and with this one; at least, if not `known`."""
    known: bool

    @property
    def in_one_session(self) -> bool | None:
        """Whether the customer came and bought in one; None where earlier sessions may be forgotten."""
        return False if self.sessions > 1 else (True if self.known else None)


def sessions(acts: Iterable[Act], placed: Mapping[str, datetime], *, complete: bool) -> list[Session]:
    """The sessions of one customer, oldest first.

    Args:
        acts: the newest that are known; their order does not matter.
        placed: when each order was placed.
        complete: whether these are all; else the oldest session is left out, as it may have begun earlier.
    """
    groups = grouped(sorted(set(acts), key=lambda one: (one.at, one.message_id)))
    return [_session(group, placed) for group in (groups if complete else groups[1:])]


def grouped(acts: Iterable[T]) -> list[list[T]]:
    """Acts by sessions: of a group none is PAUSE after the one before. They come oldest first."""
    groups: list[list[T]] = []
    for act in acts:
        if groups and act.at - groups[-1][-1].at < PAUSE:
            groups[-1].append(act)
        else:
            groups.append([act])
    return groups


def bought(found: Sequence[Session], *, complete: bool) -> dict[str, Bought]:
    """How each order came about that was placed in one of these sessions.

    Args:
        found: as `sessions` gives them.
        complete: whether there were none before.
    """
    out: dict[str, Bought] = {}
    count, known = 0, complete
    for session in found:
        count += 1
        for order in session.orders:
            out[order] = Bought(session.started_at, count, known)
            # The next one in this session came without another.
            count, known = 1, True
        if session.orders:
            count = 0
    return out


def _session(group: Sequence[Act], placed: Mapping[str, datetime]) -> Session:
    first, last = group[0].at, group[-1].at
    orders = sorted((at, order) for order, at in placed.items() if first <= at <= last)
    channels = dict.fromkeys(act.channel for act in group)
    return Session(first, last, len(group), tuple(channels), tuple(order for _, order in orders))
