"""The collector while something is wrong: no Kafka, no database, too much at once, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from pathline.contracts import accepted
from pathline.embedded import ports
from pathline.kit.kafka import Topics, make_consumer
from pathline.kit.settings import split_address
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, exchange, is_ready, metric, post, running, viewed
from tests.support.programs import Program
from tests.support.records import until

pytestmark = pytest.mark.integration

MEBIBYTE = 1_048_576


async def reasons(client: httpx.AsyncClient) -> dict[str, str]:
    got: dict[str, str] = (await client.get("/health/ready")).json()["reasons"]
    return got


def unavailable(answer: httpx.Response, *codes: str) -> bool:
    """A 503 as SDKs understand it."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["success"] is False
    return answer.json()["code"] in codes


async def test_kafka_goes_away_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topics: Topics, topic_prefix: str
) -> None:
    await add_demo_keys(database)
    env = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_ACK_SECONDS": "0.5"}
    stored = set()
    async with running(monkeypatch, env) as client:

        async def try_one(number: int) -> httpx.Response:
            answer = await post(client, "/v1/track", viewed(number, userId=f"user-{number}"))
            if answer.status_code == httpx.codes.OK:
                stored.add(f"m{number}")
            return answer

        async def taken(number: int) -> bool:
            return (await try_one(number)).status_code == httpx.codes.OK

        await until(lambda: is_ready(client))
        await until(lambda: taken(0))
        await stack.stop("kafka")
        try:
            answers = await asyncio.gather(*map(try_one, range(1, 20)))
            assert all(unavailable(answer, "not_acknowledged", "log_unavailable") for answer in answers)
            await until(lambda: kafka_is_missed(client))
        finally:
            await stack.start("kafka")
        await until(lambda: is_ready(client))
        for number in range(20, 40):
            await until(partial(taken, number))
        assert await metric(client, "pathline_ingest_group_failures_total") > 0
    consumer = make_consumer(stack.bootstrap, topics.touchpoints, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    found: list[str] = []

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            found.extend(accepted.decode(record.value).message_id for record in records)
        return stored <= set(found)

    await until(all_there)
    await consumer.stop()
    assert len(found) == len(set(found)), "a producer that tries again writes nothing twice"


async def kafka_is_missed(client: httpx.AsyncClient) -> bool:
    return "kafka" in await reasons(client)


async def test_without_kafka_it_starts_and_says_why_it_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, database: str, topic_prefix: str
) -> None:
    await add_demo_keys(database)
    nowhere = ports.resolve("127.0.0.1:0")
    async with running(monkeypatch, environment(nowhere, database, topic_prefix)) as client:
        assert unavailable(await post(client, "/v1/track", viewed(1)), "log_unavailable")
        await until(lambda: kafka_is_missed(client))
        assert (await client.get("/health/live")).status_code == 200


async def test_without_its_topic_it_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str
) -> None:
    async with running(monkeypatch, environment(stack.bootstrap, database, f"{topic_prefix}.none")) as client:

        async def told() -> bool:
            return "UnknownTopic" in (await reasons(client)).get("kafka", "")

        await until(told)
        assert unavailable(await post(client, "/v1/track", viewed(1)), "log_unavailable")


async def test_without_the_database_the_known_keys_go_on(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, topics: Topics, topic_prefix: str, template: str
) -> None:
    admin = await asyncpg.connect(stack.dsn())
    name = f"{template}_{topic_prefix}"
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        async with running(monkeypatch, environment(stack.bootstrap, stack.dsn(name), topic_prefix)) as client:
            await add_demo_keys(stack.dsn(name))

            async def known() -> bool:
                return (await post(client, "/v1/track", viewed(1))).status_code == 200

            await until(known)
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

            async def noticed() -> bool:
                return await metric(client, "pathline_ingest_keys_failures_total") > 0

            await until(noticed)
            assert await known()
            answer = await post(client, "/v1/track", viewed(2), auth=("made just now", ""))
            assert unavailable(answer, "keys_unavailable")
            assert await is_ready(client)
    finally:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()


async def in_parts(call: dict[str, Any]) -> AsyncIterator[bytes]:
    """A call that does not come in one piece."""
    body = orjson.dumps(call)
    yield body[:10]
    await asyncio.sleep(0.05)  # so that the two are not read as one
    yield body[10:]


async def test_there_is_an_end_to_connections_and_to_what_they_hold(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topics: Topics, topic_prefix: str
) -> None:
    await add_demo_keys(database)
    env = {
        **environment(stack.bootstrap, database, topic_prefix),
        "PATHLINE_BODY_BYTES_MAX": str(2 * MEBIBYTE),
        "PATHLINE_BYTES_IN_FLIGHT_MAX": str(16 * MEBIBYTE),
        "PATHLINE_CONNECTIONS_MAX": "12",
        "PATHLINE_REQUEST_SECONDS": "60",
    }
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        address = f"{client.base_url.host}:{client.base_url.port}"
        head = b"POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo-web\r\ntransfer-encoding: chunked\r\n\r\n"
        begun = head + b"%x\r\n" % (2 * MEBIBYTE)
        slow = [await asyncio.open_connection(*split_address(address)) for _ in range(8)]
        for _, writer in slow:
            writer.write(begun + b" " * (2 * MEBIBYTE - 1))

        async def half_full() -> bool:
            return await metric(client, "pathline_ingest_bytes_in_flight ") >= 4 * (2 * MEBIBYTE - 1)

        await until(half_full)
        # Those who do not come to an end have their half of the room, and keep out nobody whose call is here whole.
        unended = await client.post("/v1/track", content=in_parts(viewed(1)), auth=("demo", ""))
        assert unavailable(unended, "overloaded")
        assert "connection" not in unended.headers, "its sender need not connect anew to try again"
        assert (await post(client, "/v1/track", viewed(1))).status_code == 200
        # With or without the client's own connection these are as many as may be.
        idle = [await asyncio.open_connection(*split_address(address)) for _ in range(4)]
        assert b'"too_many_connections"' in await exchange(address)
        for _, writer in (*slow, *idle):
            writer.close()

        async def taken() -> bool:
            return (await post(client, "/v1/track", viewed(2))).status_code == 200

        await until(taken)


async def test_it_ends_in_order(stack: Stack, database: str, topics: Topics, topic_prefix: str, tmp_path: Path) -> None:
    """Told to end, it finishes what it has begun and then leaves: what was answered with 200 is in the log."""
    await add_demo_keys(database)
    program = Program("ingest", environment(stack.bootstrap, database, topic_prefix), tmp_path)
    async with program, httpx.AsyncClient(base_url=f"http://{program.address}", trust_env=False) as client:
        stored = 0
        begun = asyncio.Event()

        async def send(sender: int) -> None:
            nonlocal stored
            for number in range(10_000):
                try:
                    answer = await post(client, "/v1/track", viewed(number, messageId=f"{sender}/{number}"))
                except httpx.TransportError:
                    return
                if answer.status_code == httpx.codes.OK:
                    stored += 1
                    begun.set()

        async def slow() -> bytes:
            head = b"POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo\r\ncontent-length: 31\r\n\r\n"
            reader, writer = await asyncio.open_connection(*split_address(program.address))
            writer.write(head + b'{"event":"A"')
            await begun.wait()
            ending = asyncio.create_task(program.end())
            await until(lambda: refused(program.address))
            writer.write(b',"userId":"slow"  }')
            said: bytes = await reader.read()
            writer.close()
            assert await ending == 0
            return said

        senders = [asyncio.create_task(send(number)) for number in range(4)]
        answer = await slow()
        await asyncio.gather(*senders)
        assert answer.endswith(b'{"success":true}')
    consumer = make_consumer(stack.bootstrap, topics.touchpoints, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    log = Log(consumer)

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            log.records += records
        return len(log.records) >= stored + 1

    await until(all_there)
    await consumer.stop()


async def refused(address: str) -> bool:
    """Whether nobody listens there."""
    try:
        _, writer = await asyncio.open_connection(*split_address(address))
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
