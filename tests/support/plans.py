"""Plans of statements: what they read, by which index, and what that says about a table that is a thousand times larger.

`python -m tests.support.plans` makes a million customers and writes what it finds into docs/storage.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from pathline.storage import partitions
from tests.bench import population
from tests.bench.platform import ROOT, running
from tests.bench.report import between
from tests.bench.stitching import Stitching
from tests.bench.storage import ACTIVE
from tests.bench.traffic import records
from tests.support.statements import CALLS, World, called

if TYPE_CHECKING:
    from pathline.storage.connection import Db

PAGE: Final = ROOT / "docs" / "storage.md"

GROWS: Final = re.compile(
    r"^(touchpoint|seen|identifier|strand|entity|alert|alert_cause|alert_event|watch|dead_letter|outbox|user_join)(_.*)?$"
)
"""Tables of which there is a row for each customer, touchpoint, thing or pain, and their partitions."""

MOST_ROWS: Final = 2_000
"""That a part of a plan may read, or sort, for calls with twenty ids and pages of a hundred."""

PLANNING_COST: Final = 10
"""What PostgreSQL adds to a plan for the values at hand, at least, as planning costs too."""

SMALL: Final = 20_000

_MADE: Final = """
INSERT INTO alert (id, detector, entity_id, story_id, namespace, entity_kind, entity_value, severity, state, title, ease,
    episode, why, opened_at, updated_at)
SELECT md5('alert' || place)::uuid, 'd' || place % 6, id, id, 'default', 'order', value, 'high',
    CASE WHEN place % 50 = 0 THEN 'open' ELSE 'resolved' END, 'late', 'hard', 1, '[]',
    now() - place * interval '1 minute', now()
FROM (SELECT *, row_number() OVER () AS place FROM entity) AS e;

INSERT INTO detector (name, mode, actor, origin, running)
SELECT 'd' || n, 'live', 'a person', 'console', n > 0 FROM generate_series(0, 5) AS n;
UPDATE alert SET shadow = true WHERE left(id::text, 1) = '7';

INSERT INTO alert_cause SELECT detector, 'cause-' || entity_id, id FROM alert;

INSERT INTO alert_event (alert_id, at, actor, kind, detail) SELECT id, opened_at, 'system', 'open', '{}' FROM alert;

INSERT INTO watch
SELECT story_id, CASE WHEN random() < 0.3 THEN now() + random() * interval '9 days' END FROM alert;
INSERT INTO user_join SELECT id, md5(id::text)::uuid, (SELECT claim FROM entity WHERE claim IS NOT NULL LIMIT 1)
FROM strand WHERE left(id::text, 1) < '4';

UPDATE watch SET due_at = now() - interval '1 second'
WHERE id IN (SELECT story_id FROM alert WHERE state = 'open' LIMIT 50);

INSERT INTO dead_letter (topic, partition, "offset", code, message, headers, created_at, told_at)
SELECT 't', 0, n, 'no_event', 'm', '[]', now() - n * interval '25 seconds', now()
FROM generate_series(1, (SELECT count(*) FROM alert)) AS n;

INSERT INTO endpoint VALUES ('webhook', 'https://receiver.example');
INSERT INTO outbox (endpoint, delivery_id, alert_id, payload, created_at, next_attempt_at)
SELECT 'webhook', id || ':1', id, '{}', opened_at, now() + interval '1 hour' FROM alert;
"""
"""Alerts and what hangs on them, one an order; one in a hundred is open. An endpoint is away: all its notices wait."""


class Part(msgspec.Struct, frozen=True):
    """One node of a plan that reads a table or sorts."""

    kind: str
    relation: str
    index: str
    rows: float
    """Read or sorted in all."""
    bounded: bool
    """Whether an index's condition, or a limit above it, says where reading ends."""


async def seed(db: Db, customers: int) -> None:
    """Some that were stitched, so many beside them, their alerts; analysed."""
    stitching = await Stitching.make(db)
    values = records(5_000, customers=ACTIVE, seed=5)
    for first in range(0, len(values), 1_000):
        await stitching.batch(values[first : first + 1_000])
    await population.grow(db, customers)
    await db.execute(_MADE)
    await db.execute("VACUUM (ANALYZE)")


async def parts(db: Db, sql: str, values: tuple[Any, ...]) -> list[Part]:
    """What the statement reads and sorts, run with these values and rolled back."""
    within = db.transaction()
    await within.start()
    try:
        text = await db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
    finally:
        await within.rollback()
    return list(_parts(_plan(text)))


async def kept(db: Db, sql: str, values: tuple[Any, ...]) -> list[Part]:
    """The same of the plan for whatever values come, not run; empty where PostgreSQL would not keep it.

    After five calls it takes that plan, if by its estimate that one costs no more than those for the values at hand.
    """
    numbers = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
    if not numbers:
        return []
    own = _plan(await db.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values))
    await db.execute("SET plan_cache_mode = force_generic_plan")
    await db.execute(f"PREPARE looked_at AS {sql}")
    text = await db.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at({', '.join(['NULL'] * numbers)})")
    await db.execute("DEALLOCATE looked_at")
    await db.execute("RESET plan_cache_mode")
    general = _plan(text)
    return list(_parts(general)) if general["Total Cost"] <= own["Total Cost"] + PLANNING_COST else []


def _plan(text: str) -> dict[str, Any]:
    (found,) = msgspec.json.decode(text)
    plan: dict[str, Any] = found["Plan"]
    return plan


def _parts(node: dict[str, Any], *, limited: bool = False) -> Iterator[Part]:
    loops = node.get("Actual Loops", 0)
    removed = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
    limited = limited or node["Node Type"] == "Limit"
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        yield Part(
            node["Node Type"],
            node["Relation Name"],
            node.get("Index Name", "") or _bitmap(node),
            (node.get("Actual Rows", 0) + removed) * loops,
            "Index Cond" in node or "Bitmap" in node["Node Type"] or limited,
        )
    elif node["Node Type"] in {"Sort", "Incremental Sort"}:
        below = node["Plans"][0]
        yield Part(node["Node Type"], "", "", below.get("Actual Rows", 0) * below.get("Actual Loops", 0), bounded=True)
    for below in node.get("Plans", ()):
        yield from _parts(below, limited=limited)


def _bitmap(node: dict[str, Any]) -> str:
    names = [below.get("Index Name", "") for below in node.get("Plans", ()) if "Bitmap Index" in below["Node Type"]]
    return ", ".join(names)


async def small(db: Db) -> set[str]:
    """Tables with so few rows, a next week's partition for one, that any plan is as good."""
    rows = await db.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples < $1", SMALL)
    return {row["relname"] for row in rows}


def faults(found: list[Part], small: set[str]) -> list[str]:
    """What would grow with the tables, a sentence each."""
    said = []
    for part in found:
        grows = GROWS.match(part.relation) is not None and part.relation not in small
        if grows and part.kind == "Seq Scan":
            said.append(f"{part.relation} is scanned")
        elif grows and not part.bounded:
            said.append(f"all of {part.index} is read")
        elif part.rows > MOST_ROWS and (grows or "Sort" in part.kind):
            said.append(f"{part.kind} {part.relation} has {part.rows:,.0f} rows")
    return said


async def table(db: Db) -> str:
    """What each call reads, as a Markdown table."""
    world = await World.look(db)
    lines = ["| call | reads by | rows read, at most by one part |", "|---|---|---:|"]
    for name in CALLS:
        indexes: dict[str, None] = {}
        rows = 0.0
        for sql, values in (await called(db, world, name)).items():
            for part in await parts(db, sql, values):
                if GROWS.match(part.relation):
                    kind = "" if part.index else f"{part.kind} of "
                    indexes[re.sub(r"_\d[\d_]*", "_N", f"{kind}{part.index or part.relation}")] = None
                    rows = max(rows, part.rows)
        lines.append(f"| `{name}` | {', '.join(f'`{one}`' for one in indexes)} | {rows:,.0f} |")
    return "\n".join(lines) + "\n"


async def main(customers: int) -> None:
    """Write the table of plans."""
    async with running() as platform:
        db = await asyncpg.connect(platform.dsn, command_timeout=3_600)
        await partitions.ensure(db, datetime.now(UTC))
        await seed(db, customers)
        said = f"With {customers:,} customers, as many touchpoints, and {customers // 3:,} orders, alerts and notices:"
        written = await table(db)
        await db.close()
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "plans", f"{said}\n\n{written}"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
