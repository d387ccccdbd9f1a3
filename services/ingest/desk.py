"""Taking calls: whose key, what they have in common, each checked and put in its lane, then the wait for acks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from pathline.contracts import accepted
from pathline.storage.keys import WriteKey
from services.ingest import calls, clock, text
from services.ingest.body import TOO_LARGE, Body
from services.ingest.calls import Receipt, Record
from services.ingest.codes import STORED, Refused, Rejected, refusal, stored_but
from services.ingest.keyring import LOCAL, MISSING, Keyring
from services.ingest.lanes import Headers, Lanes, NotStoredError
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.subject import NOTHING, Fields

SPREAD_TIMES: Final = 4
"""The context of a batch is written with each of its calls: so many times the most of a body, at most."""

_NO_BATCH: Final = Refused("bad_batch", "the body of a batch is an object with an array `batch`")
_NO_OBJECT: Final = Refused("not_an_object", "a batch is a JSON object")
_EMPTY_BATCH: Final = Refused("empty_batch", "the batch holds no calls")
_NONE: Final = Refused("none_accepted", "every call of the batch was refused")
_NO_HISTORY: Final = Refused("needs_server_key", "only a server key sends history")
_NO_ACK: Final = Refused("not_acknowledged", "Kafka did not acknowledge in time; try again")
_BAD_TIME: Final = Refused("bad_timestamp", "sentAt of a batch is text in ISO 8601")


class _Batch(msgspec.Struct, rename="camel", gc=False):
    """The body of a batch, its calls left as they were sent."""

    batch: list[msgspec.Raw]
    context: msgspec.Raw = msgspec.Raw(b"")
    sent_at: Any = None
    write_key: Any = None
    historical: Any = None


_batch: Final = msgspec.json.Decoder(_Batch)


class _Common(NamedTuple):
    """What the calls of a batch have in common."""

    sent_at: datetime | None = None
    shared: bytes | None = None
    """Their context, as it was sent."""
    context: Fields = NOTHING
    """The same, decoded."""


_NOTHING_COMMON: Final = _Common()


class Answer(NamedTuple):
    """What is answered. `close` ends the connection."""

    status: int
    content: bytes
    close: bool = False


ALL_STORED: Final = Answer(HTTPStatus.OK, STORED)


def refuse(refused: Refused, *, close: bool = False) -> Answer:
    """The answer to a request that is refused."""
    return Answer(refused.status, refusal(refused), close)


class Request(NamedTuple):
    """A request whose body is there, inflated."""

    raw: bytes
    shown: WriteKey | Refused
    """The key by header or query; MISSING where the body must say."""
    local: bool
    """Whether the peer is on this machine."""
    traced: Headers
    lanes: Lanes


class _Put(NamedTuple):
    """What became of the calls of a batch, before their acks."""

    acks: set[asyncio.Future[None]]
    rejected: list[Rejected]
    first: Record | None
    stuck: bool
    """Whether a lane would not take its part: then nothing of the batch is answered for."""


class Desk:
    """Where calls are taken. One for a process."""

    def __init__(self, settings: IngestSettings, keyring: Keyring, metrics: IngestMetrics) -> None:
        """Take what `keyring` admits, within the bounds of `settings`."""
        self._settings = settings
        self._keyring = keyring
        self._metrics = metrics

    def _admitted(self, request: Request, in_body: object) -> WriteKey | Refused:
        """The key that counts, if it may be used from where the request comes."""
        key = self._keyring.by_text(in_body) if request.shown is MISSING else request.shown
        if isinstance(key, Refused) or request.local or not key.loopback_only:
            return key
        return LOCAL

    async def take_one(self, request: Request, kind: str) -> Answer:
        """Store a single call of this type."""
        item = calls.read(request.raw, self._settings.call_bytes_max)
        if isinstance(item, Refused):
            return self._one_refused(item)
        key = self._admitted(request, item.write_key)
        if isinstance(key, Refused):
            return refuse(key)
        historical = item.historical is True
        if historical and key.kind != "server":
            return self._one_refused(_NO_HISTORY)
        receipt, now = self._receipt(key, historical=historical)
        record = calls.record(request.raw, item, kind, receipt)
        if isinstance(record, Refused):
            return self._one_refused(record)
        try:
            for ack in request.lanes.lane_of(record.hash).add((record,), int(now * 1_000), request.traced):
                await ack
        except NotStoredError:
            self._metrics.unstored.inc()
            return refuse(_NO_ACK)
        self._note(record, now, 1, int(record.when.clamped))
        return ALL_STORED

    async def take_batch(self, request: Request, body: Body) -> Answer:
        """Store the good calls of a batch; say which are not."""
        read = _read_batch(request.raw)
        if isinstance(read, Refused):
            return refuse(read)
        batch, whole = read
        key = self._admitted(request, batch.write_key)
        if isinstance(key, Refused):
            return refuse(key)
        common = self._common(batch, key, body)
        if isinstance(common, Refused):
            return refuse(common)
        receipt, now = self._receipt(key, historical=batch.historical is True, common=common)
        put, clamped = self._put(whole, list(map(bytes, batch.batch)), receipt, request, int(now * 1_000))
        count = len(batch.batch) - len(put.rejected)
        try:
            for ack in put.acks:
                await ack
        except NotStoredError:
            put = put._replace(stuck=True)
        if put.stuck:
            self._metrics.unstored.inc(count)
            return refuse(_NO_ACK)
        if put.first is None:
            return Answer(HTTPStatus.BAD_REQUEST, refusal(_NONE, put.rejected))
        self._note(put.first, now, count, clamped)
        return Answer(HTTPStatus.OK, stored_but(put.rejected)) if put.rejected else ALL_STORED

    def _put(
        self, whole: bytes, batch: list[bytes], receipt: Receipt, request: Request, timestamp_ms: int
    ) -> tuple[_Put, int]:
        """Put each good call in its lane; also how many of them had their times replaced."""
        rejected: list[Rejected] = []
        records: list[Record] = []
        clamped, stuck = 0, False
        items = calls.read_all(whole, batch, receipt.call_bytes_max)
        for index, (raw, item) in enumerate(zip(batch, items, strict=True)):
            record = item if type(item) is Refused else calls.record(raw, item, item.type, receipt)
            if type(record) is Refused:
                rejected.append(Rejected(index, record.code, record.message))
                self._metrics.touchpoints.labels(record.code).inc()
                continue
            records.append(record)
            clamped += record.when.clamped
        acks: set[asyncio.Future[None]] = set()
        for lane, own in request.lanes.spread(records):
            try:
                acks |= lane.add(own, timestamp_ms, request.traced)
            except NotStoredError:
                stuck = True
        return _Put(acks, rejected, records[0] if records else None, stuck), clamped

    def _common(self, batch: _Batch, key: WriteKey, body: Body) -> _Common | Refused:
        """What the calls of a batch have in common, or why none can be taken."""
        count = len(batch.batch)
        if count == 0:
            return _EMPTY_BATCH
        if count > self._settings.batch_calls_max:
            return Refused("too_many_calls", f"a batch holds at most {self._settings.batch_calls_max} calls")
        if batch.historical is True and key.kind != "server":
            return _NO_HISTORY
        try:
            sent_at = None if batch.sent_at is None else clock.parse(batch.sent_at)
        except ValueError:
            return _BAD_TIME
        shared = bytes(batch.context)
        if shared in calls.NO_CONTEXT:
            return _Common(sent_at)
        context = calls.read_context(shared, self._settings.call_bytes_max)
        return context if isinstance(context, Refused) else self._spread(_Common(sent_at, shared, context), count, body)

    def _spread(self, common: _Common, count: int, body: Body) -> _Common | Refused:
        """The same, if it may be written with each of so many calls."""
        spread = len(common.shared or b"") * count
        if spread > SPREAD_TIMES * self._settings.body_bytes_max:
            return TOO_LARGE
        return body.hold(spread) or common

    def _receipt(self, key: WriteKey, *, historical: bool, common: _Common = _NOTHING_COMMON) -> tuple[Receipt, float]:
        """What is noted of calls received now, and the time in seconds.

        The time is taken where nothing is awaited before the records are in their lanes: a partition's times rise.
        """
        now = time.time()
        received_at, trusted = datetime.fromtimestamp(now, UTC), key.kind == "server"
        envelope = accepted.Envelope(
            source=key.name,
            namespace=key.namespace,
            trusted=trusted,
            received_at=received_at,
            historical=historical,
            shared=common.shared,
        )
        receipt = Receipt(
            envelope,
            key.namespace,
            trusted,
            received_at,
            self._settings.call_bytes_max - len(common.shared or b""),
            calls.sender_of(common.context.get("library")) or ("server" if trusted else "web"),
            common.sent_at,
            common.context,
        )
        return receipt, now

    def _note(self, first: Record, now: float, count: int, clamped: int) -> None:
        """Count what was stored; of a batch the first call speaks for the time it was under way."""
        self._metrics.accepted.inc(count)
        if clamped:
            self._metrics.clamped.inc(clamped)
        if first.when.sent_at is not None:
            self._metrics.sent_seconds.observe(max(0.0, now - first.when.sent_at.timestamp()))

    def _one_refused(self, refused: Refused) -> Answer:
        self._metrics.touchpoints.labels(refused.code).inc()
        return refuse(refused)


def _read_batch(raw: bytes) -> tuple[_Batch, bytes] | Refused:
    """Take a batch apart; also the text that its calls are of.

    Half a character in one call must not spoil the others: it is marked, and refused alone.
    """
    try:
        return _batch.decode(raw), raw
    except (ValueError, RecursionError) as problem:
        shape = isinstance(problem, msgspec.ValidationError)
        if isinstance(problem, msgspec.DecodeError) and not shape and text.has_half_character(raw):
            return _read_batch(text.marked(raw))
        about_calls = "`batch`" in str(problem) or "$.batch" in str(problem)
        return calls.unreadable(raw, problem, _NO_BATCH if about_calls else _NO_OBJECT)
