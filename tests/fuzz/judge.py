"""What must hold of the decoder for any bytes: they are refused with a code, or can be read by everyone after.

The first byte says how the rest comes: by which key, to which address, alone or as a batch, zipped or not.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import CALL_TYPES
from services.ingest import batches, calls, together
from services.ingest.body import TOO_LARGE, inflate
from services.ingest.calls import Item, Receipt, Record
from services.ingest.codes import CODES, Refused
from tests.support.hostile import CALLS
from tests.support.together import as_taken

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
BODY_BYTES_MAX: Final = 65_536
CALL_BYTES_MAX: Final = 8_192

TRUSTED, BATCH, ZIPPED, ROUND_TRIP = 1, 16, 32, 64
KINDS: Final = (None, *CALL_TYPES, None)
"""Three bits choose one: the type as the address says it, or as the call does."""


class FaultError(Exception):
    """The decoder took what nobody after it can use, or judged one thing in two ways."""


def judge(data: bytes) -> list[Touchpoint]:
    """Take these bytes as the collector does; what of it would be stored.

    Raises:
        Exception: the decoder is at fault; whatever a sender does wrong is a Refused.
    """
    how, body = (data[0], data[1:]) if data else (0, b"")
    if how & ROUND_TRIP and inflate(gzip.compress(body, 1), BODY_BYTES_MAX) not in (body, TOO_LARGE):
        reason = "gzip is not what was zipped"
        raise FaultError(reason)
    if how & ZIPPED:
        plain = inflate(body, BODY_BYTES_MAX)
        if isinstance(plain, Refused):
            _is_told(plain)
            return []
        body = plain
    trusted = bool(how & TRUSTED)
    found = _batch(body, trusted=trusted) if how & BATCH else _one(body, KINDS[how >> 1 & 7], trusted=trusted)
    return [touchpoint for touchpoint in map(_can_be_read, found) if touchpoint is not None]


def seeds() -> Iterator[bytes]:
    """The list of bad input, as `judge` takes it."""
    for cases in CALLS.values():
        for case in cases.values():
            if len(case.body) < CALL_BYTES_MAX:
                how = TRUSTED if case.key == "demo" else 0
                how |= BATCH if case.path == "/v1/batch" else ZIPPED if case.encoding == "gzip" else 0
                yield bytes([how | KINDS.index("alias" if case.path == "/v1/alias" else "track") << 1]) + case.body


def receipt(*, trusted: bool, shared: bytes | None = None, context: dict[str, Any] | None = None) -> Receipt:
    envelope = accepted.Envelope(source="shop", namespace="default", trusted=trusted, received_at=NOW, shared=shared)
    sender = "server" if trusted else "web"
    return Receipt(envelope, "default", trusted, NOW, CALL_BYTES_MAX, sender, None, context or {}, None, "truncated")


def _one(raw: bytes, kind: str | None, *, trusted: bool) -> Iterator[Record | Refused]:
    item = calls.read(raw, CALL_BYTES_MAX)
    if isinstance(item, Refused):
        yield item
        return
    yield calls.record(raw, item, item.type if kind is None else kind, receipt(trusted=trusted))
    # The same call as a batch of one.
    (other,) = calls.read_all(b'{"batch":[%b]}' % raw, [raw], CALL_BYTES_MAX)
    alone, together = calls.take(raw, receipt(trusted=trusted)), _recorded(raw, other, receipt(trusted=trusted))
    if alone != together:
        reason = f"alone {alone}, in a batch {together}"
        raise FaultError(reason)


def _batch(raw: bytes, *, trusted: bool) -> Iterator[Record | Refused]:
    read = batches.read(raw, 2_500)
    if isinstance(read, Refused):
        yield read
        return
    batch, whole = read
    batch.key(), batch.sent(), batch.is_historical()
    shared = bytes(batch.context)
    context = None if shared in calls.NO_CONTEXT else calls.read_context(shared, CALL_BYTES_MAX)
    if isinstance(context, Refused) or not batch.batch:
        return
    received = receipt(trusted=trusted, shared=None if context is None else shared, context=context)
    each = [bytes(one) for one in batch.batch]
    items = calls.read_all(whole, each, CALL_BYTES_MAX)
    if list(items) != [calls.read(one, CALL_BYTES_MAX) for one in each]:
        reason = "a batch is read in two ways"
        raise FaultError(reason)
    taken = together.take(each, items, received)
    alone = [_recorded(one, item, received) for one, item in zip(each, items, strict=True)]
    if taken != as_taken(alone):
        reason = "a batch is recorded in two ways"
        raise FaultError(reason)
    yield from alone


def _recorded(raw: bytes, item: Item | Refused, received: Receipt) -> Record | Refused:
    return calls.record(raw, item, item.type, received) if isinstance(item, Item) else item


def _is_told(refused: Refused) -> None:
    if refused.code not in CODES:
        raise FaultError(refused.code)


def _can_be_read(got: Record | Refused) -> Touchpoint | None:
    """Read a record as the stitcher, the database and the console do."""
    if isinstance(got, Refused):
        _is_told(got)
        return None
    touchpoint = to_touchpoint(accepted.decode(got.value))
    got.key.decode()
    # A number out of range stays in the log where it stands in a field that nobody reads: nothing else may.
    whole = json.loads(got.value, parse_constant=_finite)
    shown = json.loads(touchpoint.body, parse_float=_finite, parse_constant=_finite)
    part = whole["call"].get("traits" if touchpoint.type in {"identify", "group"} else "properties")
    if shown != (part or {}):
        reason = f"{part} is shown as {shown}"
        raise FaultError(reason)
    for inner in (*_texts(whole), *_texts(shown)):
        if "\0" in inner:
            reason = "a NUL is stored"
            raise FaultError(reason)
        inner.encode()  # half of a pair has no bytes
    if touchpoint.subject is None or not 0 < len(touchpoint.message_id) <= calls.MESSAGE_ID_MAX:
        reason = "it names nobody, or has no id"
        raise FaultError(reason)
    return touchpoint


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise FaultError(text)
    return number


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
