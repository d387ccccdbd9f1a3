"""The live stream's fan-out: one reader puts records in, every open stream takes events out.

All of it is in memory and bounded: a stream that does not keep up is dropped, and comes back with the id
of the last event it saw. An id is the place in every partition (`a0.12-j0.55-j1.54`), so that it means
the same to every console process. Events of one record share the place before it but for the last of
them: who resumes may see some twice, and misses none.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import msgspec

from services.console.metrics import ConsoleMetrics

Partition = tuple[str, int]
"""(`a` for alerts or `j` for journeys, number)."""

MAX_ID: Final = 20_000
"""Characters of an id that are looked at."""
HEARTBEAT: Final = "heartbeat"
RESET: Final = "reset"
"""Told to a stream that comes back too late: what it missed is no longer remembered, so read everything again."""

_PLACE: Final = re.compile(r"([aj])(\d{1,6})\.(\d{1,19})")


class Event(msgspec.Struct, frozen=True):
    """One event for the streams. `customers`: whose page it changes, ids that moved among them."""

    name: str
    data: bytes
    customers: frozenset[UUID] = frozenset()
    moved: bool = False
    """Whether ids may belong to another customer after it."""


class Frame(msgspec.Struct, frozen=True):
    """An event as it goes over the wire."""

    event: Event
    wire: bytes


class _Record(msgspec.Struct, frozen=True):
    partition: Partition
    offset: int
    frames: tuple[Frame, ...]


class Stream:
    """One open stream: what it missed, then what comes."""

    def __init__(self, backlog: Iterable[Frame], size: int, read: Callable[[], str], place: str) -> None:
        """Begin with `backlog`, at `place`; at most `size` events wait. `read` says how far is read."""
        self._read = read
        self.place = place
        """Up to where everything has been taken: what this stream would resume from."""
        self._backlog = deque(backlog)
        self._waiting: deque[Frame] = deque()
        self._size = size
        self._news = asyncio.Event()
        self.ended = False
        if self._backlog:
            self._news.set()

    def offer(self, frames: Iterable[Frame]) -> bool:
        """Queue these; False when they find no room, which ends the stream."""
        self._waiting.extend(frames)
        if len(self._waiting) > self._size:
            self.end()
            return False
        self._news.set()
        return True

    def end(self) -> None:
        """Nothing more comes, and what waits is forgotten."""
        self.ended = True
        self._backlog.clear()
        self._waiting.clear()
        self._news.set()

    async def take(self, seconds: float) -> list[Frame]:
        """Everything that waits, after at most `seconds`; empty when nothing came, or when it has ended."""
        if not self._news.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        # Nothing is awaited from here on: what was read until now is taken or was taken before.
        self._news.clear()
        self.place = self._read()
        taken = [*self._backlog, *self._waiting]
        self._backlog.clear()
        self._waiting.clear()
        return taken


class Hub:
    """Where the reader meets the streams."""

    def __init__(self, metrics: ConsoleMetrics, *, streams: int, queue: int, memory: int) -> None:
        """Serve at most `streams`, let `queue` events wait for each, remember `memory` events."""
        self._metrics = metrics
        self._limit = streams
        self._queue = queue
        self._memory = memory
        self._records: deque[_Record] = deque()
        self._remembered = 0
        self._streams: set[Stream] = set()
        self._floor: dict[Partition, int] = {}
        """For each partition the first offset from which on everything is remembered."""
        self.next: dict[Partition, int] = {}
        """For each partition the next offset to be read."""
        self._caught_up = asyncio.Event()
        self.closed = False

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Say where reading begins; partitions that are known already go on where they were."""
        for partition, offset in positions.items():
            self.next.setdefault(partition, offset)
            self._floor.setdefault(partition, offset)

    def caught_up(self) -> None:
        """Say that everything there was at the start has been read: streams of the process before can resume."""
        self._caught_up.set()

    async def wait(self, seconds: float) -> None:
        """Wait until reading has caught up with the start, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()

    def id(self) -> str:
        """The place after everything that was read."""
        return "-".join(f"{topic}{number}.{offset}" for (topic, number), offset in sorted(self.next.items()))

    def publish(self, partition: Partition, offset: int, events: Collection[Event]) -> None:
        """Send the events of the record at `offset` to every stream, and remember them."""
        before = self.id()
        self.next[partition] = offset + 1
        if not events:
            return
        after = self.id()
        listed = list(events)
        frames = tuple(
            Frame(event, frame(event.name, event.data, after if event is listed[-1] else before)) for event in listed
        )
        self._remember(_Record(partition, offset, frames))
        for stream in tuple(self._streams):
            if stream.offer(frames):
                for event in listed:
                    self._metrics.sent.labels(event.name).inc()
            else:
                self._metrics.dropped.labels("slow").inc()
                self.leave(stream)

    def skip(self, partition: Partition, offset: int) -> None:
        """Go past a record unread: nobody listens."""
        self.next[partition] = offset + 1
        self._floor[partition] = offset + 1

    def join(self, last_id: str | None) -> tuple[Stream, bool] | None:
        """Open a stream; None when there are too many.

        Args:
            last_id: of the last event it saw; None for a new one.

        Returns:
            the stream, and whether it came too late to be told all that it missed.
        """
        if self.closed or len(self._streams) >= self._limit:
            self._metrics.dropped.labels("too_many").inc()
            return None
        backlog, late = ([], False) if not last_id else self._missed(parse_id(last_id))
        if last_id:
            self._metrics.resumed.labels("too_late" if late else "resumed").inc()
        stream = Stream(backlog, self._queue, self.id, last_id if last_id and not late else self.id())
        self._streams.add(stream)
        self._metrics.streams.set(len(self._streams))
        return stream, late

    def leave(self, stream: Stream) -> None:
        """Forget a stream."""
        stream.end()
        self._streams.discard(stream)
        self._metrics.streams.set(len(self._streams))

    def close(self) -> None:
        """End every stream, and open no more."""
        self.closed = True
        self._caught_up.set()
        for stream in tuple(self._streams):
            self.leave(stream)

    def _missed(self, seen: Mapping[Partition, int]) -> tuple[list[Frame], bool]:
        late = any(seen.get(partition, 0) < floor for partition, floor in self._floor.items())
        late = late or any(offset > self.next.get(partition, 0) for partition, offset in seen.items())
        if late or not seen:
            return [], True
        return list(self._after(seen)), False

    def _after(self, seen: Mapping[Partition, int]) -> Iterator[Frame]:
        for record in self._records:
            if record.offset >= seen.get(record.partition, 0):
                yield from record.frames

    def _remember(self, record: _Record) -> None:
        self._records.append(record)
        self._remembered += len(record.frames)
        while self._remembered > self._memory:
            oldest = self._records.popleft()
            self._remembered -= len(oldest.frames)
            self._floor[oldest.partition] = oldest.offset + 1
        self._metrics.remembered.set(self._remembered)


def frame(name: str, data: bytes, event_id: str) -> bytes:
    """An event on the wire; `data` is JSON on one line."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), event_id.encode(), data)


def parse_id(text: str) -> dict[Partition, int]:
    """The place that an id says; empty for one that is none of ours."""
    if len(text) > MAX_ID:
        return {}
    places: dict[Partition, int] = {}
    for part in text.split("-"):
        found = _PLACE.fullmatch(part)
        if found is None:
            return {}
        places[found[1], int(found[2])] = int(found[3])
    return places


def to_json(value: Any) -> bytes:
    """An event's data."""
    return msgspec.json.encode(value)
