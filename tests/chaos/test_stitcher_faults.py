"""Invariant 2 under faults: each touchpoint changes its journey once, whatever is killed, frozen or shared.

Each fault is also tried with a safeguard switched off, and the checker must then find what goes wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.chaos.conftest import Make
from tests.chaos.tally import of
from tests.chaos.trial import Trial
from tests.chaos.without import NOBODY_ENDED
from tests.support.checker import Report
from tests.support.crowd import crowd
from tests.support.programs import Program
from tests.support.records import record, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

TOUCHPOINTS = of(8_000, 200_000)
KILLS = of(3, 50)
TOGETHER = of(3_000, 6_000)
FROZEN_SECONDS = of(0, 40)


async def test_a_stitcher_killed_while_touchpoints_flow_loses_and_doubles_nothing(trial: Trial, make: Make) -> None:
    log = list(crowd(TOUCHPOINTS, customers=TOUCHPOINTS // 10, seed=1))
    sending = asyncio.create_task(trial.send(log))
    # Under a name, so that the group gives the next one its partitions at once.
    stitcher = make("stitcher", PATHLINE_INSTANCE="one")
    for kill in range(1, KILLS + 1):
        await stitcher.start()
        await trial.passed(kill * TOUCHPOINTS // (KILLS + 2))
        stitcher.kill()
    await sending
    started = time.monotonic()
    await stitcher.start()
    await trial.stitched()
    measured = f"all read {time.monotonic() - started:.0f} s after the last start"
    report = await trial.tell("1", f"a stitcher killed {KILLS} times", measured)
    assert report.stored == TOUCHPOINTS


async def _two_on_one_customer(trial: Trial, programs: Sequence[Program]) -> Report:
    """Every record is about one person and one order, and both stitchers have half of them."""
    await asyncio.gather(*(program.start() for program in programs))
    log = []
    for number in range(TOGETHER):
        properties = {"order_id": "order-1", "amount": f"{number}.00"}
        call = {"event": "Payment Succeeded", "properties": properties}
        if number // 2 % 2:  # not by partition: records are dealt to these in turn
            call = {"event": "Product Viewed", "userId": "ann", "properties": {}}
        log.append((f"t{number}", record(call, message_id=f"t{number}")))
    await trial.send(log)
    await trial.stitched()
    return await trial.report()


SMALL_BATCHES = {"PATHLINE_STITCHER_BATCH": "20"}
"""Many transactions, so that the two meet often."""


async def test_two_stitchers_on_one_customer_lose_nothing(trial: Trial, make: Make) -> None:
    report = await _two_on_one_customer(trial, [make("stitcher", **SMALL_BATCHES) for _ in range(2)])
    assert report.findings == []


async def test_without_row_locks_the_checker_finds_lost_counts(trial: Trial, make: Make) -> None:
    programs = [make("stitcher", without="row_locks", **SMALL_BATCHES) for _ in range(2)]
    report = await _two_on_one_customer(trial, programs)
    assert any("counts" in finding for finding in report.findings), report.table


async def test_without_dedupe_the_checker_finds_doubles(trial: Trial, make: Make) -> None:
    await make("stitcher", without="dedupe", PATHLINE_STITCHER_BATCH="50").start()
    await trial.send(list(crowd(1_000, customers=100, seed=2)))
    await trial.stitched()
    await trial.shown("1", "dedupe", "more than once")


_WRITTEN = "SELECT (SELECT count(*) FROM touchpoint) + (SELECT count(*) FROM seen) + (SELECT sum(revision) FROM strand)"
"""Grows with whatever a stitcher writes."""


async def _freeze_and_thaw(trial: Trial, frozen: Program, peer: Program) -> float:
    """A stitcher stands still with a batch in hand, a peer takes over, it wakes and goes on where it was.

    Returns how many seconds after it stood still the peer, started then, had taken its partitions.
    """
    await frozen.start()
    await trial.send(list(crowd(2_000, customers=200, seed=3)))
    await trial.passed(100)
    frozen.freeze()
    started = time.monotonic()
    await trial.send(list(crowd(2_000, customers=200, seed=4)))
    epochs = await trial.epochs()
    await peer.start()
    await trial.taken_over(epochs)
    seconds = time.monotonic() - started
    await trial.stitched()

    async def long_enough() -> bool:
        return time.monotonic() - started > FROZEN_SECONDS

    await until(long_enough, FROZEN_SECONDS + 1)
    written = await trial.value(_WRITTEN)
    frozen.thaw()
    # It has woken once it has answered for its health; what it does with the batch it holds comes before that.
    await frozen.ready()
    assert await trial.value(_WRITTEN) == written
    await trial.send(list(crowd(100, customers=200, seed=5)))
    await trial.stitched()
    return seconds


async def test_a_stitcher_frozen_while_a_peer_takes_over_writes_nothing_when_it_wakes(trial: Trial, make: Make) -> None:
    batches = {"PATHLINE_STITCHER_BATCH": "50"}
    seconds = await _freeze_and_thaw(trial, make("stitcher", **batches), make("stitcher", **batches))
    what = f"a stitcher frozen {FROZEN_SECONDS or int(seconds)} s, a peer takes over, thawed"
    await trial.tell("2", what, f"taken over in {seconds:.1f} s, its start included; 0 rows written by who was thawed")


async def test_one_that_sleeps_in_the_middle_of_a_message_with_its_rows_locked_is_taken_over(
    trial: Trial, make: Make
) -> None:
    sleeper = make("stitcher", without="awake", **SMALL_BATCHES)
    peer = await make("stitcher", **SMALL_BATCHES).start()
    await sleeper.start()
    await trial.send(list(crowd(2_000, customers=200, seed=3)))
    await sleeper.asleep()
    started, epochs = time.monotonic(), await trial.epochs()
    await trial.taken_over(epochs)
    measured = f"taken over in {time.monotonic() - started:.1f} s"
    await trial.stitched()
    assert peer.running
    sleeper.thaw()
    await sleeper.ready()
    await trial.send(list(crowd(100, customers=200, seed=5)))
    await trial.stitched()
    await trial.tell("2b", "a stitcher asleep in the middle of a message, its rows locked", measured)


async def test_without_ending_its_session_one_that_sleeps_with_its_rows_locked_stops_all(
    trial: Trial, make: Make
) -> None:
    sleeper = make("stitcher", without="awake", **SMALL_BATCHES)
    peer = await make("stitcher", without="ending", **SMALL_BATCHES).start()
    await sleeper.start()
    log = list(crowd(500, customers=50, seed=3))
    await trial.send(log)
    await sleeper.asleep()
    await peer.says(NOBODY_ENDED)
    waiting = len(log) - await trial.value("SELECT count(*) FROM seen")
    trial.found("2b", "ending the sleeper's session", waiting, "touchpoints wait for who sleeps")
    sleeper.kill()


async def test_two_that_both_believe_a_partition_theirs_exclude_each_other(trial: Trial, make: Make) -> None:
    programs = [make("stitcher", without="peers", **SMALL_BATCHES) for _ in range(2)]
    await asyncio.gather(*(program.start() for program in programs))
    await trial.send(list(crowd(2_000, customers=200, seed=6)))
    await trial.passed(2_000)
    programs[0].kill()
    await trial.stitched()
    report = await trial.report()
    assert report.findings == [], report.table


async def test_without_the_fence_the_checker_finds_that_the_overtaken_one_wrote(trial: Trial, make: Make) -> None:
    overtaken, peer = (make("stitcher", without="fence,peers", **SMALL_BATCHES) for _ in range(2))
    await asyncio.gather(overtaken.start(), peer.start())
    # Both stand at the beginning; one of them sleeps there while the other reads all.
    overtaken.freeze()
    await trial.send(list(crowd(500, customers=50, seed=6)))
    await trial.stitched()
    overtaken.thaw()

    async def it_wrote_over_the_other() -> bool:
        return bool(await trial.value("SELECT count(*) > 0 FROM fence_moved_back"))

    await until(it_wrote_over_the_other, 60)
    for program in (overtaken, peer):
        program.kill()
    await trial.shown("2", "the fence", "moved back")
