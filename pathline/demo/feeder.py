"""The crowd in real time: each call goes to the collector when its moment has come.

Nothing is queued: what is not due yet is not made yet. While the collector is away the crowd waits with it; after
a short absence it catches up, after a long one its customers are given up and others come.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from pathline.demo.credentials import BROWSER_KEY, SERVER_KEY
from pathline.demo.customer import By, Call
from pathline.demo.lives import CALLS_A_LIFE, Event, crowd
from pathline.demo.metrics import DemoMetrics
from pathline.demo.pace import LIVE, utc_now, written
from pathline.kit import logging
from pathline.kit.health import Health
from pathline.sending.client import Collector, RefusedError, UnreachableError

log = logging.get_logger(__name__)

BEHIND_SECONDS_MAX: Final = 45.0
"""Further behind, a crowd is given up: what it would tell is no longer news, and catching up would be a flood."""
BATCH_CALLS_MAX: Final = 25
STEP_SECONDS: Final = 0.2
"""Between two batches, at least. With BATCH_CALLS_MAX it bounds how fast a crowd catches up."""
REFUSED_PAUSE_SECONDS: Final = 5.0
OPEN_MOST: Final = 5_000
"""Orders remembered until they are delivered; the oldest is forgotten first."""
SETTLE_SECONDS: Final = 5.0
"""For so long at most a demo that stops ends its orders; well within the time that it has to stop."""
SETTLE_CALLS: Final = 250
COLLECTOR: Final = "collector"

KEYS: Final[dict[By, str]] = {"web": BROWSER_KEY, "server": SERVER_KEY}
_encode: Final = msgspec.json.Encoder().encode


def run_tag(start: datetime) -> str:
    """A word for everything that begins at this second, so that a restart tells of other customers and orders."""
    return f"{int(start.timestamp()):x}-"


class OnTheWay:
    """The orders that were told of and are not delivered."""

    def __init__(self) -> None:
        """None yet."""
        self._orders: OrderedDict[str, Call] = OrderedDict()
        self._parcels: dict[str, str] = {}
        """The order of each parcel of these."""

    def note(self, call: Call) -> None:
        """What a call says of an order, if anything."""
        told = call.get("properties", {})
        match call.get("event"):
            case "Order Completed":
                self._orders[told["order_id"]] = call
                if len(self._orders) > OPEN_MOST:
                    self._forget(next(iter(self._orders)))
            case "Shipment Created" if told["order_id"] in self._orders:
                self._parcels[told["tracking_number"]] = told["order_id"]
            case "Shipment Scanned" if told["status"] == "delivered" and told["tracking_number"] in self._parcels:
                self._forget(self._parcels[told["tracking_number"]])

    def endings(self, now: datetime) -> list[Call]:
        """A call for each by which it ends: its parcel is delivered or, where there is none yet, it is given up.

        A cancelled order would leave open what the courier told of its parcel.
        """
        parcels = {order_id: parcel for parcel, order_id in self._parcels.items()}
        return [
            {"type": "track", "messageId": f"{placed['messageId']}-end", "timestamp": written(now)}
            | (
                _track("Shipment Scanned", tracking_number=parcels[order_id], status="delivered")
                if order_id in parcels
                else _track(
                    "Order Cancelled", order_id=order_id, reason="shop_closed", email=placed["properties"]["email"]
                )
            )
            for order_id, placed in self._orders.items()
        ]

    def _forget(self, order_id: str) -> None:
        del self._orders[order_id]
        self._parcels = {parcel: order for parcel, order in self._parcels.items() if order != order_id}


def _track(event: str, **properties: str) -> Call:
    return {"event": event, "properties": properties}


class Feeder:
    """Sends one crowd after another until it is cancelled."""

    def __init__(
        self,
        collector: Collector,
        *,
        seed: int,
        rate: float,
        metrics: DemoMetrics,
        health: Health,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """Send `rate` calls a second in the mean; `seed` says who comes and what they live through."""
        self._collector = collector
        self._seed = seed
        self._gap_seconds = CALLS_A_LIFE / rate
        self._metrics = metrics
        self._health = health
        self._now = now
        self._sleep = sleep
        self._open = OnTheWay()

    async def run(self) -> None:
        """Send, for ever."""
        while True:
            self._metrics.crowds.inc()
            try:
                await self._send_crowd()
                log.warning("the crowd was too far behind; another one comes", behind_seconds_max=BEHIND_SECONDS_MAX)
            except UnreachableError as problem:
                self._health.set(COLLECTOR, str(problem))
                log.warning("the collector was away for too long; another crowd comes", reason=str(problem))
            except RefusedError as problem:
                self._health.set(COLLECTOR, str(problem))
                log.warning("the collector refuses the demo's key", reason=str(problem))
                await self._sleep(REFUSED_PAUSE_SECONDS)

    async def settle(self) -> None:
        """End the orders on their way, which nobody would deliver any more: at its own end, and as far as time allows.

        Otherwise they would all be late by the next start.
        """
        calls = [_encode(call) for call in self._open.endings(self._now())]
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                for first in range(0, len(calls), SETTLE_CALLS):
                    await self._deliver(SERVER_KEY, calls[first : first + SETTLE_CALLS])
        except (TimeoutError, UnreachableError, RefusedError) as problem:
            log.warning("orders on their way stay so, and will be late", orders=len(calls), reason=repr(problem))

    async def _send_crowd(self) -> None:
        """Send one crowd until it is too far behind."""
        start = self._now()
        lives = crowd(
            self._seed, run=run_tag(start), start=start, pace=LIVE, gap_seconds=self._gap_seconds, opening=True
        )
        due = next(lives)
        while True:
            await self._sleep(max(STEP_SECONDS, (due.at - self._now()).total_seconds()))
            now = self._now()
            behind = (now - due.at).total_seconds()
            if behind > BEHIND_SECONDS_MAX:
                return
            batch: list[Event] = []
            while due.at <= now and len(batch) < BATCH_CALLS_MAX:
                batch.append(due)
                due = next(lives)
            await self._send(batch)
            self._metrics.behind_seconds.set(max(behind, 0.0))

    async def _send(self, batch: Sequence[Event]) -> None:
        for event in batch:
            self._open.note(event.call)  # before it is sent: what may have been stored is cancelled too
        for by, key in KEYS.items():
            await self._deliver(key, [_encode(event.call) for event in batch if event.by == by])
        if batch:
            self._health.set(COLLECTOR, None)

    async def _deliver(self, key: str, calls: Sequence[bytes]) -> None:
        refused = await self._collector.send(key, calls)
        self._metrics.calls.labels("sent").inc(len(calls) - len(refused))
        self._metrics.calls.labels("refused").inc(len(refused))
        for one in refused:
            log.error("a call was refused", code=one.code)
