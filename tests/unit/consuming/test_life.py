"""The life of a consumer: what ends it, what is said then, and the watch over one that does not come on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry, Counter, Gauge

from pathline.consuming import life as lives
from pathline.consuming.life import JOIN_SECONDS, Life, Membership, StalledError, Watch, Work, unless_refused
from pathline.consuming.lookout import Look
from pathline.consuming.partitions import Partitions
from pathline.kit import kafka
from pathline.kit import origin as origins
from pathline.kit.health import Health
from pathline.kit.origin import Origin
from pathline.storage.fences import FenceLostError, OtherClusterError
from tests.support.records import until

MEMBERSHIP = Membership(
    bootstrap="", client_id="c", group_id="g", instance="", topic="t", tick_seconds=0, notes=True, stall_seconds=60
)

QUIET = msgspec.structs.replace(MEMBERSHIP, tick_seconds=3_600)
"""Of one that has looked at nothing yet."""


class Lookout:
    """Sees three records of ours among five, or nothing."""

    def __init__(self, ours: int = 3) -> None:
        self.looks = self.notes = 0
        self.away = False
        self._ours = ours

    async def look(self) -> Look:
        self.looks += 1
        if self.away:
            raise TimeoutError
        return Look(datetime.now(UTC), {0: 5}, waiting=5, ours=self._ours)

    async def note(self) -> None:
        self.notes += 1


def lag_of_nobody() -> Gauge:
    gauge = Gauge("lag", "", registry=CollectorRegistry())
    gauge.set(math.nan)
    return gauge


def watching(
    lookout: Lookout, health: Health, lag: Gauge, *, settled: bool = True, progressed_at: float = -math.inf
) -> asyncio.Task[None]:
    work: Any = SimpleNamespace(progressed_at=progressed_at)
    seen: Any = lookout
    partitions: Any = SimpleNamespace(settled=settled)
    return asyncio.create_task(Watch(MEMBERSHIP, seen, partitions, health, lag).over(work))


def value(gauge: Gauge) -> float:
    return float(gauge._value.get())


async def test_records_that_nobody_handles_end_the_process() -> None:
    lag, lookout = lag_of_nobody(), Lookout()
    with pytest.raises(StalledError, match="3 records wait"):
        await watching(lookout, Health(), lag)
    assert value(lag) == 5
    assert lookout.notes == 1


async def test_a_group_that_gives_no_partition_ends_the_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that is never answered leaves nothing of ours waiting, and would be waited for without end."""
    monkeypatch.setattr(lives, "time", SimpleNamespace(monotonic=lambda: JOIN_SECONDS + 1))
    with pytest.raises(StalledError, match="gives no partition"):
        await watching(Lookout(ours=0), Health(), lag_of_nobody(), settled=False, progressed_at=0)


async def test_a_rebalance_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "time", SimpleNamespace(monotonic=lambda: JOIN_SECONDS))
    lookout = Lookout()
    task = watching(lookout, Health(), lag_of_nobody(), settled=False, progressed_at=0)
    await _looked(lookout)
    assert not task.done()
    task.cancel()


@pytest.mark.parametrize("away", [True, False], ids=["not seen", "said"])
async def test_while_the_database_is_away_it_is_no_stall(*, away: bool) -> None:
    lookout, lag = Lookout(), lag_of_nobody()
    lookout.away = away
    task = watching(lookout, Health() if away else Health(database="gone"), lag)
    await _looked(lookout)
    assert not task.done()
    assert math.isnan(value(lag)) == away
    task.cancel()


async def _looked(lookout: Lookout) -> None:
    async def looked() -> bool:
        return lookout.looks > 3

    await until(looked)


class Consumer:
    """Starts and stops; is asked nothing."""

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return


class Acting:
    """Work that measures something and then does as it is told."""

    def __init__(self, lag: Gauge, act: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        self.progressed_at = 0.0
        self._lag = lag
        self._act = act

    async def run(self, stop: asyncio.Event) -> None:
        self._lag.set(0)
        await self._act(stop)


Act = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Living:
    """A life whose Kafka is not there."""

    def __init__(self, act: Act, *beside: Act) -> None:
        self.health, self.lag, self.lives, self.stop = Health(), lag_of_nobody(), 0, asyncio.Event()
        self.told: dict[str, str] = {}
        self.failures = Counter("failures", "", ["reason"], registry=CollectorRegistry())

        def work(_partitions: Partitions) -> Work:
            self.lives += 1
            return Acting(self.lag, act)

        pool: Any = None
        self.life = Life(
            QUIET, pool, health=self.health, lag=self.lag, failures=self.failures, work=work, beside=beside
        )

    def failed(self, reason: str) -> float:
        return float(self.failures.labels(reason)._value.get())


@pytest.fixture
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that reach nothing."""

    async def origin(_bootstrap: str, _topic: str) -> Origin:
        return Origin("test", None)

    monkeypatch.setattr(kafka, "make_consumer", lambda *_, **__: Consumer())
    monkeypatch.setattr(origins, "origin", origin)
    monkeypatch.setattr(lives, "REJOIN_PAUSE_SECONDS", 0)


@pytest.mark.usefixtures("no_kafka")
@pytest.mark.parametrize(
    ("error", "reason"), [(FenceLostError("gone"), "fence_lost"), (KafkaConnectionError("away"), "kafka")]
)
async def test_after_a_peer_took_over_or_kafka_was_away_it_lives_again(error: Exception, reason: str) -> None:
    async def act(stop: asyncio.Event) -> None:
        if living.lives == 1:
            raise error
        living.told = dict(living.health.reasons)
        stop.set()

    living = Living(act)
    await living.life.run(living.stop)
    assert living.lives == 2
    assert living.failed(reason) == 1
    assert living.told.keys() == {"partitions"}, "what was wrong with Kafka is over"


@pytest.mark.usefixtures("no_kafka")
async def test_a_refusal_is_said_and_nothing_is_measured_after_it() -> None:
    async def act(_stop: asyncio.Event) -> None:
        raise refusal

    refusal = OtherClusterError("made anew")
    living, halt = Living(act), asyncio.Event()
    await unless_refused(living.life.run(living.stop), living.health, halt)
    assert living.health.reasons["refused"] == "made anew"
    assert halt.is_set()
    assert math.isnan(value(living.lag)), "what was measured before would say that all is done"


@pytest.mark.usefixtures("no_kafka")
async def test_what_is_done_beside_is_told_of_the_end_and_its_failure_ends_the_life() -> None:
    async def act(stop: asyncio.Event) -> None:
        await stop.wait()

    async def beside(_ended: asyncio.Event) -> None:
        raise ZeroDivisionError

    told = []

    async def other(ended: asyncio.Event) -> None:
        told.append(ended)
        await ended.wait()

    living = Living(act, beside, other)
    with pytest.raises(ZeroDivisionError):
        await living.life.run(living.stop)
    assert [one.is_set() for one in told] == [True]


async def test_a_topic_that_was_made_anew_is_noticed_also_while_nothing_can_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def origin(_bootstrap: str, _topic: str) -> Origin:
        return Origin("test", None)

    def check_origin(_found: Origin) -> None:
        message = "made anew"
        raise OtherClusterError(message)

    monkeypatch.setattr(origins, "origin", origin)
    monkeypatch.setattr(lives, "ORIGIN_SECONDS", 0)
    lookout = Lookout()
    lookout.away = True
    seen: Any = lookout
    work: Any = SimpleNamespace(progressed_at=0.0)
    partitions: Any = SimpleNamespace(settled=True, check_origin=check_origin)
    with pytest.raises(OtherClusterError, match="made anew"):
        await Watch(MEMBERSHIP, seen, partitions, Health(), lag_of_nobody()).over(work)
