"""A log that has poison in it, is read again, or is shared out anew again and again."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.chaos.conftest import Make
from tests.chaos.tally import of
from tests.chaos.trial import Trial
from tests.chaos.without import IN_HAND
from tests.support import checker
from tests.support.crowd import crowd
from tests.support.records import produce, record, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

TOUCHPOINTS = of(2_000, 40_000)
REBALANCES = of(4, 20)
PARTITIONS = 6
FRESH = 20
POISON = (
    b"",
    b"not json",
    b'{"v":1',
    b"\xff\xfe",
    record({"event": "Product Viewed", "userId": "null"}, message_id="nobody"),
    b"[]",
)
"""Records that nobody can use, for several reasons."""


async def test_one_in_a_hundred_is_poison_and_holds_nobody_up(trial: Trial, make: Make) -> None:
    await make("stitcher").start()
    poisoned = TOUCHPOINTS // 100
    await asyncio.gather(
        trial.send(list(crowd(TOUCHPOINTS, customers=TOUCHPOINTS // 10, seed=21))),
        produce(trial.bootstrap, trial.topics.touchpoints, [POISON[n % len(POISON)] for n in range(poisoned)]),
    )
    await trial.stitched()
    letters = await trial.value(
        "SELECT count(*) FROM dead_letter WHERE topic = $1 AND code <> '' AND message <> ''", trial.topics.touchpoints
    )
    assert letters == poisoned
    codes = await trial.value("SELECT count(DISTINCT code) FROM dead_letter")
    report = await trial.tell("9", "1 % poison", f"{letters} dead letters of {codes} kinds")
    assert report.stored == TOUCHPOINTS


async def test_without_dead_letters_the_checker_finds_what_is_nowhere(trial: Trial, make: Make) -> None:
    await make("stitcher", without="letters").start()
    await trial.send([("nobody", POISON[4]), *crowd(100, customers=10, seed=21)])
    await trial.stitched()
    await trial.shown("9", "dead letters", "nobody")


async def test_the_whole_topic_again_mixed_with_fresh_pains_alerts_of_the_fresh_alone(trial: Trial, make: Make) -> None:
    programs = [make(name) for name in ("stitcher", "scorer")]
    await asyncio.gather(*(program.start() for program in programs))
    await trial.send(list(crowd(TOUCHPOINTS // 2, customers=TOUCHPOINTS // 20, seed=22)))
    await trial.send(_pains("old", FRESH))
    await trial.judged()
    before = await trial.value("SELECT count(*) FROM alert")
    assert before >= FRESH
    values = await checker.read_all(trial.bootstrap, trial.topics.touchpoints)
    half = len(values) // 2
    await produce(trial.bootstrap, trial.topics.touchpoints, values[:half])
    await trial.send(_pains("fresh", FRESH))
    await produce(trial.bootstrap, trial.topics.touchpoints, values[half:])
    await trial.judged()
    assert await trial.value("SELECT count(*) FROM alert") == before + FRESH
    await trial.tell("14", f"the topic of {len(values):,} replayed, with {FRESH} fresh pains", f"{FRESH} new alerts")


async def test_without_dedupe_the_checker_finds_what_was_replayed(trial: Trial, make: Make) -> None:
    await make("stitcher", without="dedupe").start()
    await trial.send(_pains("old", FRESH))
    values = await checker.read_all(trial.bootstrap, trial.topics.touchpoints)
    await produce(trial.bootstrap, trial.topics.touchpoints, values)
    await trial.stitched()
    await trial.shown("14", "dedupe", "more than once")


def _pains(prefix: str, count: int) -> list[tuple[str, bytes]]:
    return [
        (
            f"{prefix}{n}",
            record(
                {"event": "Payment Failed", "properties": {"checkout_id": f"{prefix}-{n}"}}, message_id=f"{prefix}{n}"
            ),
        )
        for n in range(count)
    ]


async def test_partitions_shared_out_anew_again_and_again_lose_and_double_nothing(trial: Trial, make: Make) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=trial.bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({trial.topics.touchpoints: NewPartitions(PARTITIONS)})
    finally:
        await admin.close()
    small = {"PATHLINE_STITCHER_BATCH": "50"}
    steady = [make("stitcher", **small) for _ in range(2)]
    await asyncio.gather(*(program.start() for program in steady))
    sending = asyncio.create_task(trial.send(list(crowd(TOUCHPOINTS, customers=TOUCHPOINTS // 10, seed=23))))
    third = make("stitcher", **small)
    taken = sum((await trial.epochs()).values())
    for turn in range(REBALANCES // 2):
        await third.start()
        await trial.passed(TOUCHPOINTS * (turn + 1) // (REBALANCES // 2 + 1))
        assert await third.end() == 0
    await sending
    await trial.stitched()
    taken = sum((await trial.epochs()).values()) - taken
    what = f"2 and 3 consumers in turn, {REBALANCES} rebalances"
    report = await trial.tell("3", what, f"{taken} times a partition was taken")
    assert report.stored == TOUCHPOINTS


@pytest.mark.parametrize("without", [None, "fence"])
async def test_one_with_a_batch_in_hand_when_partitions_are_shared_out_anew_is_too_late(
    trial: Trial, make: Make, without: str | None
) -> None:
    late = await make("stitcher", without=",".join(filter(None, (without, "late")))).start()
    await trial.send(list(crowd(200, customers=20, seed=24)))
    await late.says(IN_HAND)
    await make("stitcher").start()
    if without is None:
        await trial.stitched()
    else:
        await until(lambda: trial.value("SELECT count(*) > 0 FROM fence_moved_back"), 60)
    if without is None:
        report = await trial.report()
        assert report.findings == [], report.table
    else:
        await trial.shown("3", "the fence", "moved back")
