"""The fan-out of the live stream: nothing is missed after a break, and nothing grows without end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.console.hub import Event, Frame, Hub, Partition, Stream, parse_id
from services.console.metrics import ConsoleMetrics

A: Partition = ("a", 0)
J: Partition = ("j", 0)


def make_hub(streams: int = 10, queue: int = 100, memory: int = 1_000) -> Hub:
    metrics = ConsoleMetrics(CollectorRegistry(), ("alerts", "journeys"))
    hub = Hub(metrics, streams=streams, queue=queue, memory=memory)
    hub.start({A: 0, J: 0})
    return hub


def event(text: str) -> Event:
    return Event("touchpoint", f'"{text}"'.encode())


def joined(hub: Hub, last_id: str | None = None) -> tuple[Stream, bool]:
    found = hub.join(last_id)
    assert found is not None
    return found


def texts(frames: Iterable[Frame]) -> list[str]:
    return [frame.event.data.decode().strip('"') for frame in frames]


def id_of(frame: Frame) -> str:
    return frame.wire.decode().split("\n")[1].removeprefix("id: ")


async def test_every_stream_is_told_in_order() -> None:
    hub = make_hub()
    one, other = joined(hub)[0], joined(hub)[0]
    hub.publish(J, 0, [event("1"), event("2")])
    hub.publish(A, 0, [event("3")])
    for stream in (one, other):
        assert texts(await stream.take(1)) == ["1", "2", "3"]
        assert texts(await stream.take(0.001)) == []


async def test_the_place_of_a_stream_is_what_it_has_taken_not_what_was_read() -> None:
    hub = make_hub()
    stream, _late = joined(hub)
    before = stream.place
    hub.publish(J, 0, [event("1")])
    assert stream.place == before
    await stream.take(1)
    assert stream.place == hub.id()
    resumed, late = joined(hub, before)
    assert not late and resumed.place == before
    assert texts(await resumed.take(1)) == ["1"]


async def test_a_record_broken_off_in_the_middle_is_told_again() -> None:
    hub = make_hub()
    stream, _late = joined(hub)
    hub.publish(J, 0, [event("1"), event("2"), event("3")])
    first, _second, _third = await stream.take(1)
    resumed, late = joined(hub, id_of(first))
    assert not late and texts(await resumed.take(1)) == ["1", "2", "3"]


_PUBLISHED = st.lists(st.tuples(st.sampled_from((A, J)), st.integers(0, 3)), max_size=30)


@given(_PUBLISHED, st.integers(0, 60), st.integers(0, 60))
def test_wherever_a_stream_breaks_off_it_misses_nothing(
    published: list[tuple[Partition, int]], joins_at: int, seen: int
) -> None:
    async def play() -> None:
        hub = make_hub()
        told: list[str] = []
        offsets = {A: 0, J: 0}
        first: Stream | None = None
        for number, (partition, count) in enumerate(published):
            if number == joins_at:
                first, told = joined(hub)[0], []
            names = [f"{partition[0]}{offsets[partition]}.{n}" for n in range(count)]
            told += names
            hub.publish(partition, offsets[partition], [event(name) for name in names])
            offsets[partition] += 1
        if first is None:
            return
        start = first.place
        frames = (await first.take(0))[:seen]
        resumed, late = joined(hub, id_of(frames[-1]) if frames else start)
        assert not late
        again = texts(await resumed.take(0))
        assert set(texts(frames)) | set(again) == set(told)

    asyncio.run(play())


@pytest.mark.parametrize("last_id", ["nonsense", "a0.5-j0.0", "a0.0", "x0.0", "a0.0-j0.0-", "a0." + "9" * 20])
async def test_an_id_that_is_not_of_this_past_means_read_again(last_id: str) -> None:
    hub = make_hub()
    hub.publish(J, 0, [event("1")])
    hub.skip(J, 1)
    stream, late = joined(hub, last_id)
    assert late and texts(await stream.take(0)) == []


async def test_what_is_no_longer_remembered_means_read_again() -> None:
    hub = make_hub(memory=3)
    start = hub.id()
    for offset in range(5):
        hub.publish(J, offset, [event(str(offset))])
    assert joined(hub, start)[1]
    stream, late = joined(hub, "a0.0-j0.2")
    assert not late and texts(await stream.take(0)) == ["2", "3", "4"]


async def test_one_record_larger_than_the_memory_is_sent_and_forgotten() -> None:
    hub = make_hub(memory=2)
    stream, _late = joined(hub)
    start = hub.id()
    hub.publish(J, 0, [event(str(n)) for n in range(5)])
    assert len(await stream.take(0)) == 5
    assert joined(hub, start)[1]


async def test_a_stream_that_does_not_keep_up_is_dropped_and_can_come_back() -> None:
    hub = make_hub(queue=2)
    slow, quick = joined(hub)[0], joined(hub)[0]
    start = slow.place
    for offset in range(3):
        hub.publish(J, offset, [event(str(offset))])
        await quick.take(0)
    assert slow.ended and not quick.ended and hub.open_streams == 1
    assert await slow.take(1) == []
    back, late = joined(hub, start)
    assert not late and texts(await back.take(0)) == ["0", "1", "2"]


async def test_there_are_only_so_many_streams() -> None:
    hub = make_hub(streams=2)
    one, _two = joined(hub)[0], joined(hub)[0]
    assert hub.join(None) is None
    hub.leave(one)
    hub.leave(one)
    assert hub.open_streams == 1 and hub.join(None) is not None


async def test_closing_ends_every_stream_and_wakes_it() -> None:
    hub = make_hub()
    stream, _late = joined(hub)
    taking = asyncio.create_task(stream.take(30))
    await asyncio.sleep(0)
    hub.close()
    assert await taking == [] and stream.ended
    assert hub.join(None) is None
    await hub.wait(30)


async def test_waiting_for_the_start_ends_when_it_is_read() -> None:
    hub = make_hub()
    waiting = asyncio.create_task(hub.wait(30))
    await asyncio.sleep(0)
    assert not waiting.done()
    hub.caught_up()
    await waiting
    await make_hub().wait(0.001)


def test_a_new_partition_is_remembered_from_where_it_begins() -> None:
    hub = make_hub()
    before = hub.id()
    hub.start({J: 7, ("j", 1): 0})
    assert hub.next == {A: 0, J: 0, ("j", 1): 0}
    assert not joined(hub, before)[1]


@given(st.text(max_size=50))
def test_an_id_is_never_misread(text: str) -> None:
    places = parse_id(text)
    assert not places or "-".join(f"{t}{n}.{o}" for (t, n), o in places.items()).count(".") == text.count(".")
