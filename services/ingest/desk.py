"""Taking calls: whose key, what they have in common, each checked and put in its lane, then the wait for acks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from pathline.contracts.letters import Around
from services.ingest import batches, calls, clock, passes, together
from services.ingest.answers import ALL_STORED, Answer, refuse
from services.ingest.batches import BAD_TIME, Batch
from services.ingest.body import TOO_LARGE, Body
from services.ingest.calls import Item, Receipt, Record, When
from services.ingest.codes import Refused, Rejected, refusal, stored_but
from services.ingest.dialects import Translated
from services.ingest.keyring import MISSING, Keyring
from services.ingest.lanes import Headers, Lanes, NotStoredError
from services.ingest.letters import Acks, DeadLetters, written
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass, Peer
from services.ingest.receipts import NO_HISTORY, receipt_of, shared_context
from services.ingest.settings import IngestSettings
from services.ingest.subject import NOTHING, Fields

SPREAD_TIMES: Final = 4
"""The context of a batch is written with each of its calls: so many times the most of a body, at most."""

_EMPTY_BATCH: Final = Refused("empty_batch", "the batch holds no calls")
_NONE: Final = Refused("none_accepted", "every call of the batch was refused")
_NO_ACK: Final = Refused("not_acknowledged", "Kafka did not acknowledge in time; try again")
_CALL_TOO_LARGE: Final = Refused("call_too_large", "the call is larger than this write key may send")


class _Common(NamedTuple):
    """What the calls of a batch have in common."""

    sent_at: datetime | None = None
    shared: bytes | None = None
    """Their context, as it was sent."""
    context: Fields = NOTHING
    """The same, decoded."""
    sent_text: str | None = None
    """Their `sentAt`, as it was sent."""


_NOTHING_COMMON: Final = _Common()


class Request(NamedTuple):
    """A request whose body is there, inflated."""

    raw: bytes
    shown: Pass | Refused
    """The key by header or query; MISSING where the content must say."""
    body: Body
    """What answers for the bytes that it holds."""
    lanes: Lanes
    traced: Headers = ()
    peer: Peer = Peer()


class _Put(NamedTuple):
    """What became of the calls of a batch, before their acks."""

    acks: set[asyncio.Future[None]]
    letters: set[asyncio.Future[None]]
    """Of the dead letters."""
    rejected: list[Rejected]
    first: When | None
    """The times of the first that was good."""
    clamped: int
    """Calls whose times were replaced."""
    stuck: bool
    """Whether a lane would not take its part: then nothing of the batch is answered for."""


class _One(NamedTuple):
    """What became of a single call, before its ack."""

    answer: Answer
    acks: Acks = ()
    """Its own, or those of a dead letter."""
    when: When | None = None
    """Its times; None where it was refused."""
    now: float = 0.0


class Desk:
    """Where calls are taken. One for a process."""

    def __init__(
        self, settings: IngestSettings, keyring: Keyring, metrics: IngestMetrics, letters: DeadLetters
    ) -> None:
        """Take what `keyring` admits, within the bounds of `settings`; what is refused of it goes to `letters`."""
        self._settings = settings
        self._keyring = keyring
        self._metrics = metrics
        self._letters = letters

    async def take_one(self, request: Request, kind: str) -> Answer:
        """Store a single call of this type."""
        answer, acks, when, now = self._put_one(request, kind)
        # Nor is what it came in.
        del request
        if when is None:
            await written(acks)
            return answer
        try:
            for ack in acks:
                await ack
        except NotStoredError:
            self._metrics.unstored.inc()
            return refuse(_NO_ACK)
        self._note(when, now, 1, int(when.clamped))
        return answer

    def _put_one(self, request: Request, kind: str) -> _One:
        """Put a single call in its lane. As in `_put_batch`, what was made of it is not kept until its ack."""
        item = calls.read(request.raw, self._settings.call_bytes_max)
        if type(item) is Refused:
            # Its key is known where a header or the query shows it.
            known = None if isinstance(request.shown, Refused) else self._admitted(request, None, 1)
            return _One(known) if isinstance(known, Answer) else self._one_refused(item, request, known, kind)
        assert isinstance(item, Item)
        key = self._admitted(request, item.write_key, 1)
        if type(key) is Answer:
            return _One(key)
        assert isinstance(key, Pass)
        receipt, now = self._receipt(key, request, historical=item.historical is True)
        record = _recorded(request.raw, item, kind, receipt)
        if type(record) is Refused:
            return self._one_refused(record, request, key, kind)
        assert isinstance(record, Record)
        try:
            acks = request.lanes.lane_of(record.hash).add((record,), int(now * 1_000), request.traced)
        except NotStoredError:
            self._metrics.unstored.inc()
            return _One(refuse(_NO_ACK))
        return _One(ALL_STORED, acks, record.when, now)

    async def take_batch(self, request: Request) -> Answer:
        """Store the good calls of a batch; say which are not."""
        put = self._put_batch(request)
        del request
        return put if isinstance(put, Answer) else await self._settled(*put)

    def _put_batch(self, request: Request) -> tuple[_Put, int, float] | Answer:
        """Put the calls of a batch in their lanes; also how many they are, and when.

        Not in the coroutine that waits for the acks: what was made of the calls is dropped here, while it is at hand.
        To keep it until then cost an eighth more a call, in memory that had gone cold.
        """
        read = batches.read(request.raw, self._settings.batch_calls_max)
        if isinstance(read, Refused):
            return self.misread(request, read)
        batch, whole = read
        key = self._admitted(request, batch.key() if request.shown is MISSING else None, len(batch.batch))
        if type(key) is Answer:
            return key
        assert isinstance(key, Pass)
        common = self._common(batch, key, request.body)
        if isinstance(common, Refused):
            return refuse(common)
        receipt, now = self._receipt(key, request, historical=batch.is_historical(), common=common)
        raws = list(map(bytes, batch.batch))
        items = calls.read_all(whole, raws, receipt.call_bytes_max)
        around = Around(None, common.sent_text, batch.is_historical(), common.shared, request.peer.private)
        return self._put(raws, items, receipt, request, int(now * 1_000), key, around), len(raws), now

    def misread(self, request: Request, refused: Refused) -> Answer:
        """The answer to what cannot be taken apart. Of a key that is known it costs as much as a call."""
        key = refuse(refused) if isinstance(request.shown, Refused) else self._admitted(request, None, 1)
        return key if isinstance(key, Answer) else refuse(refused)

    async def take_translated(self, request: Request, translated: Translated) -> Answer:
        """Store the good calls of a request in another dialect."""
        key = self._admitted(request, translated.key, len(translated.calls))
        return key if isinstance(key, Answer) else await self.take_calls(request, key, translated)

    async def take_calls(self, request: Request, key: Pass, translated: Translated, *, keeping: bool = False) -> Answer:
        """Store calls under a key that was admitted. What is wrong with one alone is answered for the request.

        Args:
            request: what they came in.
            key: the key.
            translated: the calls.
            keeping: put the sender off where a dead letter could not be written.
        """
        count = len(translated.calls)
        try:
            sent_at = None if translated.sent_at is None else clock.parse(translated.sent_at)
        except ValueError:
            return refuse(BAD_TIME)
        refused = self._miscounted(count, key) or request.body.hold(
            sum(len(call) for call, _ in translated.calls if isinstance(call, bytes))
        )
        if refused is not None:
            return refuse(refused)
        receipt, now = self._receipt(key, request, historical=False, common=_Common(sent_at))
        raws = [call if isinstance(call, bytes) else sent for call, sent in translated.calls]
        items = [
            calls.read(call, receipt.call_bytes_max) if isinstance(call, bytes) else call
            for call, _ in translated.calls
        ]  # fmt: skip
        sent_text = translated.sent_at if isinstance(translated.sent_at, str) else None
        around = Around(None, sent_text, privacy_signal=request.peer.private)
        put = self._put(raws, items, receipt, request, int(now * 1_000), key, around)
        if translated.alone and put.rejected:
            kept = await written(put.letters)
            return refuse(Refused(put.rejected[0].code, put.rejected[0].message) if kept or not keeping else _NO_ACK)
        return await self._settled(put, count, now, keeping=keeping)

    def _admitted(self, request: Request, in_content: object, count: int) -> Pass | Answer:
        """The key that counts, if it may be used for so many calls from where the request comes."""
        key = self._keyring.by_text(in_content) if request.shown is MISSING else request.shown
        if isinstance(key, Refused):
            return refuse(key)
        # What a header shows was looked at before the body was received.
        refused = key.bars(request.peer) if request.shown is MISSING else None
        if refused is None and key.body_bytes_max is not None and len(request.raw) > key.body_bytes_max:
            refused = TOO_LARGE
        refused = refused or request.body.charge(key)
        if refused is not None:
            return refuse(refused)
        if key.bucket is not None and (seconds := key.bucket.take(count)):
            return refuse(passes.RATE, retry_after=seconds)
        return key

    def _put(
        self,
        raws: Sequence[bytes],
        items: Sequence[Item | Refused],
        receipt: Receipt,
        request: Request,
        timestamp_ms: int,
        key: Pass,
        around: Around,
    ) -> _Put:
        """Put each good call in its lane, and the bytes of each other one to the dead letters."""
        taken = together.take(raws, items, receipt)
        records = taken.records
        for _index, why in taken.refused:
            self._metrics.refused(why.code)
        stuck = False
        acks: set[asyncio.Future[None]] = set()
        for lane, own in request.lanes.spread(records):
            try:
                acks |= lane.add(own, timestamp_ms, request.traced)
            except NotStoredError:
                stuck = True
        letters: set[asyncio.Future[None]] = set()
        if not stuck:
            # Else all of it comes again.
            for index, why in taken.refused:
                letters.update(self._letters.put(raws[index], why, key, receipt.received_at, around, request.traced))
        rejected = [Rejected(index, why.code, why.message) for index, why in taken.refused]
        return _Put(acks, letters, rejected, records[0].when if records else None, taken.clamped, stuck)

    async def _settled(self, put: _Put, count: int, now: float, *, keeping: bool = False) -> Answer:
        """The answer to so many calls, once all that were put in lanes are acked."""
        count -= len(put.rejected)
        stuck = put.stuck
        try:
            for ack in put.acks:
                await ack
        except NotStoredError:
            stuck = True
        kept = await written(put.letters)
        if stuck:
            self._metrics.unstored.inc(count)
        if stuck or (keeping and not kept):
            return refuse(_NO_ACK)
        if put.first is None:
            return Answer(HTTPStatus.BAD_REQUEST, refusal(_NONE, put.rejected), code=_NONE.code)
        self._note(put.first, now, count, put.clamped)
        return Answer(HTTPStatus.OK, stored_but(put.rejected)) if put.rejected else ALL_STORED

    def _common(self, batch: Batch, key: Pass, body: Body) -> _Common | Refused:
        """What the calls of a batch have in common, or why none can be taken."""
        count = len(batch.batch)
        refused = self._miscounted(count, key)
        if refused is not None:
            return refused
        if batch.is_historical() and not key.trusted:
            return NO_HISTORY
        sent = batch.sent()
        if type(sent) is Refused:
            return sent
        sent_text, sent_at = sent or (None, None)
        shared = bytes(batch.context)
        if shared in calls.NO_CONTEXT:
            return _Common(sent_at, sent_text=sent_text)
        read = shared_context(shared, self._settings.call_bytes_max, key.addresses)
        if isinstance(read, Refused):
            return read
        return self._spread(_Common(sent_at, *read, sent_text), count, body)

    def _miscounted(self, count: int, key: Pass) -> Refused | None:
        """Whether there are none, or too many."""
        most = min(self._settings.batch_calls_max, key.batch_calls_max or self._settings.batch_calls_max)
        if count > most:
            return batches.too_many(most)
        return None if count else _EMPTY_BATCH

    def _spread(self, common: _Common, count: int, body: Body) -> _Common | Refused:
        """The same, if it may be written with each of so many calls."""
        spread = len(common.shared or b"") * count
        if spread > SPREAD_TIMES * self._settings.body_bytes_max:
            return TOO_LARGE
        return body.hold(spread) or common

    def _receipt(
        self, key: Pass, request: Request, *, historical: bool, common: _Common = _NOTHING_COMMON
    ) -> tuple[Receipt, float]:
        """What is noted of calls received now, and the time in seconds.

        The time is taken where nothing is awaited before the records are in their lanes: a partition's times rise.
        """
        now = time.time()
        receipt = receipt_of(
            key,
            self._settings.call_bytes_max,
            datetime.fromtimestamp(now, UTC),
            namespace=key.namespace,
            historical=historical,
            private=request.peer.private,
            sent_at=common.sent_at,
            shared=common.shared,
            context=common.context,
        )
        return receipt, now

    def _note(self, first: When, now: float, count: int, clamped: int) -> None:
        """Count what was stored; of a batch the first call speaks for the time it was under way."""
        self._metrics.accepted.inc(count)
        if clamped:
            self._metrics.clamped.inc(clamped)
        if first.sent_at is not None:
            self._metrics.sent_seconds.observe(max(0.0, now - first.sent_at.timestamp()))

    def _one_refused(self, refused: Refused, request: Request, key: Pass | None, kind: str) -> _One:
        """A single call that is refused. Without a key that is known and may be used nothing is kept."""
        self._metrics.refused(refused.code)
        if key is None:
            return _One(refuse(refused))
        around = Around(kind, privacy_signal=request.peer.private)
        letters = self._letters.put(request.raw, refused, key, datetime.now(UTC), around, request.traced)
        return _One(refuse(refused), letters)


def _recorded(raw: bytes, item: Item, kind: str, receipt: Receipt) -> Record | Refused:
    """The record of a single call, where its key may send it."""
    if len(raw) > receipt.call_bytes_max:
        return _CALL_TOO_LARGE
    if item.historical is True and not receipt.trusted:
        return NO_HISTORY
    return calls.record(raw, item, kind, receipt)
