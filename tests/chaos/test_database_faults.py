"""PostgreSQL that ends sessions, is killed, is cut off at COMMIT, or has no room left: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.chaos.conftest import Make
from tests.chaos.tally import of
from tests.chaos.trial import Trial
from tests.conftest import Stack
from tests.support import postgres_proxy
from tests.support.crowd import crowd
from tests.support.records import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

BACKENDS_ENDED = of(3, 20)
SERVER_KILLED = of(1, 5)
COMMITS_CUT = of(6, 100)
ROOMLESS = of(300, 1_000)
HALVES = 12
"""Sessions ended where one in the middle of a batch is looked for: nearly each is, and one is enough."""
TOUCHPOINTS = of(1_500, 40_000)
SMALL_BATCHES = {"PATHLINE_STITCHER_BATCH": "50", "PATHLINE_SCORER_BATCH": "50"}
"""Many transactions, so that faults come among them."""

_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name LIKE 'pathline%' AND datname = current_database()
"""


async def _more_seen(trial: Trial, count: int) -> None:
    """Wait until so many more touchpoints are stitched than now, or all are."""
    now = await trial.value("SELECT count(*) FROM seen")
    await trial.passed(min(now + count, TOUCHPOINTS))


async def test_sessions_that_are_ended_and_a_server_that_is_killed_lose_and_double_nothing(
    trial: Trial, make: Make, stack: Stack
) -> None:
    programs = [make(name, **SMALL_BATCHES) for name in ("stitcher", "scorer")]
    await asyncio.gather(*(program.start() for program in programs))
    sending = asyncio.create_task(trial.send(list(crowd(TOUCHPOINTS, customers=TOUCHPOINTS // 10, seed=7))))
    each = TOUCHPOINTS // (BACKENDS_ENDED + SERVER_KILLED + 1)
    ended = 0
    for _ in range(BACKENDS_ENDED):
        await _more_seen(trial, each)
        ended += await trial.value(_END_SESSIONS)
    for _ in range(SERVER_KILLED):
        await _more_seen(trial, each)
        await stack.kill("postgres")
        await stack.start("postgres")
    await sending
    await trial.judged()
    assert all(program.running for program in programs), "no service needs a restart"
    what = f"sessions of PostgreSQL ended {BACKENDS_ENDED} times, the server killed {SERVER_KILLED} times"
    report = await trial.tell("7", what, f"{ended} sessions")
    assert report.stored == TOUCHPOINTS


async def test_without_transactions_the_checker_finds_what_an_ended_session_had_half_written(
    trial: Trial, make: Make
) -> None:
    await make("stitcher", without="transaction", **SMALL_BATCHES).start()
    await trial.send(list(crowd(TOUCHPOINTS, customers=TOUCHPOINTS // 10, seed=7)))
    for _ in range(HALVES):
        await _more_seen(trial, TOUCHPOINTS // (HALVES + 1))
        await trial.value(_END_SESSIONS)
    await trial.stitched()
    await trial.shown("7", "transactions")


@pytest.mark.parametrize("without", [None, "dedupe"])
async def test_a_connection_cut_at_commit_loses_and_doubles_nothing(
    trial: Trial, make: Make, without: str | None
) -> None:
    async with postgres_proxy.before(trial.dsn) as proxy:
        cuts = COMMITS_CUT if without is None else 6
        stitcher = make("stitcher", without=without, PATHLINE_DATABASE_URL=proxy.dsn, **SMALL_BATCHES)
        await stitcher.start()
        log = list(crowd(TOUCHPOINTS if without is None else 500, customers=100, seed=8))
        proxy.cuts = cuts
        await trial.send(log)

        async def all_cut() -> bool:
            return proxy.cuts == 0

        await until(all_cut, of(100, 900))
        await trial.stitched()
        assert (proxy.before + proxy.after, abs(proxy.before - proxy.after) <= 1) == (cuts, True)
        assert stitcher.running
        if without is None:
            await trial.tell(
                "8", f"cut at COMMIT {cuts} times", f"{proxy.before} before the server heard it, {proxy.after} after"
            )
        else:
            await trial.shown("8", "dedupe")
        await stitcher.end()


_FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
END $$;
CREATE TRIGGER no_room BEFORE INSERT ON touchpoint FOR EACH STATEMENT EXECUTE FUNCTION no_room();
"""
"""What PostgreSQL says of a full disk (disk_full), said by itself: to fill one takes rights that a test should not need."""


async def test_a_database_without_room_is_waited_for(trial: Trial, make: Make) -> None:
    stitcher = await make("stitcher", **SMALL_BATCHES).start()
    async with trial.db() as db:
        await db.execute(_FULL)
    await trial.send(list(crowd(ROOMLESS, customers=100, seed=9)))
    await until(_says(stitcher.address, "database"), 60)
    assert await trial.value("SELECT count(*) FROM dead_letter") == 0, "it is no fault of the touchpoints"
    async with trial.db() as db:
        await db.execute("DROP FUNCTION no_room CASCADE")
    await trial.stitched()
    await stitcher.ready()
    report = await trial.tell("15", "disk full under PostgreSQL", "not ready, then all stitched without a restart")
    assert report.stored == ROOMLESS


async def test_without_waiting_good_touchpoints_become_dead_letters(trial: Trial, make: Make) -> None:
    await make("stitcher", without="waiting", **SMALL_BATCHES).start()
    async with trial.db() as db:
        await db.execute(_FULL)
    await trial.send(list(crowd(100, customers=100, seed=9)))
    await trial.stitched()
    letters = await trial.value("SELECT count(*) FROM dead_letter")
    trial.found("15", "waiting for room", letters, "good touchpoints are dead letters")


def _says(address: str, part: str) -> Callable[[], Awaitable[bool]]:
    async def says() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            return part in (await client.get(f"http://{address}/health/ready")).json()["reasons"]

    return says
