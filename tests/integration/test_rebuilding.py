"""A rebuild gives what folding all retained touchpoints from the beginning gives, whatever goes on or dies meanwhile."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.database import create_pool
from tests.support.rebuilding import OTHER, Stitching, bodied, from_scratch, placed
from tests.support.world import STAGES, logs

pytestmark = pytest.mark.integration

THIRD = Stages.from_builtins({"stages": [{"name": "awareness", "enter": [{"type": ["identify", "track"]}]}]})


class KilledError(Exception):
    """What a test does to a rebuild."""


@given(
    log=logs(most=30),
    before=st.integers(min_value=0, max_value=30),
    batch=st.integers(min_value=1, max_value=12),
    script=st.lists(st.sampled_from(("live", "live old", "kill", "cancel", "nothing")), max_size=12),
)
@settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_rebuild_between_live_batches_is_a_fold_from_the_beginning(
    database: str, log: list[Touchpoint], before: int, batch: int, script: list[str]
) -> None:
    asyncio.run(_trial(database, [bodied(one) for one in log], before, batch, script))


async def _trial(database: str, log: list[Touchpoint], before: int, batch: int, script: list[str]) -> None:
    async with create_pool_of(database) as pool:
        stitching = Stitching(pool)
        await stitching.empty()
        await stitching.add(log[:before], STAGES)
        left = iter(log[before:])
        steps = iter(script)
        old_while_rebuilding = False

        async def between() -> None:
            nonlocal old_while_rebuilding
            match next(steps, "nothing"):
                case "live":
                    await stitching.add(list(islice(left, 3)), OTHER)
                case "live old":
                    old_while_rebuilding = True
                    await stitching.add(list(islice(left, 3)), STAGES)
                case "kill":
                    raise KilledError
                case "cancel":
                    await pool.execute("UPDATE rebuild SET cancel = true WHERE finished_at IS NULL")

        await _to_the_end(stitching, OTHER, batch, between)
        await stitching.add(left, OTHER)
        if old_while_rebuilding:
            # Whoever stitches by another file meanwhile has to be followed by another rebuild.
            await _to_the_end(stitching, OTHER, batch, None)
        assert await stitching.states() == from_scratch(log, OTHER)
        assert await stitching.placements() == placed(log, OTHER)
        assert await pool.fetchval("SELECT count(*) FROM rebuild_note") == 0


async def _to_the_end(stitching: Stitching, stages: Stages, batch: int, between: Any) -> None:
    while True:
        try:
            job = await stitching.rebuild(stages, batch=batch, between=between)
        except KilledError:
            continue
        if job.phase == "done":
            return


class create_pool_of:  # noqa: N801 - used like the function
    """A pool in an event loop of its own: Hypothesis calls a plain function."""

    def __init__(self, database: str) -> None:
        self._database = database

    async def __aenter__(self) -> asyncpg.Pool[Any]:
        self._pool = await create_pool(self._database, min_size=1, max_size=4, application_name="test")
        return self._pool

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
