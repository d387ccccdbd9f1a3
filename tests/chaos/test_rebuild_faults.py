"""A rebuild of journeys, the stitchers beside it, and PostgreSQL are killed: afterwards all is as the new stage file has it, once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathline.backtest.world import World
from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.facts import State
from pathline.embedded.trouble import Code
from pathline.storage import codec
from tests.chaos.conftest import Make
from tests.chaos.trial import Log, Trial
from tests.conftest import Stack
from tests.support import checker
from tests.support.crowd import crowd
from tests.support.programs import ROOT
from tests.support.rebuilding import OTHER, OTHER_FILE
from tests.support.records import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

HALF = 1_500
SECONDS = 100


class Command:
    """`pathline journeys rebuild` as a process."""

    def __init__(self, trial: Trial, stages: Path, topic_prefix: str) -> None:
        self._env = {
            **os.environ, "PATHLINE_DATABASE_URL": trial.dsn, "PATHLINE_STAGES": str(stages),
            "PATHLINE_TOPIC_PREFIX": topic_prefix, "PATHLINE_HOME": str(stages.parent),
            "PATHLINE_REBUILD_BATCH": "40", "PATHLINE_REBUILD_RATE": "2000",
        }  # fmt: skip

    async def start(self) -> asyncio.subprocess.Process:
        """Begin, or go on."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pathline.cli", "journeys", "rebuild", "--json"),
            cwd=ROOT, env=self._env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def kill_after(self, trial: Trial, touchpoints: int, applied: int) -> None:
        """Begin or go on, and be killed once so much is done."""
        running = await self.start_and_do(trial, touchpoints, applied)
        running.kill()
        await running.wait()

    async def start_and_do(self, trial: Trial, touchpoints: int, applied: int) -> asyncio.subprocess.Process:
        """Begin or go on, until so much is done."""

        async def enough() -> bool:
            assert running.returncode is None, (await running.communicate())[1].decode()
            return bool(
                await trial.value(
                    "SELECT count(*) > 0 FROM rebuild WHERE finished_at IS NULL AND touchpoints >= $1 AND applied >= $2",
                    touchpoints,
                    applied,
                )
            )

        running = await self.start()
        await until(enough, SECONDS)
        return running


async def test_killed_rebuilds_and_stitchers_leave_what_a_fold_from_the_beginning_gives(
    trial: Trial, make: Make, tmp_path: Path, topic_prefix: str
) -> None:
    log = list(crowd(2 * HALF, customers=150, seed=7))
    stages = await _half_by_the_old_file(trial, make, tmp_path, log)
    command = Command(trial, stages, topic_prefix)
    new = await make("stitcher", PATHLINE_STAGES=str(stages), PATHLINE_STITCHER_BATCH="50").start()
    sending = asyncio.create_task(trial.send(log[HALF:]))
    await command.kill_after(trial, 300, 0)
    new.kill()
    await command.kill_after(trial, 900, 0)
    new = await make("stitcher", PATHLINE_STAGES=str(stages), PATHLINE_STITCHER_BATCH="50").start()
    await command.kill_after(trial, 1_000, 150)
    new.kill()
    await make("stitcher", PATHLINE_STAGES=str(stages)).start()
    last = await command.start()
    said, complaint = await last.communicate()
    assert last.returncode == 0, complaint.decode()
    await sending
    await trial.stitched()

    await _as_from_the_beginning(trial, said)


async def test_a_rebuild_whose_server_is_killed_says_so_and_goes_on(
    trial: Trial, make: Make, stack: Stack, tmp_path: Path, topic_prefix: str
) -> None:
    log = list(crowd(2 * HALF, customers=150, seed=8))
    stages = await _half_by_the_old_file(trial, make, tmp_path, log)
    command = Command(trial, stages, topic_prefix)
    await make("stitcher", PATHLINE_STAGES=str(stages), PATHLINE_STITCHER_BATCH="50").start()
    sending = asyncio.create_task(trial.send(log[HALF:]))
    for touchpoints, applied in ((300, 0), (900, 0), (1_000, 100)):
        running = await command.start_and_do(trial, touchpoints, applied)
        await stack.kill("postgres")
        await stack.start("postgres")
        said, complaint = await running.communicate()
        assert (running.returncode, said) == (Code.NOT_REACHABLE, b"")
        assert b"the same command goes on from there. [not_reachable]" in complaint
        assert complaint.count(b"\n") == 1, complaint.decode()
    last = await command.start()
    said, complaint = await last.communicate()
    assert last.returncode == 0, complaint.decode()
    await sending
    await trial.stitched()
    await _as_from_the_beginning(trial, said)


async def _half_by_the_old_file(trial: Trial, make: Make, folder: Path, log: Log) -> Path:
    """Have the first half of the log stitched by the stages that come with Pathline; returns the file with others."""
    stages = folder / "stages.yaml"
    stages.write_text(yaml.safe_dump(OTHER_FILE), encoding="utf-8")
    old = await make("stitcher").start()
    await trial.send(log[:HALF])
    await trial.stitched()
    await old.end()
    return stages


async def _as_from_the_beginning(trial: Trial, said: bytes) -> None:
    """All is as a fold of the whole log by the new file has it, by one rebuild that was done."""
    world = await _from_the_log(trial)
    async with trial.db() as db:
        assert await db.fetchval("SELECT count(*) FROM rebuild WHERE phase = 'done'") == 1, said.decode()
        assert await db.fetchval("SELECT count(*) FROM rebuild") == 1
        held = {r["id"]: codec.state(r["state"]) for r in await db.fetch(_STATES)}
        rows = await db.fetch("SELECT id, stage, moment_of_truth FROM touchpoint")
    differing = [
        one for one in held.keys() | world.states.keys()
        if held.get(one, State()) != world.states.get(one, State())
    ]  # fmt: skip
    assert differing == []
    assert len(rows) == len({row["id"] for row in rows}) == len(world.seen)
    placed = await _placed(trial)
    assert {row["id"]: (row["stage"], row["moment_of_truth"]) for row in rows} == placed


_STATES = "SELECT id, state FROM strand UNION ALL SELECT id, state FROM entity"


async def _from_the_log(trial: Trial) -> World:
    world = World(OTHER)
    for value in await checker.read_all(trial.bootstrap, trial.topics.touchpoints):
        world.add([to_touchpoint(accepted.decode(value))])
    return world


async def _placed(trial: Trial) -> dict[Any, tuple[str | None, bool]]:
    values = await checker.read_all(trial.bootstrap, trial.topics.touchpoints)
    return {one.id: OTHER.place(one) for one in (to_touchpoint(accepted.decode(value)) for value in values)}
