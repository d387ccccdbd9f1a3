"""The collector while Kafka is slow, answers get lost, or the producer is of no more use; and its end behind a balancer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pathline.contracts import accepted
from pathline.kit import kafka
from pathline.kit.kafka import Topics, make_consumer
from services.ingest import store
from tests.conftest import Stack
from tests.support import kafka_proxy
from tests.support.collector import add_demo_keys, environment, is_ready, metric, post, running, viewed
from tests.support.kafka_proxy import KafkaProxy
from tests.support.programs import Program
from tests.support.records import until

pytestmark = pytest.mark.integration

USERS = 8
"""Enough that both partitions have some."""


@pytest.fixture
async def proxy(stack: Stack) -> AsyncIterator[KafkaProxy]:
    """The way to Kafka that the collector of a test takes."""
    async with kafka_proxy.before(stack.bootstrap) as made:
        yield made


class Senders:
    """Some people, who send one call each at a time; what was answered is kept by message id."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.acked: set[str] = set()
        self.sent = 0

    async def send(self, user: int = 0) -> httpx.Response:
        """One call of this one. An answer is a 200, or a 503 as SDKs understand it."""
        self.sent += 1
        message_id = f"m{self.sent}"
        answer = await post(
            self._client, "/v1/track", viewed(self.sent, userId=f"user-{user}", messageId=message_id)
        )  # fmt: skip
        if answer.status_code == 200:
            self.acked.add(message_id)
        else:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] in {"not_acknowledged", "log_unavailable", "stopping"}
        return answer

    async def all(self) -> Counter[int]:
        """One call of each, at once; how they were answered."""
        return Counter(answer.status_code for answer in await asyncio.gather(*map(self.send, range(USERS))))

    async def until_taken(self) -> None:
        """Send until all are taken again."""

        async def taken() -> bool:
            return await self.all() == {200: USERS}

        await until(taken)


async def logged(stack: Stack, topics: Topics, ids: set[str]) -> Counter[str]:
    """How often each message id is in the log, once all of `ids` are."""
    consumer = make_consumer(stack.bootstrap, topics.touchpoints, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    found: Counter[str] = Counter()

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            found.update(accepted.decode(record.value).message_id for record in records)
        return ids <= found.keys()

    try:
        await until(all_there)
    finally:
        await consumer.stop()
    return found


async def test_a_slow_kafka_is_waited_for_as_long_as_is_set_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topics: Topics, topic_prefix: str, proxy: KafkaProxy
) -> None:
    await add_demo_keys(database)
    env = {**environment(proxy.address, database, topic_prefix), "PATHLINE_ACK_SECONDS": "1"}
    monkeypatch.setattr(store, "PROBE_WAIT_SECONDS", 1)
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        senders = Senders(client)
        proxy.delay_seconds = 0.1
        # Again on a machine where the rest takes nearly a second; one who does not wait has no such round.
        await senders.until_taken()
        # Longer than the collector waits to hear that the cluster is there, shorter than a request may take.
        proxy.delay_seconds = store.PROBE_WAIT_SECONDS + 0.5
        assert await senders.all() == {503: USERS}

        async def is_said() -> bool:
            return not await is_ready(client)

        await until(is_said)
        assert (await senders.send()).json()["code"] == "not_acknowledged"
        proxy.delay_seconds = 0
        await senders.until_taken()
        await until(lambda: is_ready(client))
        assert await metric(client, "pathline_ingest_producers_total") == 1, "the same goes on"
    found = await logged(stack, topics, senders.acked)
    assert max(found.values()) == 1
    assert len(found) > len(senders.acked), "what was answered 503 in the meantime did land"


@pytest.mark.parametrize("idempotent", [True, False], ids=["", "without idempotence"])
async def test_a_write_whose_answer_is_lost_is_not_written_twice(
    *,
    idempotent: bool,
    monkeypatch: pytest.MonkeyPatch,
    stack: Stack,
    database: str,
    topics: Topics,
    topic_prefix: str,
    proxy: KafkaProxy,
) -> None:
    await add_demo_keys(database)
    make = kafka.make_producer

    def made(*args: Any, **more: Any) -> Any:
        producer = make(*args, **more)
        if not idempotent:
            producer._txn_manager = producer._sender._txn_manager = None
            producer._message_accumulator._txn_manager = None
        return producer

    monkeypatch.setattr(kafka, "make_producer", made)
    async with running(monkeypatch, environment(proxy.address, database, topic_prefix)) as client:
        await until(lambda: is_ready(client))
        senders = Senders(client)
        for _ in range(3):
            proxy.lose_answers = 1
            assert await senders.all() == {200: USERS}
    assert proxy.lost == 3
    found = await logged(stack, topics, senders.acked)
    assert found.keys() == senders.acked
    assert max(found.values()) == (1 if idempotent else 2)


@pytest.mark.parametrize("replaced", [True, False], ids=["", "without a new producer"])
async def test_a_producer_out_of_sequence_is_replaced(
    *,
    replaced: bool,
    monkeypatch: pytest.MonkeyPatch,
    stack: Stack,
    database: str,
    topics: Topics,
    topic_prefix: str,
    proxy: KafkaProxy,
) -> None:
    """A broker that lost the end of its log finds a gap in what the producer sends, now and for ever."""
    await add_demo_keys(database)
    if not replaced:
        monkeypatch.setattr(store, "is_fatal", lambda _error: False)
    async with running(monkeypatch, environment(proxy.address, database, topic_prefix)) as client:
        await until(lambda: is_ready(client))
        senders = Senders(client)
        assert (await senders.send()).status_code == 200
        proxy.swallow = 1
        assert (await senders.send()).status_code == 200
        lost = f"m{senders.sent}"
        assert proxy.swallowed == 1
        # So late that the time without a producer can be seen.
        proxy.delay_seconds = 0.5
        assert (await senders.send()).status_code == 503
        reasons = (await client.get("/health/ready")).json()["reasons"]
        if not replaced:
            proxy.delay_seconds = 0
            assert reasons == {}
            assert [(await senders.send()).status_code for _ in range(5)] == [503] * 5
            return
        assert "OutOfOrderSequenceNumber" in reasons["kafka"]
        assert (await senders.send()).status_code == 503
        proxy.delay_seconds = 0
        await until(lambda: is_ready(client))
        assert await senders.all() == {200: USERS}
        assert await metric(client, "pathline_ingest_producers_total") == 2
    found = await logged(stack, topics, senders.acked - {lost})
    assert lost not in found, "that one the broker lost, not the collector"
    assert max(found.values()) == 1


async def test_told_to_end_it_is_not_ready_first_and_keeps_what_it_acked(
    stack: Stack, database: str, topics: Topics, topic_prefix: str, tmp_path: Path
) -> None:
    await add_demo_keys(database)
    env = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_LEAVE_SECONDS": "2"}
    program = Program("ingest", env, tmp_path)
    async with program, httpx.AsyncClient(base_url=f"http://{program.address}", trust_env=False) as client:
        senders = Senders(client)
        said = asyncio.Event()
        late = 0

        async def send(user: int) -> None:
            nonlocal late
            while True:
                after = said.is_set()
                try:
                    answer = await senders.send(user)
                except httpx.TransportError:
                    return
                late += after and answer.status_code == 200

        running = [asyncio.create_task(send(user)) for user in range(USERS)]

        async def under_load() -> bool:
            return len(senders.acked) > 10 * USERS

        await until(under_load)
        ending = asyncio.create_task(program.end())

        async def leaving() -> bool:
            answer = await client.get("/health/ready")
            return answer.status_code == 503 and "stopping" in answer.json()["reasons"]

        await until(leaving)
        said.set()
        assert await ending == 0, program.last_words()
        await asyncio.gather(*running)
    assert late > 0, "a balancer that has just heard of it still sends"
    found = await logged(stack, topics, senders.acked)
    assert max(found.values()) == 1
