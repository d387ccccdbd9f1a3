"""The crowd in real time, under a clock of the test's own."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from pathline.demo import feeder as feeder_module
from pathline.demo.credentials import BROWSER_KEY, SERVER_KEY
from pathline.demo.feeder import BATCH_CALLS_MAX, BEHIND_SECONDS_MAX, STEP_SECONDS, Feeder, OnTheWay, run_tag
from pathline.demo.metrics import DemoMetrics
from pathline.kit.health import Health
from pathline.sending.client import Collector

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Far:
    """A collector and a clock; `away` says from when to when, in seconds, it does not answer."""

    def __init__(
        self, *, seconds: float, rate: float = 5.0, away: tuple[float, float] = (0, 0), status: int = 503
    ) -> None:
        self.at = START
        self.end = START + timedelta(seconds=seconds)
        self.away = away
        self.status = status
        self.batches: list[tuple[float, str, list[dict[str, Any]]]] = []
        self.registry = CollectorRegistry()
        self.health = Health(collector="nothing sent yet")
        self.unready: list[float] = []
        self.rate = rate

    @property
    def seconds(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        if not self.health.ready:
            self.unready.append(self.seconds)
        if self.at >= self.end:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away[0] <= self.seconds < self.away[1]:
            return httpx.Response(self.status, json={"success": False, "code": "away", "message": "no"})
        sender = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().removesuffix(":")
        self.batches.append((self.seconds, sender, json.loads(request.content)["batch"]))
        return httpx.Response(200, json={"success": True})

    async def run(self) -> None:
        collector = Collector(
            "http://far",
            patience_seconds=BEHIND_SECONDS_MAX,
            on_retry=lambda why, _pause: self.health.set("collector", why),
            transport=httpx.MockTransport(self.answer),
            sleep=self.sleep,
        )
        feeder = Feeder(
            collector,
            seed=1,
            rate=self.rate,
            metrics=DemoMetrics(self.registry),
            health=self.health,
            now=lambda: self.at,
            sleep=self.sleep,
        )
        async with collector:
            with pytest.raises(asyncio.CancelledError):
                await feeder.run()
            self.end += timedelta(days=1)  # from now on nobody ends what sleeps
            await feeder.settle()

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [call for _, _, batch in self.batches for call in batch]

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def test_each_call_is_sent_in_its_moment_with_the_key_of_who_sends_it() -> None:
    far = Far(seconds=300)
    await far.run()
    assert len(far.calls) > 300 and far.health.ready
    for at, key, batch in far.batches:
        for call in batch:
            late = at - (datetime.fromisoformat(call["timestamp"]) - START).total_seconds()
            assert 0 <= late < 1, "neither early nor late"
            assert ("anonymousId" in call) == (key == BROWSER_KEY) or call.get("event") == "Store Visited"
    assert far.value("pathline_demo_calls_total", outcome="sent") == len(far.calls)
    assert far.value("pathline_demo_crowds_total") == 1


async def test_after_a_short_absence_it_catches_up_without_a_flood_and_loses_nothing() -> None:
    whole, broken = Far(seconds=200), Far(seconds=200, away=(100, 120))
    await whole.run()
    await broken.run()
    assert broken.value("pathline_demo_crowds_total") == 1
    assert broken.unready and broken.health.ready
    told = {call["messageId"] for call in broken.calls}
    assert {call["messageId"] for call in whole.calls if call["timestamp"] < "2026-03-02T09:03:00"} <= told
    assert len(told) == len(broken.calls)
    assert max(len(batch) for _, _, batch in broken.batches) <= BATCH_CALLS_MAX
    moments = sorted({at for at, _, _ in broken.batches})
    assert min(b - a for a, b in itertools.pairwise(moments)) >= STEP_SECONDS - 1e-6


async def test_after_a_long_absence_other_customers_come() -> None:
    far = Far(seconds=400, away=(100, 250))
    await far.run()
    assert far.value("pathline_demo_crowds_total") > 1 and far.health.ready
    before = {call["messageId"] for at, _, batch in far.batches for call in batch if at < 100}
    after = {call["messageId"] for at, _, batch in far.batches for call in batch if at >= 250}
    assert before and after and not before & after
    tags = {identity.rsplit("-", 2)[0] for identity in after}
    assert f"shop-{run_tag(START)}".rstrip("-") not in tags, "those who were given up do not come back"


async def test_a_refused_key_is_said_and_tried_again_with_pauses() -> None:
    far = Far(seconds=60, away=(0, 30), status=401)
    await far.run()
    assert far.calls and far.health.ready
    assert 2 <= far.value("pathline_demo_crowds_total") <= 10


async def test_at_its_end_each_order_on_its_way_is_delivered_or_cancelled_and_no_other() -> None:
    far = Far(seconds=150)
    await far.run()

    def told(event: str, key: str, **wanted: str) -> list[str]:
        found = [call["properties"] for call in far.calls if call.get("event") == event]
        return [told[key] for told in found if wanted.items() <= told.items()]

    order_of = dict(zip(told("Shipment Created", "tracking_number"), told("Shipment Created", "order_id"), strict=True))
    delivered = [order_of[parcel] for parcel in told("Shipment Scanned", "tracking_number", status="delivered")]
    cancelled = told("Order Cancelled", "order_id")
    assert sorted(delivered + cancelled) == sorted(told("Order Completed", "order_id")), "each has one end"
    ends = [(key, call) for _, key, batch in far.batches for call in batch if call["messageId"].endswith("-end")]
    assert {call["event"] for _, call in ends} == {"Shipment Scanned", "Order Cancelled"}
    assert {key for key, _ in ends} == {SERVER_KEY}
    assert len({call["messageId"] for call in far.calls}) == len(far.calls)


async def test_a_collector_that_is_away_does_not_keep_the_demo_from_ending() -> None:
    far = Far(seconds=80, away=(60, 3_600))
    await far.run()
    assert any(call.get("event") == "Order Completed" for call in far.calls)
    assert not any(call["messageId"].endswith("-end") for call in far.calls)
    assert far.seconds < 80 + 2 * BEHIND_SECONDS_MAX


def test_the_orders_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder_module, "OPEN_MOST", 2)
    known = OnTheWay()
    for number in range(5):
        order = {"order_id": f"A-{number}", "email": "a@example.com"}
        known.note({"event": "Order Completed", "messageId": f"m{number}", "properties": order})
        known.note({"event": "Shipment Created", "properties": {**order, "tracking_number": f"T{number}"}})
    known.note({"event": "Shipment Scanned", "properties": {"tracking_number": "T0", "status": "delivered"}})
    known.note({"event": "Shipment Scanned", "properties": {"tracking_number": "T3", "status": "delivered"}})
    assert [call["properties"] for call in known.endings(START)] == [{"tracking_number": "T4", "status": "delivered"}]
