"""Who comes when: the lives of many customers as one stream in the order of time. Pure, and the same for a seed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final

import msgspec

from pathline.demo.customer import By, Call, Customer, Step
from pathline.demo.pace import Pace
from pathline.demo.plots import OPENING, WEIGHTS, Plot

Waiting = tuple[datetime, int, Step, Iterator[Step]]
"""(when, customer's number, what, what comes after): numbers are unique, so that steps are never compared."""

CALLS_A_LIFE: Final = 13.9
"""Calls of an average customer; a test holds it to the plots."""


class Event(msgspec.Struct, frozen=True):
    """A call that is due at a time."""

    at: datetime
    number: int
    by: By
    call: Call


def life(seed: int, number: int, *, run: str, start: datetime, pace: Pace, plot: Plot | None = None) -> Iterator[Step]:
    """One customer's steps, each with the delay since the one before; the first since `start`."""
    customer = Customer(seed, number, run=run, start=start, pace=pace)
    chosen = plot or Random(f"{seed}/plot/{number}").choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    return chosen(customer)


def crowd(
    seed: int, *, run: str, start: datetime, pace: Pace, gap_seconds: float, most: int | None = None, opening: bool
) -> Iterator[Event]:
    """The calls of all customers, oldest first.

    Args:
        seed: what is drawn.
        run: part of every id.
        start: when the first customer comes.
        pace: how fast they live.
        gap_seconds: mean time between two arrivals, which are a Poisson stream.
        most: how many come; None: they never end.
        opening: whether the first ones live the pains in turn, close together.
    """
    arrivals = Random(f"{seed}/arrivals")
    waiting: list[Waiting] = []
    number, arrives = 0, start
    while waiting or most is None or number < most:
        while (most is None or number < most) and (not waiting or arrives <= waiting[0][0]):
            plot = OPENING[number] if opening and number < len(OPENING) else None
            _push(waiting, arrives, number, life(seed, number, run=run, start=arrives, pace=pace, plot=plot))
            number += 1
            gap = OPENING_GAP_SECONDS if opening and number < len(OPENING) else arrivals.expovariate(1 / gap_seconds)
            arrives += timedelta(seconds=gap)
        at, who, step, steps = heapq.heappop(waiting)
        yield Event(at, who, step.by, step.call)
        _push(waiting, at, who, steps)


OPENING_GAP_SECONDS: Final = 1.0


def _push(waiting: list[Waiting], at: datetime, who: int, steps: Iterator[Step]) -> None:
    step = next(steps, None)
    if step is not None:
        heapq.heappush(waiting, (at + step.delay, who, step, steps))
