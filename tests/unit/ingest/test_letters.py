"""Refused calls as letters: how many, how much of each, and what must never stand in one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pathline.contracts.letters import Around, Headers, Letter, around_of, decode
from pathline.storage.keys import Policy, WriteKey
from services.ingest import letters
from services.ingest.codes import Refused
from services.ingest.lanes import NotStoredError
from services.ingest.letters import BURST_SECONDS, SOURCE_SHARE, DeadLetters, Share, written
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass
from services.ingest.settings import IngestSettings

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
WHY = Refused("missing_event", "a track call names its event")
SECRET = "pls_0123456789abcdef"
TRACE = ("traceparent", b"00-a-b-01")


class Store:
    """The only lane of a topic, whose acks are in the test's hand."""

    topic = "p.touchpoints.v1"

    def __init__(self) -> None:
        self.letters: Store | None = self
        self.stuck = False
        self.read: list[Letter] = []
        self.acks: list[asyncio.Future[None]] = []

    def lane_of(self, _hash: int) -> Store:
        return self

    def add(self, records: Iterable[Any], _timestamp_ms: int, headers: Headers) -> set[asyncio.Future[None]]:
        if self.stuck:
            raise NotStoredError
        (record,) = records
        self.read.append(decode("p.dead-letters.v1", None, record.value, headers))
        self.acks.append(asyncio.get_running_loop().create_future())
        return {self.acks[-1]}


class Desk:
    """Dead letters on such a store."""

    def __init__(self, **settings: Any) -> None:
        self.store = Store()
        self.metrics = IngestMetrics(CollectorRegistry(), "t")
        self.letters = DeadLetters(IngestSettings(**settings), self.store, self.metrics)  # type: ignore[arg-type]

    def put(self, raw: bytes, name: str = "shop", around: Around | None = None, **policy: Any) -> letters.Acks:
        row = WriteKey(name, SECRET, "server", "uk", False, NOW, None, policy=Policy(**policy))  # noqa: FBT003 - a row
        return self.letters.put(raw, WHY, Pass(row, 0), NOW, around or Around("track"), [TRACE])

    def counted(self) -> tuple[float, float, float]:
        """Stored, dropped, not stored."""
        counters = (self.metrics.letters_stored, self.metrics.letters_dropped, self.metrics.letters_lost)
        stored, dropped, lost = (counter._value.get() for counter in counters)
        return stored, dropped, lost


async def test_a_letter_says_who_sent_it_when_why_and_what_stood_around_it() -> None:
    desk = Desk()
    acks = desk.put(b'{"userId":"a"}', around=Around("track", context=b"{}"))
    (letter,) = desk.store.read
    assert (letter.stage, letter.code, letter.source, letter.namespace) == ("collector", "missing_event", "shop", "uk")
    assert (letter.topic, letter.partition, letter.received_at) == ("p.touchpoints.v1", None, NOW)
    assert (letter.value, letter.size) == (b'{"userId":"a"}', None)
    assert letter.headers[0] == TRACE and around_of(letter.headers) == Around("track", context=b"{}")
    assert desk.counted() == (0, 0, 0)
    desk.store.acks[0].set_result(None)
    assert await written(acks)
    await asyncio.sleep(0)
    assert desk.counted() == (1, 0, 0)


async def test_what_kafka_does_not_take_is_counted_and_nobody_fails_for_it() -> None:
    desk = Desk()
    acks = desk.put(b"{")
    desk.store.acks[0].set_exception(NotStoredError())
    assert not await written(acks)
    await asyncio.sleep(0)
    desk.store.stuck = True
    assert not await written(desk.put(b"{"))
    desk.store.letters = None
    assert not await written(desk.put(b"{"))
    assert desk.counted() == (0, 0, 3)


async def test_of_a_long_call_the_first_bytes_are_kept_and_a_long_context_is_left_out() -> None:
    desk = Desk(dead_letter_bytes_max=1_024)
    desk.put(b"x" * 5_000, around=Around("track", context=b" " * 1_025))
    (letter,) = desk.store.read
    assert letter.value == b"x" * 1_024 and letter.size == 5_000
    # Said, so that nobody takes the call for one that had none.
    assert around_of(letter.headers) == Around("track", context_size=1_025)


async def test_a_key_has_its_share_in_letters_and_another_key_its_own() -> None:
    desk = Desk(dead_letters_per_second=1)
    for _ in range(BURST_SECONDS + 5):
        desk.put(b"{")
    desk.put(b"{", "till")
    assert len(desk.store.read) == BURST_SECONDS + 1 and desk.counted()[1] == 5


async def test_a_source_of_webhooks_has_the_share_of_several_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "time", SimpleNamespace(monotonic=lambda: 0.0))
    desk = Desk(dead_letters_per_second=1)
    acks = [desk.put(b"{", "webhook:shop") for _ in range(SOURCE_SHARE * BURST_SECONDS + 5)]
    assert len(desk.store.read) == SOURCE_SHARE * BURST_SECONDS and desk.counted()[1] == 5
    # Nothing to wait for: delivered again it would be one too many again.
    assert await written(acks[-1])


async def test_none_are_kept_where_none_may_be() -> None:
    desk = Desk(dead_letters_per_second=0)
    assert not desk.put(b"{") and desk.counted() == (0, 1, 0)


async def test_what_waits_is_bounded_over_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "WAITING_BYTES_MAX", 2_500)
    desk = Desk()
    acks = [desk.put(b"x" * 1_000, f"key-{number}") for number in range(4)]
    assert not await written(acks[2])
    assert len(desk.store.read) == 2 and desk.counted()[1] == 2
    desk.store.acks[0].set_result(None)
    await asyncio.sleep(0)
    assert desk.put(b"x" * 1_000, "key-9")


def test_a_share_fills_with_time_and_whoever_has_some_left_may_go_below_once() -> None:
    share = Share(2, 100, 0.0)
    assert share.take(500, 0.0, 1, 10) and not share.take(1, 0.0, 1, 10)
    assert not share.take(1, 40.0, 1, 10)
    assert share.take(1, 40.2, 1, 10)
    for _ in range(BURST_SECONDS - 1):
        share.take(0, 10_000.0, 1, 10)
    assert share.take(0, 10_000.0, 1, 10) and not share.take(0, 10_000.0, 1, 10)


@pytest.mark.parametrize(
    ("policy", "raw", "kept"),
    [
        ({}, b'{"ip":"192.0.2.77"}', b'{"ip":"192.0.2.77"}'),
        ({"addresses": "truncated"}, b'{"a":{"ip" : "192.0.2.77"},cut', b'{"a":{"ip" : "192.0.2.0"},cut'),
        ({"addresses": "truncated"}, b'{"ip":"2001:db8:1:2::3"}', b'{"ip":"2001:db8:1::"}'),
        ({"addresses": "truncated"}, b'{"ip":"nonsense","zip":"1"}', b'{"ip":null,"zip":"1"}'),
        ({"addresses": "none"}, b'{"ip":"192.0.2.77"}', b'{"ip":null}'),
        ({"addresses": "truncated"}, b'{"ip":["192.0.2.77"],"a":1}', b'{"ip":null,"a":1}'),
        ({"addresses": "truncated"}, b'{"ip":[{"a]":["x"]},"192.0.2.77"]}', b'{"ip":null}'),
        ({"addresses": "truncated"}, b'{"ip":{"ip":"192.0.2.77","v":4}}', b'{"ip":null}'),
        ({"addresses": "truncated"}, b'{"ip":"192.0.2.\\u0037"}', b'{"ip":null}'),
        ({"addresses": "truncated"}, b'{"\\u0069p":"192.0.2.77"}', b'{"\\u0069p":"192.0.2.0"}'),
        ({"addresses": "truncated"}, b'{"i\\u0070":3221226061,"b":2}', b'{"i\\u0070":null,"b":2}'),
        ({"addresses": "truncated"}, b'{"ip":"192.0.2.77","ip":null}', b'{"ip":"192.0.2.0","ip":null}'),
        ({"addresses": "none"}, b'{"ip":["192.0.2.77","', b'{"ip":null'),
        ({"addresses": "none"}, b'{"ip":"192.0.2.77', b'{"ip":null'),
        ({"addresses": "none"}, b'{"ip":"192.0.2.77\\', b'{"ip":null'),
        ({"addresses": "none"}, b'{"ip":', b'{"ip":null'),
        ({}, b'{"writeKey":"pls_0123456789abcdef","x":1}', b'{"writeKey":"(write key)","x":1}'),
    ],
)  # fmt: skip
async def test_no_secret_and_no_address_that_the_policy_keeps_out(policy: Any, raw: bytes, kept: bytes) -> None:
    desk = Desk()
    desk.put(raw, **policy)
    assert desk.store.read[0].value == kept


async def test_a_secret_does_not_hide_in_the_cut() -> None:
    desk = Desk(dead_letter_bytes_max=1_024)
    desk.put(b"x" * 1_010 + SECRET.encode())
    assert SECRET[:8].encode() not in (desk.store.read[0].value or b"")
