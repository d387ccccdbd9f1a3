"""The life of a consumer: join the group, work, look at what waits, leave; and what it does when that goes wrong."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import asyncpg
import msgspec
from aiokafka.errors import KafkaError

from pathline.consuming.lookout import UNANSWERED, Look, Lookout
from pathline.consuming.partitions import NO_PARTITION, Partitions
from pathline.consuming.patience import pause
from pathline.contracts.accepted import NewerRecordError
from pathline.kit import kafka
from pathline.kit import origin as origins
from pathline.kit.logging import get_logger
from pathline.storage.fences import FenceLostError, OtherClusterError
from pathline.storage.stitching import NewerStateError

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge

    from pathline.kit.health import Health

log = get_logger(__name__)

REJOIN_PAUSE_SECONDS: Final = 1.0

JOIN_SECONDS: Final = 90.0
"""How long the group may take to give us our part. A rebalance takes at most kafka.REBALANCE_TIMEOUT_MS."""

ORIGIN_SECONDS: Final = 10.0
"""How often it is asked whether the topic is still the one that is read: one that was made anew has its name."""

REFUSALS: Final = (NewerRecordError, NewerStateError, OtherClusterError)
"""What this process must leave alone for good: a newer version wrote it, or it was read from another Kafka."""


class StalledError(Exception):
    """Records wait and none is handled: a client library has lost its way, and a fresh process will find it."""


class Work(Protocol):
    """What a consumer does with its partitions."""

    progressed_at: float
    """When it last came on, by `time.monotonic`."""

    async def run(self, stop: asyncio.Event) -> None:
        """Join the group by `Partitions.subscribe` and handle records until `stop`."""


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """Whose life it is."""

    bootstrap: str
    client_id: str
    group_id: str
    instance: str
    """Its name among its peers, or none."""
    topic: str
    tick_seconds: float
    """How often it looks at what waits."""
    notes: bool = False
    """Whether it writes down each time up to when its partitions are read."""
    stall_seconds: float
    """With records waiting and none handled for so long, it is given up."""


class Life:
    """One consumer of one topic."""

    def __init__(
        self,
        membership: Membership,
        pool: asyncpg.Pool[Any],
        *,
        health: Health,
        lag: Gauge,
        failures: Counter,
        work: Callable[[Partitions], Work],
        beside: Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        """Nothing is opened yet.

        Args:
            membership: whose life it is.
            pool: where the fence's table is.
            health: told what stands in the way.
            lag: how many records wait; NaN while nobody measures it.
            failures: counts what ended a life, by reason.
            work: makes what is done with the partitions of one life.
            beside: what else is done as long as a life lasts; it is told when that ends.
        """
        self._membership = membership
        self._pool = pool
        self._health = health
        self._lag = lag
        self._failures = failures
        self._work = work
        self._beside = beside

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop`, again after a peer took what was ours and after Kafka was away.

        Raises:
            StalledError: nothing moves; only a fresh process helps.
            NewerRecordError, NewerStateError, OtherClusterError: one of REFUSALS; see `unless_refused`.
        """
        while not stop.is_set():
            try:
                await self.once(stop)
            except FenceLostError as lost:
                self._failures.labels("fence_lost").inc()
                log.warning("a peer took a partition; joining the group anew", reason=str(lost))
            except (KafkaError, OSError) as error:
                self._failures.labels("kafka").inc()
                self._health.set("kafka", f"{type(error).__name__}: {error}"[:200])
            await pause(stop, REJOIN_PAUSE_SECONDS)

    async def once(self, stop: asyncio.Event) -> None:
        """Join the group, work, leave it: until `stop`, or until something goes wrong, which is raised."""
        member = self._membership
        self._health.set("partitions", NO_PARTITION)
        consumer = kafka.make_consumer(
            member.bootstrap,
            client_id=member.client_id,
            group_id=member.group_id,
            group_instance_id=member.instance or None,
            auto_offset_reset="earliest",
        )
        try:
            origin = await origins.origin(member.bootstrap, member.topic)
            await consumer.start()
            self._health.set("kafka", None)
            ended = self._failures.labels("sleeper_ended").inc
            partitions = Partitions(consumer, self._pool, member.topic, origin, ended)
            work = self._work(partitions)
            watch = Watch(member, Lookout(partitions, self._pool, self._health), partitions, self._health, self._lag)
            await self._together(work.run(stop), watch.over(work))
        finally:
            # Nobody measures it now: what it was would say that all is done. Our partitions are for peers.
            self._lag.set(math.nan)
            await kafka.stop_consumer(consumer)

    async def _together(self, *main: Coroutine[Any, Any, None]) -> None:
        """Until one of these ends, or what is done beside them fails."""
        ended = asyncio.Event()
        tasks = [asyncio.create_task(one) for one in (*main, *(beside(ended) for beside in self._beside))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first = [task for task in tasks if task.done()]
            ended.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in first:
            task.result()


class Watch:
    """Measures how much waits, and says when nothing moves."""

    def __init__(
        self, membership: Membership, lookout: Lookout, partitions: Partitions, health: Health, lag: Gauge
    ) -> None:
        """Look with `lookout`, and set `lag`."""
        self._membership = membership
        self._lookout = lookout
        self._partitions = partitions
        self._health = health
        self._lag = lag
        self._asked_at = time.monotonic()

    async def over(self, work: Work) -> None:
        """Look from time to time, also when nothing comes.

        Raises:
            StalledError: `work` does not come on.
            OtherClusterError: the topic was made anew.
        """
        while True:
            await asyncio.sleep(self._membership.tick_seconds)
            try:
                seen = await self._lookout.look()
                if self._membership.notes:
                    await self._lookout.note()
            except UNANSWERED as error:
                log.warning("not looked", topic=self._membership.topic, error=type(error).__name__)
                self._lag.set(math.nan)
                work.progressed_at = time.monotonic()
            else:
                self._lag.set(seen.waiting)
                self._check(work, seen)
            # Also where nothing is seen: a consumer whose topic was gone may not find the new one for a minute.
            await self._check_origin()

    async def _check_origin(self) -> None:
        if time.monotonic() - self._asked_at < ORIGIN_SECONDS:
            return
        self._asked_at = time.monotonic()
        try:
            found = await origins.origin(self._membership.bootstrap, self._membership.topic)
        except UNANSWERED:
            return  # away, or deleted and not made anew yet: the next look says so, or the next question does
        self._partitions.check_origin(found)

    def _check(self, work: Work, seen: Look) -> None:
        settled = self._partitions.settled
        now = time.monotonic()
        # While the database fails nobody can work, and waiting is right.
        if (settled and seen.ours == 0) or "database" in self._health.reasons:
            work.progressed_at = now
            return
        least = self._membership.stall_seconds
        limit = least if settled else max(least, JOIN_SECONDS)
        if now - work.progressed_at > limit:
            what = f"{seen.ours} records wait" if settled else "the group gives no partition"
            message = f"{what}, and nothing of {self._membership.topic} was handled for {limit:g} s"
            raise StalledError(message)


async def unless_refused(work: Coroutine[Any, Any, None], health: Health, halt: asyncio.Event | None = None) -> None:
    """Work until it ends. At one of REFUSALS it is said, and others are told to `halt`; no fresh start would help."""
    try:
        await work
    except REFUSALS as refusal:
        health.set("refused", str(refusal))
        log.critical("stopped consuming", reason=str(refusal))
        if halt is not None:
            halt.set()
