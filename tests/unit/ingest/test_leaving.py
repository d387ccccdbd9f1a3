"""The first thing that a collector does when it is told to end."""

from __future__ import annotations

import asyncio

import pytest

from pathline.kit.health import Health
from services.ingest import app
from services.ingest.settings import IngestSettings


async def test_it_is_not_ready_while_it_still_serves_for_as_long_as_a_balancer_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PATHLINE_LEAVE_SECONDS", raising=False)
    stop, leave, health = asyncio.Event(), asyncio.Event(), Health()
    told: list[tuple[float, bool, bool]] = []

    async def sleep(seconds: float) -> None:
        told.append((seconds, health.ready, leave.is_set()))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    stop.set()
    await app._leave(stop, leave, health, IngestSettings.load().leave_seconds)
    assert told == [(2.0, False, False)]
    assert leave.is_set()
