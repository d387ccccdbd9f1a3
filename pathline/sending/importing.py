"""Importing a file of history: read, send, note how far it is acked. Bounded memory; nothing is lost.

Several batches are under way at once, so two calls of a person may be stored in another order than that of the
file. That changes nothing: each has its own time, and state is a join of what happened. A file is acked up to the first
batch that is not; what was acked beyond it is sent again after a kill, under the same ids.
"""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from pathline.sending import lines
from pathline.sending.client import Collector, Refusal
from pathline.sending.lines import BadLine, Identity, Line
from pathline.sending.progress import Position, Progress

BATCH_CALLS: Final = 500
BATCH_BYTES: Final = 400_000
"""Both below what a collector takes unless it is set otherwise; one that takes less gets halves."""

UNDER_WAY: Final = 4
"""Batches at once: enough that one is read here while others are decoded there and wait for their acks."""

KEEP_SECONDS: Final = 0.5
"""How often it is written down how far a file is acked; what a kill makes forget is sent again."""


class Rejected(msgspec.Struct, frozen=True):
    """A line that was not stored, as it stands in the rejects file."""

    file: str
    line: int
    code: str
    message: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of a file."""

    stored: int
    refused: int
    skipped: int
    """Lines that an earlier run had sent."""


class _Batch:
    """Lines read and not yet sent."""

    def __init__(self) -> None:
        self.good: list[Line] = []
        self.bad: list[BadLine] = []
        self.bytes = 0
        self.last: Line | BadLine | None = None

    def add(self, line: Line | BadLine) -> bool:
        """Put a line in; whether it is full now."""
        self.last = line
        if isinstance(line, BadLine):
            self.bad.append(line)
            return len(self.bad) >= BATCH_CALLS
        self.good.append(line)
        self.bytes += len(line.call)
        return len(self.good) >= BATCH_CALLS or self.bytes >= BATCH_BYTES


class _Place:
    """Where one file stands. It is kept now and then: to keep it can take as long as to send a batch."""

    def __init__(self, progress: Progress, identity: Identity | None) -> None:
        self._progress = progress
        self._identity = identity
        self.begun = self.at = self._kept = Position() if identity is None else progress.load(identity)
        self._next = -math.inf

    def move(self, to: Position) -> None:
        """So much of it is done. Raises OSError."""
        self.at = to
        if time.monotonic() >= self._next:
            self.keep()

    def keep(self) -> None:
        """Write it down. Raises OSError."""
        self._next = time.monotonic() + KEEP_SECONDS
        if self._identity is not None and self.at != self._kept:
            self._progress.save(self._identity, self.at)
            self._kept = self.at


_Sending = tuple[_Batch, asyncio.Task[list[Refusal]]]


class Importer:
    """Sends files to one collector with one key."""

    def __init__(
        self,
        collector: Collector,
        key: str,
        progress: Progress,
        *,
        on_reject: Callable[[Rejected], None],
        on_position: Callable[[Position], None] = lambda _: None,
        at_once: int = UNDER_WAY,
    ) -> None:
        """Send `at_once` batches at a time. Tell `on_reject` of every line not stored, before it is noted as done."""
        self._collector = collector
        self._key = key
        self._progress = progress
        self._on_reject = on_reject
        self._on_position = on_position
        self._at_once = at_once

    async def run(self, path: str) -> Outcome:
        """Import one file, from where it was stopped before.

        Raises:
            OSError: the file cannot be read, or the position not be kept.
            RefusedError: the collector refuses the key.
            UnreachableError: it did not answer for too long; run it again, and it goes on from there.
        """
        identity = lines.identify(path)
        place = _Place(self._progress, identity)
        self._on_position(place.at)
        # A pipe may give nothing for long, and while it is read nothing else is done: nothing may wait meanwhile.
        at_once = 1 if identity is None else self._at_once
        under_way: deque[_Sending] = deque()

        async def settle() -> None:
            """Note the first batch under way as done, once it is."""
            batch, sending = under_way[0]
            place.move(self._settled(path, batch, await sending, place.at))
            under_way.popleft()
            self._on_position(place.at)

        with lines.opened(path) as stream:
            if place.begun.offset:
                stream.seek(place.begun.offset, io.SEEK_SET)
            try:
                for batch in _batches(lines.read(stream, number=place.begun.line, offset=place.begun.offset)):
                    under_way.append((batch, asyncio.create_task(self._send(batch))))
                    if len(under_way) == at_once:
                        await settle()
                while under_way:
                    await settle()
            finally:
                await _dropped(under_way)
                place.keep()
        return Outcome(place.at.acked - place.begun.acked, place.at.refused, place.begun.line)

    async def _send(self, batch: _Batch) -> list[Refusal]:
        return await self._collector.send(self._key, [line.call for line in batch.good], historical=True)

    def _settled(self, path: str, batch: _Batch, refusals: list[Refusal], position: Position) -> Position:
        """Tell what of a batch was refused; where the file stands then."""
        rejected = [Rejected(path, bad.number, bad.code, bad.message) for bad in batch.bad]
        rejected += [Rejected(path, batch.good[r.index].number, r.code, r.message) for r in refusals]
        for one in sorted(rejected, key=lambda r: r.line):
            self._on_reject(one)
        assert batch.last is not None
        return Position(
            offset=batch.last.end,
            line=batch.last.number,
            acked=position.acked + len(batch.good) - len(refusals),
            refused=position.refused + len(rejected),
        )


async def _dropped(under_way: deque[_Sending]) -> None:
    """Wait for no more acks; what was sent may be stored all the same."""
    for _, sending in under_way:
        sending.cancel()
    await asyncio.gather(*(sending for _, sending in under_way), return_exceptions=True)


def _batches(source: Iterator[Line | BadLine]) -> Iterator[_Batch]:
    batch = _Batch()
    for line in source:
        if batch.add(line):
            yield batch
            batch = _Batch()
    if batch.last is not None:
        yield batch
