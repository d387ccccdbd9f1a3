"""Every statement of the stores reads by a key or an index, as much of it as was asked for, on a hundred thousand of each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from pathline.storage import partitions
from pathline.storage.tables import metadata
from tests.bench.platform import ROOT
from tests.support import plans
from tests.support.statements import APART, CALLS, World, called, functions

pytestmark = pytest.mark.integration

CUSTOMERS = 100_000
MAY: dict[str, tuple[str, ...]] = {
    # Counts, each with an end: of what is alive, waits for a deadline, or waits for an endpoint that is away.
    "inbox.counts": ("alert_open_episode",),
    "inbox.others": ("alert", "alert_open_episode", "alert_shown_state"),
    "judgements.alive_by_detector": ("alert_open_episode",),
    "watch.due": ("watch",),
    "outbox.depths": ("outbox",),
}
"""What a call may read for the reason beside it; a word of the fault."""


@pytest.fixture(scope="module")
def seeded(database: str) -> str:
    """The module's database, filled."""

    async def fill() -> None:
        db = await asyncpg.connect(database, command_timeout=300)
        await partitions.ensure(db, datetime.now(UTC))
        await plans.seed(db, CUSTOMERS)
        await db.close()

    asyncio.run(fill())
    return database


def test_every_function_of_the_stores_is_called_here_or_stands_apart_with_a_reason() -> None:
    known = {name.split(" ")[0] for name in CALLS}
    apart = {name for name in functions() if name in APART or name.split(".")[0] in APART}
    assert functions() - known - apart == set()
    assert known - functions() == set()
    assert {
        name for name in APART if name not in functions() and not any(f.startswith(f"{name}.") for f in functions())
    } == set()


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_it_reads_by_an_index_what_it_was_asked_for(seeded: str, name: str) -> None:
    db: asyncpg.Connection[Any] = await asyncpg.connect(seeded)
    try:
        statements, small = await called(db, await World.look(db), name), await plans.small(db)
        said = {
            fault
            for sql, values in statements.items()
            for found in (await plans.parts(db, sql, values), await plans.kept(db, sql, values))
            for fault in plans.faults(found, small)
            if not set(MAY.get(name, ())) & set(fault.split())
        }
    finally:
        await db.close()
    assert said == set()


async def test_a_statement_that_scans_is_found(seeded: str) -> None:
    db = await asyncpg.connect(seeded)
    try:
        scans = await plans.parts(db, "SELECT FROM identifier WHERE value = $1", ("customer-000000007",))
        walks = await plans.parts(db, "SELECT id FROM strand ORDER BY id", ())
        sorts = await plans.parts(
            db, "SELECT id FROM alert WHERE detector = ANY($1) ORDER BY updated_at LIMIT 1", (["d1"],)
        )
    finally:
        await db.close()
    assert plans.faults(scans, set()) == ["identifier is scanned"]
    assert plans.faults(walks, set())
    assert plans.faults(sorts, set())


def test_the_page_says_of_each_table_what_bounds_it() -> None:
    page = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
    told = page.split("## What bounds each table", 1)[1].split("\n## ", 1)[0]
    assert [name for name in metadata.tables if f"`{name}`" not in told] == []
