"""From the lines of files to touchpoints in the order of time: what the collector would take, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby, islice
from typing import Final, NamedTuple

import msgspec

from pathline.backtest.families import Families, names_in
from pathline.contracts import accepted
from pathline.contracts.accepted import Accepted
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain.identifiers import touchpoint_id
from pathline.domain.touchpoint import Touchpoint
from pathline.sending import lines
from pathline.sending.lines import MESSAGE_ID, BadLine, Line

NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""When `Accept` must say that a call happened which does not tell its time."""

CHUNK: Final = 1_000
"""Lines that are read together."""

PART: Final = 4_000
"""Touchpoints that happen together, about; only their customers' state is in memory. A family is never parted."""


class Refusal(NamedTuple):
    """Why a call is not taken."""

    code: str
    message: str


Accept = Callable[[bytes], bytes | Refusal]
"""What the collector would store of a call sent with a server's key: the value of a record, or why it refuses."""


class Bad(msgspec.Struct, frozen=True):
    """A line that cannot be used, and why."""

    file: str
    line: int
    code: str
    message: str


class TooManyLinesError(Exception):
    """The files have more lines than may be held in memory."""


class Taken(NamedTuple):
    """A call that can be used. One without a message id has a digest of its text, and is not `named`."""

    line: int
    at: datetime
    message_id: str
    named: bool
    touchpoint: bytes
    connects: tuple[str, ...]


class Kept(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A call that can be used, as small as it can be held; the order is that of time."""

    at: datetime
    message_id: str
    touchpoint: bytes
    """Read once, and written so that it is read again in a fifth of the time that its call takes."""
    file: str
    line: int
    family: int
    """A member of it."""


TakeAll = Callable[[Iterable[Sequence[Line | BadLine]]], Iterator[list[Taken | Bad]]]
"""Takes chunks of lines, here or in other processes, and gives what came of them in the same order."""

_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_in_order: Final = msgspec.json.Encoder(order="deterministic")
# Not MessagePack, which is no quicker here and knows whole numbers of 64 bits only.
_written: Final = msgspec.json.Encoder()
_read: Final = msgspec.json.Decoder(Touchpoint)


class Calls:
    """The calls of some files. Which of two with one message id counts, and all else, depends on no order of lines."""

    def __init__(self, *, most: int, on_bad: Callable[[Bad], None], on_read: Callable[[int], None]) -> None:
        """Read at most `most` lines.

        Args:
            most: lines, of all files.
            on_bad: is told of each that cannot be used.
            on_read: is told now and then how many were read.
        """
        self.lines = 0
        self.duplicates = 0
        self.refused = 0
        self._most = most
        self._on_bad = on_bad
        self._on_read = on_read
        self._kept: dict[str, Kept] = {}
        self._nameless: Counter[str] = Counter()
        self._families = Families()

    def read(self, file: str, take_all: TakeAll) -> None:
        """Read one more file, `-` for standard input.

        Raises:
            OSError: it cannot be read.
            TooManyLinesError: all of them together have too many lines.
        """
        with lines.opened(file) as stream:
            for taken in take_all(self._chunks(lines.read(stream))):
                for one in taken:
                    if isinstance(one, Bad):
                        self.refuse(msgspec.structs.replace(one, file=file))
                    else:
                        self._keep(file, one)

    def refuse(self, bad: Bad) -> None:
        """Count a call that cannot be used, and tell of it."""
        self.refused += 1
        self._on_bad(bad)

    def __len__(self) -> int:
        """How many can be used."""
        return len(self._kept)

    @property
    def first(self) -> datetime | None:
        """The time of the first touchpoint; None where there is none."""
        return min((kept.at for kept in self._kept.values()), default=None)

    @property
    def last(self) -> datetime | None:
        """The time of the last touchpoint; None where there is none."""
        return max((kept.at for kept in self._kept.values()), default=None)

    def parts(self, most: int) -> list[list[Kept]]:
        """The calls, oldest first, in parts that have nothing to do with each other, of about `most` each."""
        families: dict[int, list[Kept]] = {}
        for kept in sorted(self._kept.values()):
            families.setdefault(self._families.of(kept.family), []).append(kept)
        parts: list[list[Kept]] = []
        for family in families.values():
            if not parts or len(parts[-1]) + len(family) > most:
                parts.append([])
            parts[-1] += family
        return [sorted(part) for part in parts]

    def _chunks(self, found: Iterator[Line | BadLine]) -> Iterator[list[Line | BadLine]]:
        while chunk := list(islice(found, CHUNK)):
            self.lines += len(chunk)
            if self.lines > self._most:
                message = f"more than {self._most:,} lines"
                raise TooManyLinesError(message)
            self._on_read(self.lines)
            yield chunk

    def _keep(self, file: str, taken: Taken) -> None:
        message_id = taken.message_id if taken.named else self._made_up(taken.message_id)
        family = self._families.join(taken.connects)
        kept = Kept(taken.at, message_id, taken.touchpoint, file, taken.line, family)
        held = self._kept.get(message_id)
        if held is not None:
            self.duplicates += 1
        if held is None or kept < held:
            self._kept[message_id] = kept

    def _made_up(self, digest: str) -> str:
        """A message id for a call without one: of its text and not of its place, which may be another one."""
        self._nameless[digest] += 1
        count = self._nameless[digest]
        return f"import-{digest}" if count == 1 else f"import-{digest}-{count}"


def take(accept: Accept, chunk: Iterable[Line | BadLine]) -> list[Taken | Bad]:
    """What can be used of some lines of a file whose name is not told."""
    return [_taken(accept, line) for line in chunk]


def instants(kept: Iterable[Kept]) -> Iterator[tuple[datetime, list[tuple[Kept, Touchpoint]]]]:
    """The touchpoints of each instant, of calls that are in the order of time."""
    for at, group in groupby(kept, key=lambda one: one.at):
        yield at, [(one, _touchpoint_of(one)) for one in group]


def _taken(accept: Accept, line: Line | BadLine) -> Taken | Bad:
    if isinstance(line, BadLine):
        return Bad("", line.number, line.code, line.message)
    value = accept(line.call)
    if isinstance(value, Refusal):
        return Bad("", line.number, value.code, value.message)
    record = accepted.decode(value)
    if record.occurred_at == NEVER:
        return Bad("", line.number, "no_timestamp", "without a timestamp a line has no place in time")
    message_id = record.message_id if line.named else _digest(line.call)
    try:
        touchpoint = _happening(record, message_id)
    except Unreadable as why:
        return Bad("", line.number, why.code, str(why))
    return Taken(
        line.number, touchpoint.occurred_at, message_id, line.named, _written.encode(touchpoint), names_in(touchpoint)
    )


def _digest(call: bytes) -> str:
    fields = _object.decode(call)
    del fields[MESSAGE_ID]
    return blake2b(_in_order.encode(fields), digest_size=12).hexdigest()


def _happening(record: Accepted, message_id: str) -> Touchpoint:
    """As if it had been received when it happened, and were no history: what would have been alerted is asked."""
    record.message_id = message_id
    record.received_at = record.occurred_at
    record.historical = False
    # Nobody asks to see it.
    return msgspec.structs.replace(to_touchpoint(record), body="{}")


def _touchpoint_of(kept: Kept) -> Touchpoint:
    touchpoint = _read.decode(kept.touchpoint)
    if touchpoint.message_id == kept.message_id:
        return touchpoint
    # It had none, and of those alike it is not the first.
    made_up = touchpoint_id(touchpoint.source, kept.message_id)
    return msgspec.structs.replace(touchpoint, id=made_up, message_id=kept.message_id)
