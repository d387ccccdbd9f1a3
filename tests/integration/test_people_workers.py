"""Many stitchers at once give what the oracle finds in the sorted log, through every conflict that a database answers with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.identifiers import STRENGTH, name_id
from pathline.domain.people import MAX_STRANDS, Person
from pathline.kit.database import create_pool
from pathline.storage import codec, entities, people, strands
from services.stitcher.batch import Batch
from services.stitcher.transaction import Stitch
from tests.support.people import BASE, Saying, Stitcher, browses, doubled, says
from tests.support.records import record, until
from tests.unit.domain.oracle import OWNING_EVENTS, Name, Oracle

pytestmark = pytest.mark.integration

Pool: TypeAlias = "asyncpg.Pool[Any]"

WORKERS = 8
LINKS = 10_000
FEW_NAMES_LINKS = 2_000
NAMESPACES = ("north", "south")
CONFLICTS = ("40P01", "40001")
"""deadlock_detected and serialization_failure: an engine over several nodes answers with the latter, too."""


@pytest.fixture
async def wide(database: str) -> AsyncIterator[Pool]:
    """A pool with a connection for each worker."""
    pool = await create_pool(database, min_size=WORKERS, max_size=WORKERS + 2, application_name="test")
    yield pool
    await pool.close()


class Unlucky(Stitcher):
    """A stitcher whose transactions the database breaks off now and then, when all is written but the commit."""

    written = 0
    broken = 0

    async def write(self, db: Any, batch: Batch, move: Any) -> Stitch:
        done = await super().write(db, batch, move)
        self.written += 1
        if self.written % 5 == 0:
            code = CONFLICTS[self.broken % len(CONFLICTS)]
            self.broken += 1
            await db.execute(f"DO $$ BEGIN RAISE EXCEPTION 'broken off' USING ERRCODE = '{code}'; END $$")
        return done


def link(chance: random.Random, town: int = 1_000) -> Saying:
    """A call that links names of the people of a town of this size, or a thing to one of them."""
    minutes = chance.randrange(100_000) / 100
    user = f"u{int(chance.paretovariate(0.6)) % town}"
    kind = chance.random()
    if kind < 0.06:
        return says(minutes, "alias", userId=user, previousId=f"u{chance.randrange(town)}")
    if kind < 0.09:
        return says(minutes, "alias", userId="hub", previousId=f"h{chance.randrange(200)}")
    tell = says if chance.random() < 0.6 else browses
    if kind < 0.14:
        return tell(minutes, "identify", userId="till", traits={"email": f"{chance.randrange(9_999)}@example.com"})
    ids: dict[str, tuple[float, Any]] = {
        "userId": (0.7, user),
        "anonymousId": (0.5, "kiosk" if chance.random() < 0.2 else f"v{chance.randrange(2 * town)}"),
        "context": (0.1, {"device": {"id": f"d{chance.randrange(town // 3)}"}}),
    }
    named = some(
        chance,
        email=(0.3, f"b{chance.randrange(town)}@example.com"),
        phone=(0.1, f"+1202555{chance.randrange(100, 200):04}"),
    )
    if kind < 0.6:
        return tell(minutes, "identify", **{"anonymousId": "v", **some(chance, **ids)}, traits=named)
    things = some(
        chance, tracking_number=(0.5, f"p{chance.randrange(town // 2)}"), case_id=(0.2, f"c{chance.randrange(200)}")
    )
    properties = {"order_id": f"o{chance.randrange(town)}", **things, **named}
    return tell(minutes, chance.choice(OWNING_EVENTS), **some(chance, **ids), properties=properties)


def some(chance: random.Random, **likely: tuple[float, Any]) -> dict[str, Any]:
    """Each of these, as likely as it says."""
    return {key: value for key, (odds, value) in likely.items() if chance.random() < odds}


async def together(pool: Pool, run: str, values: list[bytes], most: int) -> set[bytes]:
    """Have the workers stitch these, each every eighth, in batches of at most so many; returns those refused."""
    workers = [Unlucky(pool, f"touchpoints-{run}", n) for n in range(WORKERS)]

    async def work(number: int, worker: Unlucky) -> set[bytes]:
        await worker.take()
        mine, sizes, refused = values[number::WORKERS], random.Random(number), set()
        while mine:
            size = sizes.randint(1, most)
            done = await worker.tell(mine[:size])
            refused |= {letter.value for letter in done.letters if letter.code == "join_too_large" and letter.value}
            del mine[:size]
        return refused

    refused = set().union(*await asyncio.gather(*(work(n, worker) for n, worker in enumerate(workers))))
    assert all(worker.broken >= len(CONFLICTS) for worker in workers)
    assert all(worker.conflicts >= worker.broken for worker in workers)
    return refused


async def test_8_workers_over_10_000_links_give_the_oracles_answer(wide: Pool) -> None:
    chance, run = random.Random(8), uuid4().hex[:8]
    values = []
    for _ in range(LINKS):
        one = link(chance)
        one.namespace = chance.choice(NAMESPACES)
        values.append(one.record(run))
    refused = await together(wide, run, doubled(values, chance), 120)
    assert refused and len(refused) < LINKS / 10
    read = [to_touchpoint(accepted.decode(value)) for value in values if value not in refused]
    assert await wide.fetchval("SELECT count(*) FROM touchpoint WHERE starts_with(source, $1)", run) == len(read)
    for namespace in NAMESPACES:
        oracle = Oracle([t for t in read if t.namespace == f"{run}{namespace}"])
        await check(wide, f"{run}{namespace}", oracle)


async def test_8_workers_over_a_few_names_told_backwards_give_the_oracles_answer(wide: Pool) -> None:
    """Each link beats those before it, and several workers have the same name in hand: each row lock is needed."""
    chance, run = random.Random(9), uuid4().hex[:8]
    log = sorted((link(chance, 15) for _ in range(FEW_NAMES_LINKS)), key=lambda one: one.minutes, reverse=True)
    values = [one.record(run) for one in log]
    refused = await together(wide, run, values, 6)
    await check(wide, run, Oracle([to_touchpoint(accepted.decode(value)) for value in values if value not in refused]))


async def check(pool: Pool, namespace: str, oracle: Oracle) -> None:
    """Customers, runner-ups, what a journey joins, counts and owners are the oracle's."""
    async with pool.acquire() as db:
        rows = await db.fetch("SELECT id, kind, value, pointer FROM identifier WHERE namespace = $1", namespace)
        names: dict[UUID, Name] = {row["id"]: (row["kind"], row["value"]) for row in rows}
        customers = oracle.customers()
        roots = await people.roots_of(db, names)
        groups: dict[UUID, set[Name]] = {}
        for one, root in roots.items():
            groups.setdefault(root, set()).add(names[one])
        assert {names[one]: groups[root] for one, root in roots.items()} == customers
        for row in rows:
            pointer = codec.pointer(row["pointer"])
            best = None if pointer is None else (names[pointer.best.target], pointer.best.rank[1] == 0)
            after = None if pointer is None or pointer.runner_up is None else names[pointer.runner_up.target]
            assert (best, after) == (oracle.kept_parent(names[row["id"]]), oracle.runner_up(names[row["id"]]))
        for root, customer in groups.items():
            family = await people.family(db, root)
            assert family.truncated == (len(customer) > MAX_STRANDS)
            assert moments(family.people.values()) == oracle.strands(frozenset(customer), MAX_STRANDS)
        states = await strands.load(db, names)
        things = await db.fetch("SELECT id, kind, value FROM entity WHERE namespace = $1", namespace)
        told = {names[one]: state.count for one, state in states.items() if state.count}
        held = await entities.load(db, [row["id"] for row in things])
        told |= {(e.identifier.kind, e.identifier.value): e.state.count for e in held.values() if e.state.count}
        assert told == dict(oracle.counts())
        owners = await entities.owners(db, [row["id"] for row in things])
    for row in things:
        owner, claimant = owners[row["id"]], oracle.owner((row["kind"], row["value"]))
        assert (None if owner is None else groups[owner]) == (None if claimant is None else customers[claimant])


def moments(family: Iterable[Person]) -> list[tuple[int, float]]:
    """Strength and moment of each, as the oracle lists them."""
    return sorted(
        (STRENGTH[one.identifier.kind], 0.0 if one.pointer is None else -one.pointer.best.at.timestamp())
        for one in family
    )


async def test_a_real_deadlock_is_tried_again_and_loses_nothing(wide: Pool) -> None:
    run = uuid4().hex[:8]
    stitcher = Stitcher(wide, f"touchpoints-{run}")
    await stitcher.take()
    low, high = sorted((name_id(run, "user_id", f"u{n}"), f"u{n}") for n in range(2))
    both = [record({"type": "page", "userId": who}, message_id=f"{n}", source=run, namespace=run, at=BASE + timedelta(n))
            for n, who in enumerate((low[1], high[1]))]  # fmt: skip
    await stitcher.tell(both)
    again = [says(n, "page", userId=who).record(run) for n, who in enumerate((low[1], high[1]))]
    lock = "SELECT 1 FROM strand WHERE id = $1 FOR UPDATE"
    async with wide.acquire() as db:
        async with db.transaction():
            # Whoever looks first for a deadlock is its victim: it must not be us.
            await db.execute("SET LOCAL deadlock_timeout = '60s'")
            await db.execute(lock, high[0])
            telling = asyncio.create_task(stitcher.tell(again))
            await until(lambda: waits_for(wide, db.get_server_pid()))
            await asyncio.wait_for(db.execute(lock, low[0]), 30)
        await telling
    assert stitcher.conflicts == 1
    async with wide.acquire() as db:
        assert {one: s.count for one, s in (await strands.load(db, [low[0], high[0]])).items()} == {
            low[0]: 2,
            high[0]: 2,
        }


async def waits_for(pool: Pool, pid: int) -> bool:
    """Whether another session waits for a lock of this one."""
    return bool(await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))", pid))
