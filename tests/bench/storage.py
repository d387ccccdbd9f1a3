"""What the tables cost: bytes, log and vacuum a touchpoint, and whether a touchpoint costs more with more customers.

Databases with few and with many customers, of whom the same few are active, get the same traffic in turn. All of it is
the stitcher's own code in this process, on one connection.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
import msgspec

from pathline.domain.identifiers import Identifier
from pathline.storage import customers as whole
from pathline.storage import migrate, partitions, touchpoints
from tests.bench import population
from tests.bench.figures import Figure, at_most
from tests.bench.platform import ROOT
from tests.bench.stitching import Cost, Stitching
from tests.bench.traffic import records

if TYPE_CHECKING:
    from tests.bench.platform import Platform

PLOT: Final = ROOT / "scripts" / "plot_customers.py"
BATCH: Final = 1_000
ACTIVE: Final = 10_000
POPULATIONS: Final = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK: Final = (10_000, 100_000)
ROUNDS: Final = 5
WARM_BATCHES: Final = 20
"""Of each turn, unmeasured: the other databases had the cache meanwhile."""

MEASURED_BATCHES: Final = 20
HEAVY: Final = 100_000
"""Touchpoints of one customer."""

SINGLES: Final = 400
READINGS: Final = 30
MAX_GROWTH: Final = 1.5
MAX_HEAVY: Final = 2.0
HOT_TABLES: Final = ("strand", "entity", "identifier")

_UPDATES: Final = """
SELECT relname, n_tup_upd AS updated, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = ANY($1::text[])
"""
_BYTES: Final = """
SELECT coalesce(sum(pg_relation_size(relid)), 0)::bigint AS heap, coalesce(sum(pg_indexes_size(relid)), 0)::bigint AS keys
FROM (SELECT relid FROM pg_partition_tree($1::text::regclass) UNION SELECT $1::text::regclass) AS part
"""


class Place(msgspec.Struct):
    """A database with so many customers."""

    customers: int
    db: Any
    stitching: Stitching
    costs: list[Cost] = []


async def run(
    platform: Platform,
    *,
    populations: Sequence[int] = POPULATIONS,
    rounds: int = ROUNDS,
    heavy: int = HEAVY,
    batches: int = MEASURED_BATCHES,
    out: Path | None = None,
) -> list[Figure]:
    """Make the databases, give each its turns, and hold the most populous against the least."""
    places = [await _place(platform, count, batches) for count in _that_fit(platform, populations)]
    try:
        for turn in range(rounds):
            for place in places:
                values = records((WARM_BATCHES + batches) * BATCH, customers=ACTIVE, seed=2 + turn)
                costs = [await place.stitching.batch(some) for some in _batches(values)]
                place.costs += costs[WARM_BATCHES:]
        growth = _growth(places)
        figures = [*growth, *await _log(places[0], batches), *await _bytes(places)]
        figures += await _heavy(places[0], heavy)
    finally:
        for place in places:
            await place.db.close()
    if out is not None:
        _draw([_point(place) for place in places], out)
    return figures


def _draw(points: list[dict[str, float]], out: Path) -> None:
    data, image = out / "customers.json", out / "customers.svg"
    data.write_bytes(msgspec.json.format(msgspec.json.encode({"populations": points})) + b"\n")
    subprocess.run([sys.executable, PLOT, data, image], check=True)


def _that_fit(platform: Platform, populations: Sequence[int]) -> list[int]:
    """Those that the disk has room for, beside each other."""
    free, fit = shutil.disk_usage(platform.home).free, []
    for count in populations:
        free -= count * population.BYTES_A_CUSTOMER
        if free > 0:
            fit.append(count)
    return fit


async def _place(platform: Platform, count: int, batches: int) -> Place:
    name = f"customers_{count}"
    server = await asyncpg.connect(platform.dsn)
    await server.execute(f'CREATE DATABASE "{name}"')
    await server.close()
    dsn = platform.postgres.dsn(name)
    await migrate.upgrade(dsn)
    db = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"}, command_timeout=3_600)
    await partitions.ensure(db, datetime.now(UTC))
    stitching = await Stitching.make(db)
    for some in _batches(records(max(batches, 4) * BATCH, customers=ACTIVE, seed=1)):
        await stitching.batch(some)
    if count > ACTIVE:
        await population.grow(db, count - ACTIVE)
    await population.settle(db)
    return Place(count, db, stitching)


def _batches(values: Sequence[bytes], size: int = BATCH) -> list[Sequence[bytes]]:
    return [values[first : first + size] for first in range(0, len(values), size)]


def _point(place: Place) -> dict[str, float]:
    return {
        "customers": place.customers,
        "busy_microseconds": round(mean(cost.busy for cost in place.costs), 1),
        "elapsed_microseconds": round(median(cost.elapsed for cost in place.costs), 1),
    }


def _growth(places: Sequence[Place]) -> list[Figure]:
    few = _point(places[0])
    figures = []
    for place in places[1:]:
        many = _point(place)
        for name, said in (
            (
                "busy_microseconds",
                f"a touchpoint with {place.customers:,} customers, {ACTIVE:,} active: processor time",
            ),
            ("elapsed_microseconds", "the same: from bytes to commit, median batch"),
        ):
            ratio = many[name] / few[name]
            figure = Figure(name=said, value=many[name], unit="µs", limit=few[name], ratio=ratio)
            if place is places[-1]:
                verdict = at_most(ratio, MAX_GROWTH, f"times that with {places[0].customers:,}")
                figure = msgspec.structs.replace(figure, **verdict)
            figures.append(figure)
    return figures


async def _log(place: Place, batches: int) -> list[Figure]:
    """Bytes of WAL a touchpoint, in the long run and right after a checkpoint, and how many updates touch no index."""
    db = place.db
    values = _batches(records(2 * batches * BATCH, customers=ACTIVE, seed=777_000))
    await db.execute("CHECKPOINT")
    after, hot = await _written(db, place, values[:batches])
    steady, _ = await _written(db, place, values[batches:])
    figures = [
        Figure(name="WAL a touchpoint, right after a checkpoint", value=after, unit="bytes"),
        Figure(name=f"WAL a touchpoint, {batches * BATCH:,} touchpoints later", value=steady, unit="bytes"),
    ]
    for table in HOT_TABLES:
        updated, of_these = hot[table]
        share = 100 * of_these / max(updated, 1)
        name = f"updates of `{table}` that touch no index (HOT), of {updated:,}"
        figures.append(Figure(name=name, value=share, unit="%"))
    return figures


async def _written(
    db: Any, place: Place, batches: Sequence[Sequence[bytes]]
) -> tuple[float, dict[str, tuple[int, int]]]:
    before, started = await _updates(db), await db.fetchval("SELECT pg_current_wal_insert_lsn()")
    for some in batches:
        await place.stitching.batch(some)
    written = await db.fetchval("SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint", started)
    now = await _updates(db)
    count = sum(map(len, batches))
    return written / count, {
        table: (now[table][0] - before[table][0], now[table][1] - before[table][1]) for table in now
    }


async def _updates(db: Any) -> dict[str, tuple[int, int]]:
    await db.execute("SELECT pg_stat_force_next_flush()")
    await db.execute("SELECT pg_stat_clear_snapshot()")
    return {row["relname"]: (row["updated"], row["hot"]) for row in await db.fetch(_UPDATES, list(HOT_TABLES))}


async def _bytes(places: Sequence[Place]) -> list[Figure]:
    """Bytes of tables and indexes, of a touchpoint and of a customer."""
    db, figures = places[0].db, []
    for table in ("touchpoint", "seen"):
        size = await db.fetchrow(_BYTES, table)
        rows = await db.fetchval(f"SELECT count(*) FROM {table}")
        name = f"bytes of `{table}` a touchpoint, table and index"
        figures.append(Figure(name=name, value=(size["heap"] + size["keys"]) / rows, unit="bytes"))
    most = places[-1]
    heap = keys = 0
    for table in HOT_TABLES:
        size = await most.db.fetchrow(_BYTES, table)
        heap, keys = heap + size["heap"], keys + size["keys"]
    return [
        *figures,
        Figure(name="bytes of tables a customer", value=heap / most.customers, unit="bytes"),
        Figure(name="bytes of indexes a customer", value=keys / most.customers, unit="bytes"),
    ]


async def _heavy(place: Place, count: int) -> list[Figure]:
    """One customer with so many touchpoints against the others, one touchpoint at a time, in turn."""
    heavy = records(count, customers=1, seed=888_000)
    for some in _batches(heavy):
        await place.stitching.batch(some)
    usual = records(SINGLES, customers=ACTIVE, seed=999_000)
    more = records(SINGLES, customers=1, seed=999_001)
    pairs = [
        (await place.stitching.batch([one]), await place.stitching.batch([many]))
        for one, many in zip(usual, more, strict=True)
    ]
    one, many = (median(pair[place].elapsed for pair in pairs) for place in (0, 1))
    known = "SELECT id FROM identifier WHERE kind = 'user_id' AND value LIKE 'user-_%' AND value <> 'user-0' LIMIT $1"
    others = [row["id"] for row in await place.db.fetch(known, READINGS)]
    much = Identifier("default", "user_id", "user-0").id
    reading = [(await _read(place.db, other), await _read(place.db, much)) for other in others]
    page, long_page = (1_000 * median(pair[place] for pair in reading) for place in (0, 1))
    return [
        Figure(
            name=f"a touchpoint of a customer with {count:,}, alone in its batch", value=many, unit="µs", limit=one,
            ratio=many / one, **at_most(many / one, MAX_HEAVY, "times the usual"),
        ),
        Figure(
            name=f"reading a customer with {count:,}, and the newest 100", value=long_page, unit="ms", limit=page,
            ratio=long_page / page,
        ),
    ]  # fmt: skip


async def _read(db: Any, one: UUID) -> float:
    """Seconds that it takes."""
    started = asyncio.get_running_loop().time()
    root = await whole.resolve(db, one)
    assert root is not None
    found = await whole.whole(db, root)
    await touchpoints.newest(db, found.subjects, None, 100)
    return asyncio.get_running_loop().time() - started
