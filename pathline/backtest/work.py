"""What a backtest can do in several processes: take lines, and let families live."""

from __future__ import annotations

import gc
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import active_children, get_all_start_methods, get_context
from types import TracebackType
from typing import Final, Self, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest import calls
from pathline.backtest.calls import Accept, Bad, Kept, Taken
from pathline.backtest.simulation import Simulation
from pathline.domain.alerts import Alert
from pathline.domain.assessing import Stumble
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.identifiers import Identifier
from pathline.domain.people import MAX_JOINED
from pathline.sending.lines import BadLine, Line

UNCOLLECTED: Final = 100_000
"""Things made and not let go of before the garbage collector looks for rings among them. Nothing here makes any, and
with its usual few hundred it would walk through everything that is held again and again."""

AHEAD: Final = 3
"""Pieces of work for each process that are handed out before the first of them is asked for."""

Given = TypeVar("Given")
Piece = TypeVar("Piece")
Done = TypeVar("Done")


class Stumbled(msgspec.Struct, frozen=True):
    """A detector broke off: where first, and how often."""

    detector: str
    about: str
    error: str
    times: int


class Lived(msgspec.Struct, frozen=True):
    """What came of a part."""

    alerts: list[tuple[Alert, list[Identifier]]]
    """With the names of the customer each is about."""
    touchpoints: int
    """Those that took effect."""
    refused: list[Bad]
    after: int
    """Those left out because they happened after the end."""
    stumbled: list[Stumbled]


class Setting(msgspec.Struct, frozen=True):
    """What is the same for all parts."""

    detectors: Detectors
    zone: ZoneInfo
    end: datetime | None


def live(setting: Setting, part: Sequence[Kept]) -> Lived:
    """Let a part happen, from its first touchpoint to the end."""
    stumbled: dict[str, Stumbled] = {}

    def stumble(one: Stumble) -> None:
        name = one.detector
        about = f"{one.view.kind} {one.view.identifier.value}"
        held = stumbled.get(name) or Stumbled(name, about, repr(one.error), 0)
        stumbled[name] = msgspec.structs.replace(held, times=held.times + 1)

    simulation = Simulation(setting.detectors, setting.zone, on_stumble=stumble)
    end, after, refused = setting.end, 0, []
    for at, group in calls.instants(part):
        if end is not None and at > end:
            after += len(group)
            continue
        not_joined = {one.id for one in simulation.happen(at, [touchpoint for _, touchpoint in group])}
        refused += [_too_large(kept) for kept, touchpoint in group if touchpoint.id in not_joined]
    if end is not None:
        simulation.sleep_until(end)
    told = [(alert, simulation.world.identifiers(alert.entity_id)) for alert in simulation.alerts()]
    return Lived(told, len(part) - after - len(refused), refused, after, list(stumbled.values()))


def _too_large(kept: Kept) -> Bad:
    return Bad(kept.file, kept.line, "join_too_large", f"the join would make more than {MAX_JOINED} user_ids one")


@contextmanager
def few_collections() -> Iterator[None]:
    """Let the garbage collector look seldom."""
    usual = gc.get_threshold()
    gc.set_threshold(UNCOLLECTED)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class Here:
    """Everything is done in this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pass

    def take(self, accept: Accept, chunks: Iterable[Sequence[Line | BadLine]]) -> Iterator[list[Taken | Bad]]:
        """Take chunks of lines, in their order."""
        return (calls.take(accept, chunk) for chunk in chunks)

    def live(self, setting: Setting, parts: Iterable[Sequence[Kept]]) -> Iterator[Lived]:
        """Let all parts live, in their order."""
        return (live(setting, part) for part in parts)


class Elsewhere(Here):
    """The same in processes of their own."""

    def __init__(self, processes: int) -> None:
        """Start them, where that takes no time, else when they are needed."""
        # A copy of this process starts at once, a new interpreter reads all modules first. But where something else
        # runs in this one, such as what draws a bar, a copy would have its threads' locks without the threads.
        alone = threading.active_count() == 1 and "fork" in get_all_start_methods()
        self._pool = ProcessPoolExecutor(processes, get_context("fork" if alone else "spawn"), _begin)
        self._most = processes * AHEAD
        if alone:
            self._pool.submit(_begin_all)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if error is not None:
            # What they are at, nobody wants any more.
            self._pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                child.terminate()
        self._pool.shutdown()

    def take(self, accept: Accept, chunks: Iterable[Sequence[Line | BadLine]]) -> Iterator[list[Taken | Bad]]:
        """Take chunks of lines, in their order."""
        return self._each(calls.take, accept, chunks)

    def live(self, setting: Setting, parts: Iterable[Sequence[Kept]]) -> Iterator[Lived]:
        """Let all parts live, in their order."""
        return self._each(live, setting, parts)

    def _each(self, work: Callable[[Given, Piece], Done], given: Given, pieces: Iterable[Piece]) -> Iterator[Done]:
        ahead: deque[Future[Done]] = deque()
        for piece in pieces:
            ahead.append(self._pool.submit(work, given, piece))
            if len(ahead) >= self._most:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _begin() -> None:
    """Ctrl-C ends it at once, without a word: the first process speaks for all."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(UNCOLLECTED)


def _begin_all() -> None:
    """The first piece of work, which is none: with it all copies are made, before this process runs anything else."""
