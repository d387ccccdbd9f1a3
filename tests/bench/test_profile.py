"""The profile of the collector runs the real one, on the way that nearly all requests take."""

from __future__ import annotations

import pytest

from tests.bench.collector import BATCH
from tests.bench.collector_profile import shares, ways


@pytest.mark.parametrize("batch", [1, BATCH])
async def test_a_profile_names_the_modules_of_the_collector(batch: int) -> None:
    told = dict(await shares(batch, events=2 * BATCH))
    recorder = "ingest/calls.py" if batch == 1 else "ingest/together.py"
    assert {recorder, "ingest/desk.py", "kit/connection.py"} <= set(told)
    assert 0.5 < sum(told.values()) <= 1.0 + 1e-9


async def test_both_ways_of_a_request_are_measured() -> None:
    whole, asgi, ratio = await ways(1, events=2 * BATCH)
    assert 0 < whole < 1 and 0 < asgi < 1 and ratio > 0
