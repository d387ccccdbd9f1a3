"""What a letter is once more, and what says that it is none."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError

from pathline.commands.replaying import Judge, Post, Sendable
from pathline.contracts.letters import Around, headers_to_json
from pathline.kit import kafka
from pathline.storage.keys import WriteKey
from pathline.storage.letters import Row
from services.ingest.codes import Refused
from services.ingest.passes import Pass
from tests.support.records import record

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TOPICS = kafka.topics("p")
CALL = orjson.dumps({"type": "track", "event": "Seen", "userId": "ann", "messageId": "m"})
JUDGE = Judge(
    TOPICS,
    {"shop": Pass(WriteKey("shop", "k" * 20, "server", "uk", False, NOW, None), 0)},  # noqa: FBT003 - a row
    32_768,
)


def letter(around: Around, **given: Any) -> Row:
    """A letter of the collector, but for what is given."""
    values: dict[str, Any] = {
        "id": 1, "topic": TOPICS.dead_letters, "partition": 0, "offset": 7, "stage": "collector", "code": "c",
        "message": "m", "key": b"shop", "value": CALL, "headers": headers_to_json(around.to_headers()), "source": "shop",
        "namespace": "uk", "received_at": NOW, "size": None, "created_at": NOW, "replayed_at": None,
    }  # fmt: skip
    return Row(**(values | given))


def test_a_call_whose_context_was_left_out_is_not_taken_for_one_that_had_none() -> None:
    cut = letter(Around(context_size=70_000))
    refused = JUDGE.judge(cut)
    assert isinstance(refused, Refused) and refused.code == "truncated"
    whole = JUDGE.judge(cut, orjson.dumps({**orjson.loads(CALL), "context": {"locale": "de-DE"}}))
    assert isinstance(whole, Sendable) and whole.topic == TOPICS.touchpoints
    assert b"de-DE" in (whole.value or b"")
    assert isinstance(JUDGE.judge(letter(Around())), Sendable)


@pytest.mark.parametrize("stage", ["unknown", "reader", "VALUE_CONVERTER"])
def test_what_a_stage_found_that_this_version_does_not_know_waits_for_one_that_does(stage: str) -> None:
    value = record({"event": "Seen", "userId": "ann"}, message_id="m", source="shop")
    known = letter(Around(), stage="stitcher", topic=TOPICS.touchpoints, value=value)
    assert isinstance(JUDGE.judge(known), Sendable)
    refused = JUDGE.judge(known._replace(stage=stage))
    assert isinstance(refused, Refused) and refused.code == "unexplained"


async def test_a_producer_that_finds_no_kafka_is_closed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        await _finds_none(taken.getsockname()[1])


async def _finds_none(port: int) -> None:
    post = Post(None, f"127.0.0.1:{port}")
    with pytest.raises(KafkaConnectionError):
        async with post:
            pytest.fail("nobody listens there")
    assert post._producer._closed
