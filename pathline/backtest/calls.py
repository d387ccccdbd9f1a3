"""From the lines of files to touchpoints in the order of time: what the collector would take, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from pathline.contracts import accepted
from pathline.contracts.accepted import Accepted
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from pathline.sending import lines
from pathline.sending.lines import MESSAGE_ID, BadLine, Line

NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""When `Accept` must say that a call happened which does not tell its time."""


TELL_EVERY: Final = 1_000
"""Lines between two tellings of how far the reading is."""


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


class Kept(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A call that can be used, as small as it can be held; the order is that of time."""

    at: datetime
    message_id: str
    record: bytes
    file: str
    line: int


_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_in_order: Final = msgspec.json.Encoder(order="deterministic")


class Calls:
    """The calls of some files. Which of two with one message id counts, and all else, depends on no order of lines."""

    def __init__(
        self, accept: Accept, *, most: int, on_bad: Callable[[Bad], None], on_read: Callable[[int], None] | None = None
    ) -> None:
        """Read at most `most` lines that `accept` takes.

        Args:
            accept: what a collector would store of a line.
            most: lines, of all files.
            on_bad: is told of each that cannot be used.
            on_read: is told now and then how many were read.
        """
        self.lines = 0
        self.duplicates = 0
        self.refused = 0
        self._accept = accept
        self._most = most
        self._on_bad = on_bad
        self._on_read = on_read
        self._kept: dict[str, Kept] = {}
        self._nameless: Counter[str] = Counter()

    def read(self, file: str) -> None:
        """Read one more file, `-` for standard input.

        Raises:
            OSError: it cannot be read.
            TooManyLinesError: all of them together have too many lines.
        """
        with lines.opened(file) as stream:
            for line in lines.read(stream):
                self.lines += 1
                if self.lines > self._most:
                    message = f"more than {self._most:,} lines"
                    raise TooManyLinesError(message)
                if self._on_read is not None and self.lines % TELL_EVERY == 0:
                    self._on_read(self.lines)
                refusal = self._keep(file, line)
                if refusal is not None:
                    self.refuse(Bad(file, line.number, refusal.code, refusal.message))

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

    def instants(self) -> Iterator[tuple[datetime, list[tuple[Kept, Touchpoint]]]]:
        """The touchpoints of each instant, oldest first."""
        for at, group in groupby(sorted(self._kept.values()), key=lambda kept: kept.at):
            yield at, [(kept, _touchpoint(accepted.decode(kept.record), kept.message_id)) for kept in group]

    def _keep(self, file: str, line: Line | BadLine) -> Refusal | None:
        if isinstance(line, BadLine):
            return Refusal(line.code, line.message)
        value = self._accept(line.call)
        if isinstance(value, Refusal):
            return value
        record = accepted.decode(value)
        if record.occurred_at == NEVER:
            return Refusal("no_timestamp", "without a timestamp a line has no place in time")
        message_id = record.message_id if line.named else self._made_up(line.call)
        try:
            _touchpoint(record, message_id)
        except Unreadable as why:
            return Refusal(why.code, str(why))
        kept = Kept(record.occurred_at, message_id, value, file, line.number)
        held = self._kept.get(message_id)
        if held is not None:
            self.duplicates += 1
        if held is None or kept < held:
            self._kept[message_id] = kept
        return None

    def _made_up(self, call: bytes) -> str:
        """A message id for a call without one: made of its text and not of its place, which may be another one."""
        fields = _object.decode(call)
        del fields[MESSAGE_ID]
        digest = blake2b(_in_order.encode(fields), digest_size=12).hexdigest()
        self._nameless[digest] += 1
        count = self._nameless[digest]
        return f"import-{digest}" if count == 1 else f"import-{digest}-{count}"


def _touchpoint(record: Accepted, message_id: str) -> Touchpoint:
    """As if it had been received when it happened, and were no history: what would have been alerted is asked."""
    record.message_id = message_id
    record.received_at = record.occurred_at
    record.historical = False
    return to_touchpoint(record)
