"""The record of a dead letter on its topic: key, value and headers as they were, and in headers after those why.

The names are Kafka Connect's, so that tools which know its dead letters know these. What Connect has no name for
begins with `pathline.`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

COLLECTOR: Final = "collector"
STITCHER: Final = "stitcher"
SCORER: Final = "scorer"
UNKNOWN: Final = "unknown"
STAGES: Final = (COLLECTOR, STITCHER, SCORER)
"""Who could not use it. A newer version may have more of them, and what none of us wrote is kept, too."""

Headers = Sequence[tuple[str, bytes | None]]

TOPIC: Final = "__connect.errors.topic"
PARTITION: Final = "__connect.errors.partition"
OFFSET: Final = "__connect.errors.offset"
STAGE: Final = "__connect.errors.stage"
CODE: Final = "__connect.errors.exception.class.name"
MESSAGE: Final = "__connect.errors.exception.message"
SOURCE: Final = "pathline.source"
NAMESPACE: Final = "pathline.namespace"
RECEIVED_AT: Final = "pathline.received_at"
SIZE: Final = "pathline.size"
_OURS: Final = frozenset({TOPIC, PARTITION, OFFSET, STAGE, CODE, MESSAGE, SOURCE, NAMESPACE, RECEIVED_AT, SIZE})

UNEXPLAINED: Final = "unexplained"
"""The code of a record that came to the topic without one."""

TEXT_MAX: Final = 500
"""Characters kept of a text in a header, by whoever it was written."""

PARTITION_MAX: Final = 2**31 - 1
OFFSET_MAX: Final = 2**63 - 1


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be used, as it came, and why."""

    stage: str
    """One of STAGES, what a newer version says there, or UNKNOWN where nothing is said."""
    code: str
    message: str
    topic: str
    """Where it was to go, or was read."""
    partition: int | None = None
    offset: int | None = None
    """Where it lies in that topic; both None for what never came so far."""
    source: str | None = None
    """The write key's name."""
    namespace: str | None = None
    received_at: datetime | None = None
    size: int | None = None
    """Bytes that it had, where only the first of them are kept."""
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    """Its own."""


def encode(letter: Letter) -> list[tuple[str, bytes | None]]:
    """The headers of the record; its key and value are the letter's."""
    told: tuple[tuple[str, object], ...] = (
        (TOPIC, letter.topic),
        (PARTITION, letter.partition),
        (OFFSET, letter.offset),
        (STAGE, letter.stage),
        (CODE, letter.code),
        (MESSAGE, letter.message),
        (SOURCE, letter.source),
        (NAMESPACE, letter.namespace),
        (RECEIVED_AT, None if letter.received_at is None else letter.received_at.isoformat()),
        (SIZE, letter.size),
    )
    return [*letter.headers, *((name, str(value).encode()) for name, value in told if value is not None)]


def decode(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Letter:
    """Read a record of the dead letters' `topic`, whoever wrote it: what it does not say, or says badly, is absent.

    What we say begins with TOPIC and stands last: the same names before it are the letter's own, as of one that became
    a letter again.
    """
    first = max((place for place, (name, _) in enumerate(headers) if name == TOPIC), default=len(headers))
    told = {name: _text(said) for name, said in headers[first:] if name in _OURS}
    own = (*headers[:first], *(header for header in headers[first:] if header[0] not in _OURS))
    partition, offset = _whole(told.get(PARTITION), PARTITION_MAX), _whole(told.get(OFFSET), OFFSET_MAX)
    whole = partition is not None and offset is not None
    return Letter(
        # As it came: whoever knows it later can still judge it.
        stage=told.get(STAGE) or UNKNOWN,
        code=told.get(CODE) or UNEXPLAINED,
        message=told.get(MESSAGE, ""),
        topic=told.get(TOPIC) or topic,
        partition=partition if whole else None,
        offset=offset if whole else None,
        source=told.get(SOURCE),
        namespace=told.get(NAMESPACE),
        received_at=_time(told.get(RECEIVED_AT)),
        size=_whole(told.get(SIZE), OFFSET_MAX),
        key=key,
        value=value,
        headers=own,
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace").replace("\0", "�")[:TEXT_MAX]


def _whole(text: str | None, most: int) -> int | None:
    """The number that these digits are; a longer text is none, so that it costs nothing to find that out."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # PostgreSQL's times end later than these, but a zone can carry one out of Python's.
    return time if time.tzinfo is not None and 1970 <= time.year < 2200 else None  # noqa: PLR2004


_json: Final = msgspec.json.Encoder()
_listed: Final = msgspec.json.Decoder(list[tuple[str, Any]])


def headers_to_json(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Headers as the table keeps them: text as text, bytes that are none as `{"base64": …}`, nothing lost."""
    return _json.encode([(name.replace("\0", "�"), _shown(value)) for name, value in headers]).decode()


def headers_from_json(text: str) -> list[tuple[str, bytes | None]]:
    """The headers again."""
    return [(name, _hidden(value)) for name, value in _listed.decode(text)]


def _shown(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": base64.b64encode(value).decode()} if "\0" in text else text


def _hidden(value: object) -> bytes | None:
    if isinstance(value, dict):
        with_bytes = value.get("base64")
        try:
            return base64.b64decode(with_bytes if isinstance(with_bytes, str) else "")
        except ValueError:
            return b""
    return value.encode() if isinstance(value, str) else None


TYPE: Final = "pathline.call.type"
SENT_AT: Final = "pathline.call.sent_at"
HISTORICAL: Final = "pathline.call.historical"
PRIVATE: Final = "pathline.call.privacy_signal"
CONTEXT: Final = "pathline.call.context"
CONTEXT_SIZE: Final = "pathline.call.context_size"
_CALL: Final = "pathline.call."


class Around(msgspec.Struct, frozen=True):
    """What stood around a call that the collector refused, and decides what the call means."""

    type: str | None = None
    """By the address; None where the call itself must say."""
    sent_at: str | None = None
    """By its batch."""
    historical: bool = False
    context: bytes | None = None
    """Of its batch."""
    privacy_signal: bool = False
    """Whether its browser sends Global Privacy Control."""
    context_size: int | None = None
    """Bytes that the context had, where it was too large to be kept: without it the call means something else."""

    def to_headers(self) -> list[tuple[str, bytes | None]]:
        """As headers of the letter's own."""
        said = (
            (TYPE, self.type and self.type.encode()),
            (SENT_AT, self.sent_at and self.sent_at.encode()),
            (HISTORICAL, b"true" if self.historical else None),
            (CONTEXT, self.context),
            (PRIVATE, b"true" if self.privacy_signal else None),
            (CONTEXT_SIZE, None if self.context_size is None else b"%d" % self.context_size),
        )
        return [(name, value) for name, value in said if value]


def around_of(headers: Headers) -> Around:
    """What the headers of a letter say of that."""
    told = dict(headers)
    kind, sent_at = told.get(TYPE), told.get(SENT_AT)
    return Around(
        None if kind is None else _text(kind),
        None if sent_at is None else _text(sent_at),
        told.get(HISTORICAL) == b"true",
        told.get(CONTEXT),
        told.get(PRIVATE) == b"true",
        # Whatever it says there: the context is not whole.
        _whole(_text(told[CONTEXT_SIZE]), OFFSET_MAX) or 0 if CONTEXT_SIZE in told else None,
    )


def others(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The headers but for those: what goes with the call when it is taken."""
    return [(name, value) for name, value in headers if not name.startswith(_CALL)]
