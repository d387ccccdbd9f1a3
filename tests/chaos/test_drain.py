"""A service that is told to end does so in time whatever the database does, and what it had in hand is done by the next."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import psutil
import pytest

from tests.chaos.conftest import Make
from tests.chaos.trial import Trial
from tests.conftest import Stack
from tests.support.programs import Program
from tests.support.records import record, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

END_SECONDS = 15.0
ORDERS = 1_500
ORDERS_JUDGED = "SELECT count(*) FROM watch w JOIN entity e ON e.id = w.id WHERE e.kind = 'order'"
SMALL_BATCHES = {"PATHLINE_STITCHER_BATCH": "10", "PATHLINE_SCORER_BATCH": "5"}
"""Many transactions, so that the fault comes among them."""


async def _ended(program: Program) -> None:
    started = time.monotonic()
    status = await program.end()
    seconds = time.monotonic() - started
    assert (status, seconds < END_SECONDS) == (0, True), (program.name, status, seconds, program.last_words())


@asynccontextmanager
async def _frozen(stack: Stack) -> AsyncIterator[None]:
    """PostgreSQL takes connections and answers nothing."""
    server = psutil.Process(stack.children["postgres"].pid)
    family = [server, *server.children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):  # one whose client is gone ends as soon as it may
                process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def _killed(stack: Stack) -> AsyncIterator[None]:
    """PostgreSQL is not there."""
    await stack.kill("postgres")
    try:
        yield
    finally:
        await stack.start("postgres")


Fault = Callable[[Stack], AbstractAsyncContextManager[None]]

FAULTS = pytest.mark.parametrize("fault", [_frozen, _killed])


async def _send_orders(trial: Trial) -> None:
    log = []
    for number in range(ORDERS):
        properties = {"order_id": f"order-{number}", "promised_at": "2199-01-01T00:00:00Z"}
        call = {"event": "Order Completed", "userId": f"user-{number % 50}", "properties": properties}
        log.append((f"o{number}", record(call, message_id=f"o{number}")))
    await trial.send(log)


def _more_than(trial: Trial, table: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def passed() -> bool:
        return bool(await trial.value(f"SELECT count(*) > $1 FROM {table}", count))

    return passed


@FAULTS
async def test_a_stitcher_whose_database_went_away_ends_and_the_next_one_stitches_what_it_had(
    trial: Trial, make: Make, stack: Stack, fault: Fault
) -> None:
    stitcher = await make("stitcher", **SMALL_BATCHES).start()
    await _send_orders(trial)
    await until(_more_than(trial, "seen", 50), 60)
    async with fault(stack):
        await _ended(stitcher)
    assert await trial.value("SELECT count(*) FROM seen") < ORDERS
    await make("stitcher").start()
    await trial.stitched()
    report = await trial.report()
    assert report.findings == [], report.table
    assert report.stored == ORDERS


@FAULTS
async def test_a_scorer_whose_database_went_away_ends_and_the_next_one_judges_what_it_had(
    trial: Trial, make: Make, stack: Stack, fault: Fault
) -> None:
    await make("stitcher").start()
    await _send_orders(trial)
    await trial.stitched()
    scorer = await make("scorer", **SMALL_BATCHES).start()
    await until(_more_than(trial, "watch", 0), 60)
    async with fault(stack):
        await _ended(scorer)
    assert await trial.value(ORDERS_JUDGED) < ORDERS
    await make("scorer").start()
    await trial.judged()
    assert await trial.value(ORDERS_JUDGED) == ORDERS


@FAULTS
async def test_a_console_and_a_collector_whose_database_went_away_end(
    trial: Trial, make: Make, stack: Stack, fault: Fault
) -> None:
    programs = [make("ingest"), make("console")]
    await asyncio.gather(*(program.start() for program in programs))
    assert trial.sent == {}
    async with fault(stack):
        await asyncio.gather(*(_ended(program) for program in programs))


@FAULTS
async def test_services_that_never_had_their_database_end(
    make: Make, topics: object, stack: Stack, fault: Fault
) -> None:
    assert topics
    programs = [make(name) for name in ("ingest", "stitcher", "scorer", "console")]
    async with fault(stack):
        for program in programs:
            program.spawn()
        await asyncio.gather(*(program.speaks() for program in programs))
        await asyncio.gather(*(_ended(program) for program in programs))
