"""Invariants 4 and 5 under faults: a cause alerts once, a deadline is kept, and not before the answer was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pathline.domain.alerts import Resolve
from pathline.storage import alerts, fences
from tests.chaos import tally
from tests.chaos.conftest import Make
from tests.chaos.trial import Log, Trial
from tests.support.records import record, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ORDERS = tally.of(300, 1_000)
LATE = "late_vs_promise"
_EPISODES = "SELECT count(*) FROM alert WHERE detector = $1"
_TWICE = """
SELECT count(*) FROM (
    SELECT detector, entity_id, cause FROM alert CROSS JOIN json_array_elements_text(why) AS cause
    GROUP BY detector, entity_id, cause HAVING count(*) > 1
) AS twice
"""


def orders(until_promised: timedelta, count: int = ORDERS) -> tuple[datetime, Log]:
    """The end of the promise, and so many orders with it."""
    end = datetime.now(UTC) + until_promised
    log = []
    for number in range(count):
        properties = {"order_id": f"order-{number}", "promised_at": end.isoformat()}
        call = {"event": "Order Completed", "userId": f"user-{number}", "properties": properties}
        log.append((f"o{number}", record(call, message_id=f"o{number}")))
    return end, log


def deliveries(numbers: Iterable[int]) -> Log:
    """All of these orders arrive now."""
    log = []
    for number in numbers:
        properties = {"order_id": f"order-{number}", "status": "delivered"}
        log.append(
            (f"d{number}", record({"event": "Shipment Scanned", "properties": properties}, message_id=f"d{number}"))
        )
    return log


async def the_clock_is_past(trial: Trial, end: datetime, seconds: int) -> None:
    """Wait until the database's clock is so far past the end."""

    async def passed() -> bool:
        return bool(await trial.value("SELECT clock_timestamp() > $1", end + timedelta(seconds=seconds)))

    await until(passed, 60)


async def test_a_scorer_killed_over_pending_deadlines_fires_each_once(trial: Trial, make: Make) -> None:
    await make("stitcher").start()
    first = await make("scorer").start()
    end, log = orders(timedelta(seconds=12))
    await trial.send(log)
    await trial.judged()
    first.kill()
    assert await trial.value(_EPISODES, LATE) == 0
    assert await trial.value("SELECT count(*) FROM watch WHERE due_at = $1", end) == ORDERS
    await the_clock_is_past(trial, end, 0)
    # Small transactions, so that the second one dies among them.
    second = await make("scorer", PATHLINE_SCORER_DUE_BATCH="5").start()

    async def some_fired() -> bool:
        return bool(await trial.value(_EPISODES, LATE) > 0)

    await until(some_fired)
    second.kill()
    await make("scorer").start()

    async def all_fired() -> bool:
        return bool(await trial.value(_EPISODES, LATE) >= ORDERS)

    await until(all_fired)
    assert await trial.value("SELECT count(DISTINCT entity_id) FROM alert WHERE detector = $1", LATE) == ORDERS
    assert await trial.value(_EPISODES, LATE) == ORDERS
    assert await trial.value("SELECT count(*) FROM alert WHERE detector = $1 AND opened_at <> $2", LATE, end) == 0
    await trial.tell(
        "13", f"a scorer killed over {ORDERS:,} deadlines, and again among their firing", "each fired once"
    )


async def _answers_wait_in_kafka(trial: Trial, make: Make, without: str | None) -> int:
    """The stitcher stops, every order is delivered in time, the promise ends; returns how many alerts were raised."""
    stitcher = await make("stitcher").start()
    await make("scorer", without=without).start()
    end, log = orders(timedelta(seconds=15), 50)
    await trial.send(log)
    await trial.judged()
    assert await stitcher.end() == 0
    await trial.send(deliveries(range(50)))
    assert datetime.now(UTC) < end
    await the_clock_is_past(trial, end, 3)
    await make("stitcher").start()
    await trial.judged()
    through = await trial.value("SELECT clock_timestamp()")

    async def read_past_now() -> bool:
        async with trial.db() as db:
            least = await fences.least_through(db, trial.topics.touchpoints)
        return least is not None and least > through

    await until(read_past_now)
    raised: int = await trial.value(_EPISODES, LATE)
    return raised


async def test_a_stitcher_stopped_while_the_answers_wait_in_kafka_causes_no_false_alert(
    trial: Trial, make: Make
) -> None:
    assert await _answers_wait_in_kafka(trial, make, None) == 0
    await trial.tell("13b", "a stitcher stopped while the answers to 50 deadlines wait in Kafka", "none fired")


async def test_without_through_the_checker_finds_false_alerts(trial: Trial, make: Make) -> None:
    raised = await _answers_wait_in_kafka(trial, make, "through")
    trial.found("13b", "`through`", raised, "false alerts")


_CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.shift AS SELECT interval '0' AS by;
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
    'SELECT pg_catalog.clock_timestamp() + by FROM clock.shift';
"""
HOUR = timedelta(hours=1)
_BACK_AND_FORTH = """
SELECT count(*) FROM alert_event e JOIN alert a ON a.id = e.alert_id
WHERE a.detector = $1 AND e.kind IN ('resolved', 'reopened')
"""


async def _a_clock_that_can_be_set(trial: Trial) -> None:
    """For every session from now on, the database's clock is one that `_shift` sets."""
    async with trial.db() as db:
        await db.execute(_CLOCK)
        name = await db.fetchval("SELECT current_database()")
        await db.execute(f'ALTER DATABASE "{name}" SET search_path = clock, pg_catalog, public')


async def _shift(trial: Trial, by: timedelta) -> None:
    """Set the clock, and wait until scorers have judged by it, and by nothing that was read before."""
    async with trial.db() as db:
        await db.execute("UPDATE clock.shift SET by = $1", by)
        now = await fences.clock(db)

    async def read_by_it() -> bool:
        async with trial.db() as db:
            through = await fences.least_through(db, trial.topics.touchpoints)
        # Where the clock went back, what was read by the other one lies ahead of it.
        return through is not None and now < through < now + HOUR / 2

    await until(read_by_it)


async def _the_clock_jumps(trial: Trial, make: Make, without: str | None) -> int:
    """An hour back over some deadlines, an hour ahead of others, and back; how often an alert changed its mind."""
    await _a_clock_that_can_be_set(trial)
    await make("stitcher").start()
    await make("scorer", without=without).start()
    await _shift(trial, -HOUR)
    # What was due a minute ago, but not by this clock.
    _, soon = orders(-timedelta(minutes=1), 50)
    await trial.send(soon)
    half, _ = orders(HOUR / 2)
    for number, promised in ((100, half), (101, half + 2 * HOUR)):
        properties = {"order_id": f"order-{number}", "promised_at": promised.isoformat()}
        call = {"event": "Order Completed", "userId": f"user-{number}", "properties": properties}
        await trial.send([(f"o{number}", record(call, message_id=f"o{number}"))])
    await trial.judged()
    assert await trial.value(_EPISODES, LATE) == 0

    def fired(count: int) -> Callable[[], Awaitable[bool]]:
        async def so_many() -> bool:
            return bool(await trial.value(_EPISODES, LATE) == count)

        return so_many

    await _shift(trial, timedelta())
    await until(fired(len(soon)))
    for by in (HOUR, timedelta(), HOUR, timedelta()):
        await _shift(trial, by)
        await until(fired(len(soon) + 1))
        # Whatever is due by this clock is judged: one that a touchpoint asks for, last of all.
        number = await trial.value("SELECT count(*) FROM seen")
        failed = {"event": "Payment Failed", "properties": {"order_id": "order-100", "checkout_id": f"c{number}"}}
        await trial.send([(f"p{number}", record(failed, message_id=f"p{number}"))])
        await trial.judged()
    assert await trial.value(_TWICE) == 0
    changed: int = await trial.value(_BACK_AND_FORTH, LATE)
    return changed


async def test_a_clock_that_jumps_back_and_ahead_fires_each_deadline_once(trial: Trial, make: Make) -> None:
    assert await _the_clock_jumps(trial, make, None) == 0
    assert await trial.value("SELECT count(DISTINCT (entity_id, opened_at)) FROM alert WHERE detector = $1", LATE) == 51
    measured = "none early by that clock, 51 fired once, none resolved when it went back"
    await trial.tell("12", "the database's clock an hour back, an hour ahead and back, twice", measured)


async def test_without_what_has_fired_staying_due_a_clock_that_goes_back_resolves_it(trial: Trial, make: Make) -> None:
    changed = await _the_clock_jumps(trial, make, "fired")
    trial.found("12", "what has fired staying due", changed, "times an alert was resolved or opened again by the clock")


async def _everything_is_judged_again(trial: Trial, make: Make, without: str | None) -> int:
    """Alerts are resolved by hand, then all hints are read once more; returns the causes that alerted twice."""
    await make("stitcher").start()
    scorer = await make("scorer", without=without).start()
    failed = [
        (f"p{n}", record({"event": "Payment Failed", "properties": {"checkout_id": f"c{n}"}}, message_id=f"p{n}"))
        for n in range(20)
    ]
    await trial.send(failed)
    await trial.judged()

    async def all_alerted() -> bool:
        return bool(await trial.value(_EPISODES, "payment_failed") == len(failed))

    await until(all_alerted)
    async with trial.db() as db:
        ids: list[UUID] = [row["id"] for row in await db.fetch("SELECT id FROM alert")]
        for one in ids:
            async with db.transaction():
                await alerts.move(db, one, Resolve("fixed"), "somebody", await fences.clock(db))
    assert await scorer.end() == 0
    async with trial.db() as db:
        await db.execute("UPDATE fence SET next_offset = 0 WHERE topic = $1", trial.topics.journeys)
    await make("scorer", without=without).start()
    await trial.judged()
    twice: int = await trial.value(_TWICE)
    return twice


async def test_hints_read_again_alert_nobody_again(trial: Trial, make: Make) -> None:
    assert await _everything_is_judged_again(trial, make, None) == 0


async def test_without_the_cause_key_the_checker_finds_causes_that_alerted_twice(trial: Trial, make: Make) -> None:
    twice = await _everything_is_judged_again(trial, make, "cause_key")
    trial.found("13", "the cause key", twice, "causes alerted twice when the hints were read again")
