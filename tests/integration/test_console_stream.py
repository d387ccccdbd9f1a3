"""The live stream: what happens is told, told again after a break, and ended in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
import pytest_asyncio

from pathline.contracts import api
from pathline.domain.alerts import Notice
from pathline.domain.identifiers import Identifier, name_id
from tests.conftest import Stack
from tests.support.console import Running, of, running, user
from tests.support.records import produce, record, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


def seen(name: str, number: int = 0) -> bytes:
    return record({"userId": name, "event": "Seen"}, message_id=f"{name}-{number}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(stack: Stack, database: str) -> AsyncIterator[Running]:
    limits = {"PATHLINE_CONSOLE_STREAMS": "3", "PATHLINE_CONSOLE_STREAM_MEMORY": "100"}
    async with running(stack, database, limits) as one, one.console():
        yield one


async def test_a_touchpoint_and_its_journey_are_told(here: Running) -> None:
    stream = await here.listen().opened()
    await here.send(seen("tim"))
    touchpoint = msgspec.convert(await stream.until("touchpoint", of("tim")), api.TouchpointEvent)
    assert (touchpoint.message_id, touchpoint.event, touchpoint.channel) == ("tim-0", "Seen", "server")
    journey = msgspec.convert(await stream.until("journey", of("tim")), api.JourneyEvent)
    assert journey.moved == []
    await stream.close()


async def test_a_move_of_an_alert_is_told_with_the_alert_as_it_stands(here: Running) -> None:
    await here.send(
        record({"userId": "al", "event": "Order Completed", "properties": {"order_id": "al-1"}}, message_id="al-1")
    )
    alert = await here.raise_alert(Identifier("default", "order", "al-1"))
    stream = await here.listen(events="alert", customer=user("al")).opened()
    await here.client.post(f"/api/v1/alerts/{alert.id}/acknowledge", headers={"pathline-actor": "Uma"})
    await here.tell(Notice("acknowledge", "Uma", datetime.now(UTC), alert))
    told = msgspec.convert(await stream.until("alert"), api.AlertEvent)
    assert (told.change, told.actor, told.alert.assignee, told.alert.customer_id) == (
        "acknowledge",
        "Uma",
        "Uma",
        user("al"),
    )
    await stream.close()


async def test_a_filter_tells_only_what_it_names(here: Running) -> None:
    one = await here.listen(customer=user("fay"), events="touchpoint").opened()
    await here.send(seen("gus"))
    await here.send(seen("fay"))
    await one.until("touchpoint", of("fay"))
    assert [data["customer_id"] for data in one.of("touchpoint")] == [user("fay")] and not one.of("journey")
    await one.close()


async def test_a_visitor_who_signs_in_stays_on_the_page_that_follows_them(here: Running) -> None:
    visitor = str(name_id("default", "anonymous_id", "v-hal"))
    await here.send(record({"anonymousId": "v-hal", "type": "page"}, message_id="hal-0"))
    one = await here.listen(customer=visitor).opened()
    await here.send(record({"anonymousId": "v-hal", "userId": "hal", "type": "identify"}, message_id="hal-1"))
    assert visitor in (await one.until("journey", of("hal")))["moved"]
    await here.send(seen("hal", 2))
    await one.until("touchpoint", lambda data: data["message_id"] == "hal-2")
    await one.close()


async def test_a_stream_goes_on_where_it_broke_off(here: Running) -> None:
    first = await here.listen().opened()
    await here.send(seen("ida", 0))
    await first.until("touchpoint", of("ida"))
    await first.close()
    await here.send(*(seen("ida", n) for n in range(1, 6)))
    second = await here.listen(first.last_id).opened()
    await second.until("touchpoint", lambda data: data["message_id"] == "ida-5")
    told = {data["message_id"] for data in first.of("touchpoint") + second.of("touchpoint") if of("ida")(data)}
    assert told == {f"ida-{n}" for n in range(6)} and not second.of("reset")
    await second.close()


async def test_a_quiet_filter_resumes_from_where_it_looked(here: Running) -> None:
    one = await here.listen(customer=user("nobody-yet")).opened()
    before = one.last_id
    await here.send(seen("kim"))

    async def moved_on() -> bool:
        return one.last_id != before

    await until(moved_on)
    await one.close()
    again = await here.listen(one.last_id).opened()
    await here.send(seen("kim", 1))
    await again.until("touchpoint", lambda data: data["message_id"] == "kim-1")
    assert "kim-0" not in {data["message_id"] for data in again.of("touchpoint")}
    await again.close()


@pytest.mark.parametrize("last_id", ["nonsense", "a0.999999-j0.0", "x" * 30_000])
async def test_an_id_that_means_nothing_is_told_to_read_again(here: Running, last_id: str) -> None:
    one = await here.listen(last_id).opened()
    assert one.told[0].name == "reset"
    await one.close()


async def test_more_missed_than_is_remembered_is_told_to_read_again(here: Running) -> None:
    one = await here.listen().opened()
    await one.close()
    watching = await here.listen().opened()
    await here.send(*(seen("lot", n) for n in range(200)))
    await watching.until("touchpoint", lambda data: data["message_id"] == "lot-199")
    await watching.close()
    late = await here.listen(one.last_id).opened()
    assert late.told[0].name == "reset" and not late.of("touchpoint")
    await late.close()


async def test_streams_are_bounded_and_leave_no_trace(here: Running) -> None:
    async def open_streams(number: int) -> bool:
        return await here.metric("pathline_console_streams") == number

    await until(lambda: open_streams(0))
    three = [await here.listen().opened() for _ in range(3)]
    refused = await here.client.get("/api/v1/stream")
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert refused.json()["code"] == "too_many_streams"
    for one in three:
        await one.close()
    await until(lambda: open_streams(0))


async def test_what_cannot_be_read_is_counted_and_passed_over(here: Running) -> None:
    stream = await here.listen().opened()
    await produce(here.stack.bootstrap, here.topics.journeys, [b"not json", b"{}"])
    await produce(here.stack.bootstrap, here.topics.alerts, [b"[]"])
    await here.send(seen("may"))
    await stream.until("touchpoint", of("may"))

    async def unreadable() -> bool:
        return await here.metric('pathline_console_records_total{outcome="unreadable"}') == 3

    await until(unreadable)
    await until(lambda: _lag(here, 0))
    await stream.close()


async def _lag(here: Running, wanted: float) -> bool:
    topics = (here.topics.journeys, here.topics.alerts)
    return all([await here.metric(f'pathline_consumer_lag{{topic="{topic}"}}') == wanted for topic in topics])
