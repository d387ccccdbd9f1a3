"""The profile of the collector runs the real one, on the way that nearly all requests take."""

from __future__ import annotations

import pytest

from tests.bench.collector import BATCH
from tests.bench.collector_profile import shares


@pytest.mark.parametrize("batch", [1, BATCH])
async def test_a_profile_names_the_modules_of_the_collector(batch: int) -> None:
    told = dict(await shares(batch, events=2 * BATCH))
    assert {"ingest/calls.py", "ingest/desk.py", "kit/door.py"} <= set(told)
    assert 0.5 < sum(told.values()) <= 1.0 + 1e-9
