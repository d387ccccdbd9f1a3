"""What the store makes of partitions that give no ack. Its life with a real Kafka is in the tests of faults."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from prometheus_client import CollectorRegistry

from pathline.kit.health import Health
from services.ingest.lanes import Lanes
from services.ingest.metrics import IngestMetrics
from services.ingest.store import STUCK_SECONDS, Store


async def store_and_lanes(*stuck_for: float | None) -> tuple[Store, Lanes]:
    """A store, and a lane for each of these, which has been without an ack for so many seconds."""
    metrics = IngestMetrics(CollectorRegistry(), "t")
    store = Store(object, "t", "letters", ack_seconds=1, metrics=metrics, health=Health())
    lanes = Lanes(object(), "t", len(stuck_for), ack_seconds=1, metrics=metrics, on_error=print)  # type: ignore[arg-type]
    now = asyncio.get_running_loop().time()
    for lane, seconds in zip(lanes, stuck_for, strict=True):
        lane.stuck_since = None if seconds is None else now - seconds
    return store, lanes


def producer(*leaders: int | None) -> Any:
    """A producer that knows of these leaders."""
    cluster = SimpleNamespace(leader_for_partition=lambda partition: leaders[partition.partition])
    return SimpleNamespace(client=SimpleNamespace(cluster=cluster))


@pytest.mark.parametrize(
    ("leaders", "lost"), [((1, 1), True), ((1, -1), False), ((1, None), False), ((-1, 1), True)],
    ids=["all there", "without a leader", "unknown", "another without a leader"],
)  # fmt: skip
async def test_a_producer_is_lost_when_a_partition_with_a_leader_gives_no_ack(
    leaders: tuple[int | None, ...], *, lost: bool
) -> None:
    store, lanes = await store_and_lanes(None, STUCK_SECONDS + 1)
    assert store._is_lost(producer(*leaders), lanes) is lost


async def test_the_time_counts_from_when_the_leader_is_back() -> None:
    store, lanes = await store_and_lanes(STUCK_SECONDS + 1)
    assert not store._is_lost(producer(-1), lanes)
    assert not store._is_lost(producer(1), lanes)
    assert lanes.stuck == 1


async def test_it_is_ready_as_long_as_some_partitions_go_on() -> None:
    store, lanes = await store_and_lanes(None, 1)
    assert store._reason(lanes, answers=True) is None
    assert store._reason(lanes, answers=False) == "the cluster does not answer"
    store, lanes = await store_and_lanes(2, 1)
    assert store._reason(lanes, answers=True) == "no partition gives an ack"


class Absent:
    """A producer whose cluster never answers."""

    def __init__(self) -> None:
        self.stopped = False
        self.starting = asyncio.Event()

    async def start(self) -> None:
        self.starting.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


async def test_it_hears_of_a_stop_while_it_looks_for_its_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.store.START_SECONDS", 3_600)
    absent, stop = Absent(), asyncio.Event()
    metrics = IngestMetrics(CollectorRegistry(), "t")
    running = asyncio.create_task(
        Store(lambda: absent, "t", "letters", ack_seconds=1, metrics=metrics, health=Health()).run(stop)
    )
    await absent.starting.wait()
    stop.set()
    async with asyncio.timeout(30):
        await running
    assert absent.stopped


@pytest.mark.parametrize(("unauthorized", "why"), [(set(), "is not there"), ({"t"}, "may not be written")])
async def test_without_its_topic_it_says_so_and_takes_another_producer(unauthorized: set[str], why: str) -> None:
    store, lanes = await store_and_lanes(None)
    store.lanes = lanes

    async def answers() -> bool:
        return True

    async def waited_for(_topic: str) -> Any:
        raise UnknownTopicOrPartitionError

    cluster = SimpleNamespace(partitions_for_topic=lambda _topic: None, unauthorized_topics=unauthorized)
    client = SimpleNamespace(cluster=cluster, force_metadata_update=answers)
    async with asyncio.timeout(30):
        await store._watch(SimpleNamespace(client=client, partitions_for=waited_for), asyncio.Event())
    assert why in store._health.reasons["kafka"]


async def test_both_topics_are_tracked_also_where_all_were_asked_for_before() -> None:
    store, _ = await store_and_lanes(None)
    tracked: list[str] = []

    async def nothing() -> None:
        pass

    async def known_already(_topic: str) -> set[int]:
        return {0}

    known = SimpleNamespace(
        start=nothing, client=SimpleNamespace(add_topic=tracked.append), partitions_for=known_already
    )
    assert await store._connect(known) == {0}
    assert tracked == ["t", "letters"]
