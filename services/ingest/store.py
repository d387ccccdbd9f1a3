"""The producer's life: made, watched, replaced. While there is none, nothing is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from pathline.kit import logging
from pathline.kit.health import Health
from services.ingest.lanes import Lanes, is_fatal
from services.ingest.metrics import IngestMetrics

log = logging.get_logger(__name__)

START_SECONDS: Final = 6.0
"""A producer that has not found its cluster by then is made anew."""

PAUSE_SECONDS: Final = 0.5
PROBE_SECONDS: Final = 1.0
"""How often the cluster is asked whether it is there, so that readiness does not need traffic."""

PROBE_WAIT_SECONDS: Final = 3.0
STUCK_SECONDS: Final = 30.0
"""A cluster that answers while a group stays without an ack for so long has lost this producer."""

STOP_SECONDS: Final = 3.0


class Store:
    """Where accepted calls go. `lanes` is None while Kafka cannot be written."""

    def __init__(
        self,
        make: Callable[[], Any],
        topic: str,
        letters_topic: str,
        *,
        ack_seconds: float,
        metrics: IngestMetrics,
        health: Health,
    ) -> None:
        """Write to `topic`, and dead letters to theirs, with producers that `make` gives, not yet started."""
        self._make = make
        self.topic = topic
        self._letters_topic = letters_topic
        self._ack_seconds = ack_seconds
        self._metrics = metrics
        self._health = health
        self._broken = asyncio.Event()
        self._last_error = ""
        self.lanes: Lanes | None = None
        self.letters: Lanes | None = None
        """Where dead letters go; None while their topic is not there, which is in the way of nothing else."""
        metrics.lag.set_function(lambda: self.lanes.unacked if self.lanes is not None else 0)
        metrics.stuck.set_function(lambda: self.lanes.stuck if self.lanes is not None else 0)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep a working producer until `stop`; then write what waits and close."""
        while not stop.is_set():
            producer = await self._start(stop)
            if producer is None:
                await _pause(stop, PAUSE_SECONDS)
                continue
            try:
                await self._watch(producer, stop)
            finally:
                await self._end(producer)

    async def _start(self, stop: asyncio.Event) -> Any:
        """A producer that knows its topic; None where there is none in time, or we stop before."""
        producer = self._make()
        connecting, stopping = asyncio.create_task(self._connect(producer)), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                await _ended(connecting)
                await _stopped(producer)
                return None
            partitions = connecting.result()
        except (KafkaError, OSError, TimeoutError) as problem:
            self._health.set("kafka", _said(problem))
            await _stopped(producer)
            return None
        finally:
            await _ended(connecting, stopping)
        self._metrics.producers.inc()
        self._broken.clear()
        self.lanes = self._lanes(producer, self.topic, len(partitions))
        self._open_letters(producer)
        self._health.set("kafka", None)
        return producer

    async def _connect(self, producer: Any) -> Any:
        async with asyncio.timeout(START_SECONDS):
            await producer.start()
            # Both are tracked by name. A start on a young cluster may have asked for all topics: found among those, the
            # topic would not be asked for again, and the next answer would seem to say that it is gone.
            producer.client.add_topic(self.topic)
            # Not waited for.
            producer.client.add_topic(self._letters_topic)
            return await producer.partitions_for(self.topic)

    def _lanes(self, producer: Any, topic: str, partitions: int) -> Lanes:
        return Lanes(
            producer, topic, partitions, ack_seconds=self._ack_seconds, metrics=self._metrics, on_error=self._failed
        )

    def _open_letters(self, producer: Any) -> None:
        """Write dead letters from now on, if their topic is known by now."""
        partitions = producer.client.cluster.partitions_for_topic(self._letters_topic)
        if partitions and self.letters is None:
            self.letters = self._lanes(producer, self._letters_topic, len(partitions))
        elif partitions and self.letters is not None:
            self.letters.grow(len(partitions))

    def _failed(self, error: BaseException) -> None:
        """A group failed: say so, and end the producer that would fail for ever."""
        self._last_error = _said(error)
        log.warning("a group was not stored", error=type(error).__name__)
        if is_fatal(error):
            self._health.set("kafka", f"replacing the producer after {self._last_error}")
            self._broken.set()

    async def _watch(self, producer: Any, stop: asyncio.Event) -> None:
        """Ask the cluster every second, until the producer is of no more use or we stop."""
        lanes = self.lanes
        assert lanes is not None
        broken, stopping = asyncio.create_task(self._broken.wait()), asyncio.create_task(stop.wait())
        try:
            while not self._broken.is_set() and not stop.is_set():
                await asyncio.wait({broken, stopping}, timeout=PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if broken.done() or stopping.done():
                    return
                answers = await _answers(producer)
                self._health.set("kafka", self._reason(lanes, answers=answers))
                if answers:
                    # What the answer said of the topic: the producer's own question waits for one that is not there.
                    partitions = producer.client.cluster.partitions_for_topic(self.topic)
                    if partitions is None:
                        self._health.set("kafka", self._topicless(producer))
                        log.warning("the topic is gone or not ours any more; replacing the producer", topic=self.topic)
                        return
                    lanes.grow(len(partitions))
                    self._open_letters(producer)
                    if self._is_lost(producer, lanes):
                        log.warning("a partition stays without an ack; replacing the producer")
                        return
        finally:
            await _ended(broken, stopping)

    def _topicless(self, producer: Any) -> str:
        """Why an answer of the cluster gave no partition. Those of a topic that is made anew want a producer anew."""
        if self.topic in producer.client.cluster.unauthorized_topics:
            return f"the topic {self.topic} may not be written"
        return f"the topic {self.topic} is not there"

    def _reason(self, lanes: Lanes, *, answers: bool) -> str | None:
        """Why nothing can be stored. As long as some partitions go on a balancer must not take us away from all."""
        if not answers:
            return "the cluster does not answer"
        if lanes.stuck < len(lanes):
            return None
        return "no partition gives an ack"

    def _is_lost(self, producer: Any, lanes: Lanes) -> bool:
        """Whether a partition that has a leader stays without an ack: a new producer would get one.

        Of one without a leader it would not, and the others would pay for it.
        """
        now = asyncio.get_running_loop().time()
        for number, lane in enumerate(lanes):
            if lane.stuck_since is None:
                continue
            if producer.client.cluster.leader_for_partition(TopicPartition(self.topic, number)) in {None, -1}:
                lane.stuck_since = now
            elif now - lane.stuck_since > STUCK_SECONDS:
                return True
        return False

    async def _end(self, producer: Any) -> None:
        both = [lanes for lanes in (self.lanes, self.letters) if lanes is not None]
        self.lanes = self.letters = None
        if both:
            if self._broken.is_set():
                await asyncio.gather(*(lanes.close() for lanes in both))
            await _stopped(producer)
            await asyncio.gather(*(lanes.close() for lanes in both))


async def _answers(producer: Any) -> bool:
    try:
        async with asyncio.timeout(PROBE_WAIT_SECONDS):
            return bool(await producer.client.force_metadata_update())
    except (KafkaError, OSError, TimeoutError):
        return False


async def _stopped(producer: Any) -> None:
    """Close a producer, whatever state it is in, in bounded time."""
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these, and wait for that."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _said(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"[:200]
