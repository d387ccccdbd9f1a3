"""From the lines of files to touchpoints in the order of time: what the collector would take, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby
from typing import Any, Final

import msgspec

from pathline.contracts.accepted import VERSION, Accepted, Call
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain import vocabulary
from pathline.domain.identifiers import usable
from pathline.domain.touchpoint import Touchpoint
from pathline.sending import lines
from pathline.sending.lines import MESSAGE_ID, BadLine, Line

MESSAGE_ID_LENGTH: Final = 100
"""Characters of a message id, as at the collector."""

SOURCE: Final = "backtest"
"""Stands for the one write key that a file would be imported with."""


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
    call: bytes
    file: str
    line: int


class _Dated(Call):
    """A call with what only its sender's end knows."""

    message_id: Any = None
    timestamp: Any = None
    original_timestamp: Any = None


_dated: Final = msgspec.json.Decoder(_Dated)
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_in_order: Final = msgspec.json.Encoder(order="deterministic")


class Calls:
    """The calls of some files. Which of two with one message id counts, and all else, depends on no order of lines."""

    def __init__(self, namespace: str, *, most: int, on_bad: Callable[[Bad], None]) -> None:
        """Read touchpoints of `namespace`, at most `most` lines; `on_bad` is told of each that cannot be used."""
        self.lines = 0
        self.duplicates = 0
        self.refused = 0
        self._namespace = namespace
        self._most = most
        self._on_bad = on_bad
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
                try:
                    self._keep(file, line)
                except Unreadable as why:
                    self.refuse(Bad(file, line.number, why.code, str(why)))

    def refuse(self, bad: Bad) -> None:
        """Count a call that cannot be used, and tell of it."""
        self.refused += 1
        self._on_bad(bad)

    @property
    def last(self) -> datetime | None:
        """The time of the last touchpoint; None where there is none."""
        return max((kept.at for kept in self._kept.values()), default=None)

    def instants(self) -> Iterator[tuple[datetime, list[tuple[Kept, Touchpoint]]]]:
        """The touchpoints of each instant, oldest first."""
        for at, group in groupby(sorted(self._kept.values()), key=lambda kept: kept.at):
            yield at, [(kept, self._touchpoint(_dated.decode(kept.call), kept)) for kept in group]

    def _keep(self, file: str, line: Line | BadLine) -> None:
        if isinstance(line, BadLine):
            raise Unreadable(line.code, line.message)
        call = _decoded(line.call)
        at = time_of(call)
        message_id = message_id_of(call) if line.named else self._made_up(line.call)
        kept = Kept(at, message_id, line.call, file, line.number)
        check(self._readable(call, kept))
        held = self._kept.get(message_id)
        if held is not None:
            self.duplicates += 1
        if held is None or kept < held:
            self._kept[message_id] = kept

    def _made_up(self, call: bytes) -> str:
        """A message id for a call without one: made of its text and not of its place, which may be another one."""
        fields = _object.decode(call)
        del fields[MESSAGE_ID]
        digest = blake2b(_in_order.encode(fields), digest_size=12).hexdigest()
        self._nameless[digest] += 1
        count = self._nameless[digest]
        return f"import-{digest}" if count == 1 else f"import-{digest}-{count}"

    def _readable(self, call: Call, kept: Kept) -> Touchpoint:
        try:
            return self._touchpoint(call, kept)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            code = "not_json"
            raise Unreadable(code, str(error)) from error

    def _touchpoint(self, call: Call, kept: Kept) -> Touchpoint:
        return to_touchpoint(
            Accepted(
                v=VERSION,
                source=SOURCE,
                namespace=self._namespace,
                trusted=True,
                library="server",
                received_at=kept.at,
                occurred_at=kept.at,
                message_id=kept.message_id,
                call=call,
            )
        )


def time_of(call: _Dated) -> datetime:
    """When it happened, in UTC: by its `timestamp`, else its `originalTimestamp`. Raises Unreadable."""
    told = call.original_timestamp if call.timestamp is None else call.timestamp
    if told is None:
        code = "no_timestamp"
        raise Unreadable(code, "a line of a file needs a timestamp: there is no other time to put it at")
    at = instant(told)
    if at is None:
        code = "bad_timestamp"
        raise Unreadable(code, "timestamp is no time as RFC 3339 writes it, between the years 1 and 9999")
    return at


def instant(told: object) -> datetime | None:
    """A time in UTC, out of text as RFC 3339 writes it (without a zone it is UTC); None for what is none."""
    if not isinstance(told, str):
        return None
    try:
        at = datetime.fromisoformat(told)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def message_id_of(call: _Dated) -> str:
    """Its message id as text. Raises Unreadable."""
    told = call.message_id
    text = str(told) if isinstance(told, int) and not isinstance(told, bool) else told
    if not isinstance(text, str) or not text or len(text) > MESSAGE_ID_LENGTH or "\0" in text:
        code = "bad_message_id"
        raise Unreadable(code, f"messageId is a text of 1 to {MESSAGE_ID_LENGTH} characters, or a whole number")
    return text


def check(touchpoint: Touchpoint) -> None:
    """Hold it against the vocabulary, and an alias against its form. Raises Unreadable."""
    if touchpoint.type == "track":
        missing = vocabulary.missing(touchpoint.event, touchpoint.properties)
        if missing is not None:
            code = "missing_property"
            raise Unreadable(code, f"{touchpoint.event} needs the property {missing}")
    if touchpoint.type == "alias" and usable(touchpoint.previous_id) is None:
        code = "no_previous_id"
        raise Unreadable(code, "an alias needs a previousId that can be used")


def _decoded(call: bytes) -> _Dated:
    try:
        return _dated.decode(call)
    except msgspec.ValidationError as error:
        code = "bad_call"
        raise Unreadable(code, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        code = "not_json"
        raise Unreadable(code, str(error)) from error
