"""Faults of identity: eight stitchers that join the same names at once, and a name that thousands of others hang on."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.identifiers import name_id
from pathline.domain.people import MAX_STRANDS
from pathline.kit.database import create_pool
from pathline.storage import codec, people
from tests.chaos import tally
from tests.integration.test_people_workers import WORKERS, check, link, together
from tests.support.checker import Report
from tests.support.people import Stitcher, browses, doubled
from tests.unit.domain.oracle import Oracle

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

Pool: TypeAlias = "asyncpg.Pool[Any]"

LINKS = tally.of(2_000, 10_000)
MOST = tally.of(20, 120)
"""Records of a batch: each stitcher has enough batches for its transactions to be broken off."""
FEW_LINKS = 2_000
HANGERS_ON = tally.of(1_000, 5_000)
OTHERS = tally.of(50, 500)
MEANWHILE_SECONDS = 0.02


@pytest.fixture
async def wide(dsn: str) -> AsyncIterator[Pool]:
    """A pool with a connection for each stitcher."""
    pool = await create_pool(dsn, min_size=WORKERS, max_size=WORKERS + 2, application_name="test")
    yield pool
    await pool.close()


async def test_8_stitchers_over_random_links_give_the_oracles_customers(
    wide: Pool, pytestconfig: pytest.Config
) -> None:
    chance, run = random.Random(8), uuid4().hex[:8]
    values = [link(chance).record(run) for _ in range(LINKS)]
    told = doubled(values, chance)
    refused = await together(wide, run, told, MOST)
    read = [to_touchpoint(accepted.decode(value)) for value in values if value not in refused]
    report = Report(Counter(ok=LINKS), await wide.fetchval("SELECT count(*) FROM touchpoint"), len(refused))
    if report.stored != len(read):
        report.findings.append(f"{len(read):,} touchpoints should be stored")
    await check(wide, run, Oracle(read))
    what = f"{WORKERS} stitchers over {LINKS:,} random links, half of them doubled, every fifth transaction broken off"
    tally.tell(pytestconfig, "10", what, report, "customers, owners and counts are the oracle's")


async def test_without_locks_of_names_the_oracle_finds_who_was_joined_wrongly(
    wide: Pool, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = asyncpg.Connection.fetch

    async def unlocked(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if " FOR UPDATE" not in query or "FROM identifier" not in query:
            return await fetch(self, query, *args, **more)
        rows = await fetch(self, query.replace(" FOR UPDATE", ""), *args, **more)
        await asyncio.sleep(MEANWHILE_SECONDS)
        return rows

    monkeypatch.setattr(asyncpg.Connection, "fetch", unlocked)
    chance, run = random.Random(9), uuid4().hex[:8]
    # Each link beats those before it, and several stitchers have the same name in hand.
    log = sorted((link(chance, 15) for _ in range(FEW_LINKS)), key=lambda one: one.minutes, reverse=True)
    values = [one.record(run) for one in log]
    refused = await together(wide, run, values, 6)
    oracle = Oracle([to_touchpoint(accepted.decode(value)) for value in values if value not in refused])
    monkeypatch.undo()
    wrong = await _wrongly_joined(wide, oracle)
    tally.shown(pytestconfig, "10", "locks of names", wrong)


async def _wrongly_joined(pool: Pool, oracle: Oracle) -> list[str]:
    """The names that have not the parent, or not the next best one, that the oracle gives them."""
    rows = await pool.fetch("SELECT id, kind, value, pointer FROM identifier")
    names = {row["id"]: (row["kind"], row["value"]) for row in rows}
    wrong = []
    for row in rows:
        name, pointer = names[row["id"]], codec.pointer(row["pointer"])
        best = None if pointer is None else (names[pointer.best.target], pointer.best.rank[1] == 0)
        after = None if pointer is None or pointer.runner_up is None else names[pointer.runner_up.target]
        if (best, after) != (oracle.kept_parent(name), oracle.runner_up(name)):
            wrong.append(f"{name[0]} {name[1]} has other parents than the oracle's")
    return wrong


async def _many_hang_on_one(pool: Pool) -> tuple[list[str], float, float]:
    """What is wrong once thousands hang on one user, and the slowest hundredth of others' touchpoints before and since."""
    run = uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()

    async def slowest(others: str) -> float:
        seconds = []
        for number in range(OTHERS):
            began = time.perf_counter()
            await stitcher.tell(
                [browses(number, "page", userId=f"{others}{number}", anonymousId=f"a{others}{number}").record(run)]
            )
            seconds.append(time.perf_counter() - began)
        return sorted(seconds)[-max(1, OTHERS // 100)]

    before = await slowest("before")
    log = [browses(n, "page", userId="hoarder", anonymousId=f"v{n}").record(run) for n in range(HANGERS_ON)]
    values = doubled(log, random.Random(11))
    for start in range(0, len(values), 1_000):
        await stitcher.tell(values[start : start + 1_000])
    since = await slowest("since")
    wrong = []
    async with pool.acquire() as db:
        hoarder = name_id(run, "user_id", "hoarder")
        every = [name_id(run, "anonymous_id", f"v{n}") for n in range(HANGERS_ON)]
        if set((await people.roots_of(db, every)).values()) != {hoarder}:
            wrong.append("some belong to nobody")
        family = await people.family(db, hoarder)
        if not family.truncated or len(family.people) != MAX_STRANDS:
            wrong.append(f"a journey joins {len(family.people):,} names")
        other = await people.family(db, name_id(run, "user_id", "since0"))
        if other.truncated or {one.identifier.value for one in other.people.values()} != {"since0", "asince0"}:
            wrong.append("another customer is not as it was told")
    return wrong, before, since


async def test_thousands_of_ids_onto_one_user_are_joined_up_to_the_limit(
    wide: Pool, pytestconfig: pytest.Config
) -> None:
    wrong, before, since = await _many_hang_on_one(wide)
    sent = HANGERS_ON + 2 * OTHERS
    report = Report(Counter(ok=sent), await wide.fetchval("SELECT count(*) FROM touchpoint"), findings=wrong)
    what = f"{HANGERS_ON:,} anonymous ids onto one user"
    measured = (
        f"a journey joins {MAX_STRANDS}; others' p99 {before * 1_000:.0f} ms before, {since * 1_000:.0f} ms since"
    )
    tally.tell(pytestconfig, "11", what, report, measured)
    assert report.stored == sent


async def test_without_the_limit_a_journey_joins_them_all(
    wide: Pool, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MAX_STRANDS", 1_000_000)
    wrong, _, _ = await _many_hang_on_one(wide)
    tally.shown(pytestconfig, "11", "the limit", wrong)
