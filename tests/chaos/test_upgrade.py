"""All services told to end under load and started again, and an old version beside a new one: nothing is lost."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from pathline.storage import keys
from tests.chaos.conftest import Make
from tests.chaos.tally import of
from tests.chaos.test_restarts import CLIENTS, Client, in_order, more_calls
from tests.chaos.trial import Trial
from tests.support.crowd import crowd
from tests.support.programs import Program
from tests.support.records import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

ENDINGS = of(1, 5)


async def _end(program: Program) -> float:
    started = time.monotonic()
    assert await program.end() == 0, program.last_words()
    return time.monotonic() - started


async def _refused(program: Program) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        return "refused" in (await client.get(f"http://{program.address}/health/ready")).json()["reasons"]


async def test_all_told_to_end_under_load_and_an_old_version_beside_a_new_one_lose_nothing(
    trial: Trial, make: Make
) -> None:
    async with trial.db() as db:
        await keys.create(db, name="demo", key="demo", kind="server", loopback_only=True)
    programs = [make(name) for name in ("ingest", "stitcher", "scorer", "console")]
    await asyncio.gather(*(program.start() for program in programs))
    ingest, old, scorer, _ = programs
    stop = asyncio.Event()
    drained = 0.0
    async with httpx.AsyncClient(base_url=f"http://{ingest.address}", timeout=20) as http:
        clients = [Client(number, http, trial) for number in range(CLIENTS)]
        running = [asyncio.create_task(client.run(stop)) for client in clients]
        for _ in range(ENDINGS):
            await more_calls(clients)
            drained = max(drained, *await asyncio.gather(*map(_end, programs)))
            await asyncio.gather(*(program.start() for program in programs))
        await more_calls(clients)
        # In the order of an upgrade: whoever reads states first, then a stitcher that writes newer ones.
        await _end(scorer)
        await make("scorer", without="older").start()
        new = await make("stitcher", without="older").start()
        await more_calls(clients)
        # The old one meets what the new one wrote as soon as it has its partitions.
        await _end(new)
        await until(lambda: _refused(old), 60)
        await new.start()
        stop.set()
        await asyncio.gather(*running)
    await trial.judged()
    assert new.running
    assert old.running, "what it must not read it leaves to others, and says so"
    await in_order(trial, clients)
    what = f"SIGTERM to all under load {ENDINGS} times; an old version and a new one together"
    await trial.tell("20", what, f"drained in {drained:.1f} s; the old one left its partitions to the new one")


async def test_without_the_check_of_versions_the_checker_finds_what_an_old_one_wrote_over(
    trial: Trial, make: Make
) -> None:
    new = await make("stitcher", without="older").start()
    await trial.send(list(crowd(200, customers=20, seed=41)))
    await trial.stitched()
    assert (await trial.report()).findings == []
    await _end(new)
    await make("stitcher", without="version").start()
    await trial.send(list(crowd(200, customers=20, seed=42)))
    await trial.stitched()
    await trial.shown("20", "the check of versions", "lost what only that one knows")
