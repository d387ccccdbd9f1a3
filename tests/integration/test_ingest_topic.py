"""The collector while somebody deletes its topic and makes it again."""

from __future__ import annotations

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from pathline.contracts import accepted
from pathline.kit.kafka import Topics, make_consumer
from pathline.kit.topics import ensure_topics
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, is_ready, post, running, viewed
from tests.support.records import until

pytestmark = pytest.mark.integration


async def test_a_topic_that_is_deleted_and_made_again_ends_nobody(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topics: Topics, topic_prefix: str
) -> None:
    await add_demo_keys(database)
    env = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_ACK_SECONDS": "1"}
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        # So that a producer that went on would be out of sequence in the new one.
        assert (await post(client, "/v1/track", viewed(1))).status_code == 200
        await _deleted(stack, topics.touchpoints)

        async def is_missed() -> bool:
            answer = await client.get("/health/ready")
            return answer.status_code == 503 and "kafka" in answer.json()["reasons"]

        await until(is_missed)
        refused = await post(client, "/v1/track", viewed(2))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"] in {"not_acknowledged", "log_unavailable"}
        assert (await client.get("/health/live")).status_code == 200

        await ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=2, replicas=1)
        await until(lambda: is_ready(client))

        async def is_taken() -> bool:
            return (await post(client, "/v1/track", viewed(3))).status_code == httpx.codes.OK

        await until(is_taken)
    consumer = make_consumer(stack.bootstrap, topics.touchpoints, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        (record,) = await Log(consumer).read(1)
    finally:
        await consumer.stop()
    assert accepted.decode(record.value).message_id == "m3"


async def _deleted(stack: Stack, topic: str) -> None:
    """Delete a topic, as an operator would by mistake, and wait until the broker knows of it no more."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await admin.list_topics()

        await until(is_gone)
    finally:
        await admin.close()
