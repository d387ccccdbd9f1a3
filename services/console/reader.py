"""The console's one Kafka reader: journeys and alerts, every partition, no group, from a moment ago on.

What it reads is for live streams only. It writes nothing, so it needs no fence; a page that is opened
reads the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pathline.consuming.patience import pause
from pathline.kit import kafka
from pathline.kit.health import Health
from pathline.kit.kafka import Topics
from pathline.kit.logging import get_logger
from pathline.kit.pace import Pace
from pathline.kit.topics import partitions_of
from services.console.context import DATABASE_ERRORS, MAX_REASON, Database
from services.console.errors import ApiError
from services.console.events import Decoded, decode_alert, decode_hints, events_of
from services.console.hub import Hub, Partition
from services.console.metrics import ConsoleMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)

HISTORY: Final = 200
"""Records of each partition read again at the start, so that streams of the process before can resume."""
POLL_MS: Final = 500
POLL_RECORDS: Final = 500
PACE_SECONDS: Final = 0.04
"""Between the beginnings of two reads of the database that are not full, at most, while there is much to read."""
PAUSE_SECONDS: Final = 1.0
RENEW_SECONDS: Final = 60.0
"""So long a consumer is trusted to find its brokers again by itself; then another one starts from the bootstrap."""
UNREACHABLE: Final = (KafkaError, OSError, TimeoutError)
LAG_SECONDS: Final = 1.0
METADATA_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 60.0
"""So long after the last stream has closed, records are still read for one that comes back."""


class Reader:
    """Reads until it is told to stop, through whatever Kafka goes through."""

    def __init__(
        self, bootstrap: str, topics: Topics, database: Database, hub: Hub, metrics: ConsoleMetrics, health: Health
    ) -> None:
        """Read `topics` at `bootstrap` into `hub`."""
        self._bootstrap = bootstrap
        self._letters = {topics.alerts: "a", topics.journeys: "j"}
        self._database = database
        self._hub = hub
        self._metrics = metrics
        self._health = health
        self._heard_at = time.monotonic()
        self._pace = Pace(PACE_SECONDS)
        self._first_ends: dict[Partition, int] = {}
        """The end of each partition when reading began."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`."""
        while not stop.is_set():
            consumer = kafka.make_consumer(
                self._bootstrap,
                client_id="pathline-console",
                auto_offset_reset="earliest",
                request_timeout_ms=kafka.REQUEST_TIMEOUT_MS,
            )
            try:
                await consumer.start()
                await self._read(consumer, stop)
            except UNREACHABLE as error:
                await self._wait(error, stop)
            finally:
                await kafka.stop_consumer(consumer)

    async def _read(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        """Read until `stop`, or until Kafka was away for so long that another consumer should look for it."""
        assigned: set[TopicPartition] = set()
        checked = lagged = float("-inf")
        answered_at = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            try:
                if now - checked > (METADATA_SECONDS if assigned else PAUSE_SECONDS):
                    assigned = await self._assign(consumer, assigned)
                    checked = now
                if not assigned:
                    await pause(stop, PAUSE_SECONDS)
                    continue
                if now - lagged > LAG_SECONDS:
                    await self._note_lag(consumer, assigned)
                    lagged = now
                answered_at = time.monotonic()
                self._health.set("kafka", None)
            except UNREACHABLE as error:
                if now - answered_at > RENEW_SECONDS:
                    raise
                await self._wait(error, stop)
            if not assigned:
                continue
            await self._pace.kept()
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            self._pace.began(full=sum(map(len, polled.values())) >= POLL_RECORDS)
            try:
                await self._handle(polled, stop)
            finally:
                self._pace.ended()

    async def _wait(self, error: Exception, stop: asyncio.Event) -> None:
        self._health.set("kafka", f"{type(error).__name__}: {error}"[:MAX_REASON])
        await pause(stop, PAUSE_SECONDS)

    async def _assign(self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]) -> set[TopicPartition]:
        """Take every partition of both topics; those that were taken before stay where they are."""
        known = await partitions_of(self._bootstrap, self._letters)
        missing = [topic for topic in self._letters if topic not in known]
        if missing:
            self._health.set("kafka", f"no topic {' and no '.join(missing)} yet")
            return assigned
        found = {TopicPartition(topic, number) for topic, numbers in known.items() for number in numbers}
        if found != assigned:
            await self._take(consumer, found)
        return found

    async def _take(self, consumer: AIOKafkaConsumer, found: set[TopicPartition]) -> None:
        ends = await consumer.end_offsets(list(found))
        starts = await consumer.beginning_offsets(list(found))
        # Nothing is awaited from here on, so that no record comes before its partition has a place.
        consumer.assign(sorted(found))
        for tp, end in ends.items():
            self._first_ends.setdefault(self._place(tp), end)
        self._hub.start({self._place(tp): max(starts[tp], ends[tp] - HISTORY) for tp in found})
        for tp in found:
            consumer.seek(tp, min(self._hub.next[self._place(tp)], ends[tp]))

    def _place(self, tp: TopicPartition) -> Partition:
        return self._letters[tp.topic], tp.partition

    async def _note_lag(self, consumer: AIOKafkaConsumer, assigned: Iterable[TopicPartition]) -> None:
        ends = await consumer.end_offsets(list(assigned))
        for topic in self._letters:
            behind = (max(0, end - self._hub.next[self._place(tp)]) for tp, end in ends.items() if tp.topic == topic)
            self._metrics.lag.labels(topic).set(sum(behind))
        if all(self._hub.next[tp] >= end for tp, end in self._first_ends.items()):
            self._hub.caught_up()

    async def _handle(self, polled: Mapping[TopicPartition, Sequence[Any]], stop: asyncio.Event) -> None:
        if self._hub.open_streams:
            self._heard_at = time.monotonic()
        # What was fetched before a seek took hold has been read before.
        records = [
            (place, record)
            for tp, listed in polled.items()
            for record in listed
            if record.offset >= self._hub.next[(place := self._place(tp))]
        ]
        if time.monotonic() - self._heard_at > IDLE_SECONDS:
            for place, record in records:
                self._hub.skip(place, record.offset)
            return
        decoded = [(place, record.offset, self._decode(place, record.value)) for place, record in records]
        for (place, offset, _read), events in zip(decoded, await self._events(decoded, stop), strict=True):
            self._hub.publish(place, offset, events)

    def _decode(self, place: Partition, value: bytes | None) -> Decoded | None:
        decode: Callable[[bytes], Decoded] = decode_alert if place[0] == "a" else decode_hints
        try:
            read = decode(value or b"")
        except (msgspec.DecodeError, ValueError) as error:
            self._metrics.records.labels("unreadable").inc()
            log.warning("a record could not be read", topic=place[0], partition=place[1], error=type(error).__name__)
            return None
        self._metrics.records.labels("read").inc()
        return read

    async def _events(self, decoded: Sequence[tuple[Partition, int, Decoded | None]], stop: asyncio.Event) -> Any:
        """The events of each record; while the database is away, wait for it: nothing is lost, only late."""
        while decoded:
            try:
                async with self._database.connection() as db:
                    return await events_of(db, [read for _place, _offset, read in decoded])
            except (ApiError, *DATABASE_ERRORS) as error:
                if stop.is_set():
                    return [[] for _ in decoded]
                log.warning("whose the news are could not be read", error=type(error).__name__)
                await pause(stop, PAUSE_SECONDS)
        return []
