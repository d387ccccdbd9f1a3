"""Importing a file of history: read, send, note how far it is acked, next. Bounded memory; nothing is lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from pathline.sending import lines
from pathline.sending.client import Collector
from pathline.sending.lines import BadLine, Line
from pathline.sending.progress import Position, Progress

BATCH_CALLS: Final = 500
BATCH_BYTES: Final = 400_000
"""Both below what a collector takes unless it is set otherwise; one that takes less gets halves."""


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

    def add(self, line: Line | BadLine) -> None:
        self.last = line
        if isinstance(line, Line):
            self.good.append(line)
            self.bytes += len(line.call)
        else:
            self.bad.append(line)

    @property
    def full(self) -> bool:
        return len(self.good) >= BATCH_CALLS or self.bytes >= BATCH_BYTES or len(self.bad) >= BATCH_CALLS


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
    ) -> None:
        """Tell `on_reject` of every line that is not stored, before it is noted as done."""
        self._collector = collector
        self._key = key
        self._progress = progress
        self._on_reject = on_reject
        self._on_position = on_position

    async def run(self, path: str) -> Outcome:
        """Import one file, from where it was stopped before.

        Raises:
            OSError: the file cannot be read, or the position not be kept.
            RefusedError: the collector refuses the key.
            UnreachableError: it did not answer for too long; run it again, and it goes on from there.
        """
        identity = lines.identify(path)
        begun = self._progress.load(identity) if identity is not None else Position()
        position = begun
        self._on_position(position)
        with lines.opened(path) as stream:
            if begun.offset:
                stream.seek(begun.offset, io.SEEK_SET)
            for batch in _batches(lines.read(stream, number=begun.line, offset=begun.offset)):
                position = await self._send(path, batch, position)
                if identity is not None:
                    self._progress.save(identity, position)
                self._on_position(position)
        return Outcome(position.acked - begun.acked, position.refused, begun.line)

    async def _send(self, path: str, batch: _Batch, position: Position) -> Position:
        refusals = await self._collector.send(self._key, [line.call for line in batch.good], historical=True)
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


def _batches(source: Iterator[Line | BadLine]) -> Iterator[_Batch]:
    batch = _Batch()
    for line in source:
        batch.add(line)
        if batch.full:
            yield batch
            batch = _Batch()
    if batch.last is not None:
        yield batch
