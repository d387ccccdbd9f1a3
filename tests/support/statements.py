"""Every statement of the stores, as it is really called: the registry that the test of plans goes by.

A public function of `pathline.storage` that takes a connection stands in CALLS, or in APART with the reason. `called` runs
them on a recorder, which notes each statement with its values.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec

import pathline.storage
from pathline.contracts import stage_files
from pathline.domain import alerts as life
from pathline.domain.alerts import Notice
from pathline.storage import (
    accounts,
    acts,
    alerts,
    customers,
    detectors,
    entities,
    inbox,
    interest,
    judgements,
    letters,
    outbox,
    partitions,
    people,
    risks,
    seen,
    stitching,
    stories,
    strands,
    surveys,
    sweeps,
    touchpoints,
    watch,
    words,
)  # fmt: skip
from pathline.storage import map as journey_map
from pathline.storage.letters import DeadLetter, Found

if TYPE_CHECKING:
    import asyncpg

NOW: Final = datetime.now(UTC)
HOUR: Final = timedelta(hours=1)

APART: Final = {
    "fences": "a row for each partition of a topic",
    "keys": "a handful of keys",
    "sources": "a handful of sources",
    "presence": "a row for each stitcher",
    "looks.ask": "inserts",
    "risks.roots": "what entities.owners, people.load and people.roots_of do",
    "rhythms": "a row for each source of touchpoints",
    "detectors.on_trial": "a row for each detector",
    "detectors.listed": "a row for each detector",
    "detectors.get": "a row for each detector",
    "detectors.set_mode": "a row for each detector",
    "detectors.meet": "a row for each detector",
    "detectors.remove": "a row for each detector",
    "detectors.acts": "by detector, the newest: an act is a person's, or a change of a file",
    "sweeps.publish": "one row",
    "sweeps.announce": "a row for each scorer",
    "sweeps.leave": "a row for each scorer",
    "sweeps.disturb": "one row",
    "sweeps.scorers": "a row for each scorer",
    "sweeps.standing": "one row",
    "sweeps.again": "one row",
    "sweeps.claim": "one row",
    "sweeps.advance": "one row",
    "rebuilding": "work in the background: it reads the weeks on purpose, each by its index, a portion at a time",
    "erasing": "a person's own rows, by their ids; who is but a next best, and dead letters, are read on purpose, by pages",
    "accounts": "pairs of a customer and an account, by the key of either",
    "partitions.ensure": "the catalogue",
    "partitions.drop": "the catalogue",
    "partitions.weeks": "the catalogue",
    "seen.partitions": "the catalogue",
    "outbox.configure": "when a setting changed: what waits for an endpoint has failed",
    "outbox.disable": "once for an endpoint that said 410: what waits for it has failed",
    "outbox.disabled": "a row for each endpoint",
    "people.namespaces": "a handful of keys",
    "stitching.lock_joins": "an advisory lock",
    "judgements.clocks": "a row for each partition of a topic",
    "judgements.keep": "inserts, and what alerts.update and alerts.record do",
    "words.split": "a person's word, by ids; what it reads is people.load and people.tops_of",
    "words.merge": "as words.split",
    "words.take_back": "as words.split",
}
"""Functions and whole modules whose statements touch no table that grows, with what they do touch."""


class Recorder:
    """A connection that notes what it is asked."""

    def __init__(self, db: asyncpg.Connection[Any]) -> None:
        self._db = db
        self.statements: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def fetch(self, sql: str, *values: Any, **more: Any) -> Any:
        self.statements.setdefault(sql, values)
        return await self._db.fetch(sql, *values, **more)

    async def fetchrow(self, sql: str, *values: Any, **more: Any) -> Any:
        self.statements.setdefault(sql, values)
        return await self._db.fetchrow(sql, *values, **more)

    async def fetchval(self, sql: str, *values: Any, **more: Any) -> Any:
        self.statements.setdefault(sql, values)
        return await self._db.fetchval(sql, *values, **more)

    async def execute(self, sql: str, *values: Any, **more: Any) -> Any:
        self.statements.setdefault(sql, values)
        return await self._db.execute(sql, *values, **more)

    async def executemany(self, sql: str, rows: Sequence[Any]) -> Any:
        given = list(rows)
        if given:
            self.statements.setdefault(sql, tuple(given[0]))
        return await self._db.executemany(sql, given)


class World(msgspec.Struct):
    """Some of what there is, to ask for."""

    users: list[UUID]
    visitors: list[UUID]
    orders: list[UUID]
    alerts: list[life.Alert]

    @classmethod
    async def look(cls, db: asyncpg.Connection[Any]) -> World:
        """A few of each."""

        async def ids(sql: str) -> list[UUID]:
            return [row["id"] for row in await db.fetch(sql)]

        found = await db.fetch(f"SELECT {alerts.COLUMNS} FROM alert WHERE state = 'open' LIMIT 3")
        return cls(
            await ids("SELECT id FROM identifier WHERE value LIKE 'user-%' LIMIT 20"),
            await ids("SELECT id FROM identifier WHERE value LIKE 'visitor-%' AND parent_id IS NOT NULL LIMIT 20"),
            await ids(
                "SELECT id FROM entity WHERE kind = 'order' AND claimant_id IS NOT NULL AND value LIKE 'order-%-%' LIMIT 20"
            ),
            [alerts.alert_of(row) for row in found],
        )


Call = Callable[[Any, World], Awaitable[Any]]


def _notice(alert: life.Alert) -> Notice:
    return Notice("note", "a person", NOW, msgspec.structs.replace(alert, revision=alert.revision + 1))


def _letter() -> DeadLetter:
    return DeadLetter(0, 10**9, "no_subject", "m", b"k", b"v", "[]", "shop")


def _found() -> Found:
    return Found(
        topic="t", partition=0, offset=10**9, stage="collector", code="no_event", message="m", key=None, value=b"v",
        headers="[]", source="shop", namespace="default", received_at=NOW, size=None, created_at=NOW,
    )  # fmt: skip


async def _causes(db: Any, world: World) -> None:
    states = await strands.load(db, world.users)
    fact = next(fact for state in states.values() for fact in state.facts.values())
    why = (fact.message_id,)
    await customers.causes(db, msgspec.structs.replace(world.alerts[0], why=why), world.users, states.values())


async def _persons(db: Any, world: World) -> None:
    await people.tills(db, (await people.load(db, world.visitors)).values())


async def _write_people(db: Any, world: World) -> None:
    met = [person.identifier for person in (await people.load(db, world.visitors)).values()]
    known = await stitching.read_pointers(db, [one.id for one in met])
    proposals = {one: pointer for one in met if (pointer := known[one.id]) is not None}
    await stitching.write_people(db, met, proposals, {})


async def _write_things(db: Any, world: World) -> None:
    things = await entities.load(db, world.orders)
    deltas = {one: stitching.EntityDelta(e.identifier, e.state, e.claim, None) for one, e in things.items()}
    await stitching.write_entities(db, deltas)


async def _write_strands(db: Any, world: World) -> None:
    await stitching.write_strands(db, await strands.load(db, world.users))


async def _outbox(db: Any, _world: World) -> None:
    for one in await outbox.take(db, "webhook", NOW, 100, HOUR):
        await outbox.postpone(db, one.id, NOW, "no answer")
        await outbox.fail(db, one.id, NOW, "no answer")
        await outbox.delivered(db, [one.id])


CALLS: Final[dict[str, Call]] = {
    "accounts.lookup": lambda db, _w: accounts.lookup(db, "acme", 100),
    "alerts.list_alerts": lambda db, _w: alerts.list_alerts(db, state=["open", "acknowledged"], limit=50),
    "alerts.list_alerts (any)": lambda db, _w: alerts.list_alerts(db, limit=50),
    "alerts.list_alerts (of a customer)": lambda db, w: alerts.list_alerts(db, subjects=[*w.users, *w.orders]),
    "alerts.get": lambda db, w: alerts.get(db, w.alerts[0].id),
    "alerts.events": lambda db, w: alerts.events(db, w.alerts[0].id),
    "alerts.move": lambda db, w: alerts.move(db, w.alerts[0].id, life.Acknowledge(), "a person", NOW),
    "alerts.update": lambda db, w: alerts.update(db, w.alerts),
    "alerts.record": lambda db, w: alerts.record(db, [_notice(one) for one in w.alerts]),
    "customers.resolve": lambda db, w: customers.resolve(db, w.visitors[0]),
    "customers.lookup": lambda db, _w: customers.lookup(db, "user_id", "customer-000000007"),
    "customers.whole": lambda db, w: customers.whole(db, w.users[0]),
    "customers.callers": lambda db, w: customers.callers(db, w.users),
    "customers.of_alerts": lambda db, w: customers.of_alerts(db, w.alerts),
    "customers.causes": _causes,
    "detectors.gone_live": lambda db, _w: detectors.gone_live(db),
    "detectors.shadows": lambda db, _w: detectors.shadows(db, "d1", UUID(int=0), 100),
    "detectors.orphans": lambda db, _w: detectors.orphans(db, 100),
    "detectors.locked": lambda db, w: detectors.locked(db, [one.id for one in w.alerts]),
    "detectors.episodes": lambda db, _w: detectors.episodes(db, "d1", NOW - timedelta(days=28), 1_000),
    "detectors.open_shadows": lambda db, _w: detectors.open_shadows(db, "d1", 1_000),
    "entities.load": lambda db, w: entities.load(db, w.orders),
    "entities.parts_of": lambda db, w: entities.parts_of(db, w.orders),
    "entities.owned_by": lambda db, w: entities.owned_by(db, w.users),
    "entities.claimants": lambda db, w: entities.claimants(db, w.orders),
    "entities.owners": lambda db, w: entities.owners(db, w.orders),
    "inbox.counts": lambda db, _w: inbox.counts(db, "a person"),
    "inbox.others": lambda db, _w: inbox.others(db, [], state=["open"], severity=None, detector=None, assignee=None),
    "inbox.again": lambda db, w: inbox.again(db, [one.id for one in w.alerts]),
    "interest.visits": lambda db, _w: interest.visits(
        db, NOW - 2 * HOUR, NOW - 2 * HOUR + timedelta(seconds=20), 50_000
    ),
    "judgements.alive": lambda db, w: judgements.alive(db, w.orders),
    "judgements.spent": lambda db, _w: judgements.spent(db, [("d1", "cause-1"), ("d2", "cause-2")]),
    "judgements.latest": lambda db, w: judgements.latest(db, w.orders),
    "judgements.alive_by_detector": lambda db, _w: judgements.alive_by_detector(db),
    "letters.write": lambda db, _w: letters.write(db, "t", "stitcher", [_letter()]),
    "letters.keep": lambda db, _w: letters.keep(db, [_found()]),
    "letters.untold": lambda db, _w: letters.untold(db, 100),
    "letters.told": lambda db, _w: letters.told(db, [1, 2]),
    "letters.prune": lambda db, _w: letters.prune(db, timedelta(days=28), 100),
    "letters.newest": lambda db, _w: letters.newest(db, code=None, source=None, most=100),
    "letters.load": lambda db, _w: letters.load(db, [1, 2]),
    "letters.last_id": lambda db, _w: letters.last_id(db),
    "letters.unreplayed": lambda db, _w: letters.unreplayed(db, code=None, source=None, after=0, last=10**6, most=100),
    "letters.replayed": lambda db, _w: letters.replayed(db, [1, 2]),
    "map.window": lambda db, _w: journey_map.window(
        db, NOW - 2 * HOUR, NOW - 2 * HOUR + timedelta(seconds=20), stage_files.load(None)
    ),
    "map.segments": lambda db, w: journey_map.segments(db, set(w.users)),
    "outbox.enqueue": lambda db, w: outbox.enqueue(db, [_notice(one) for one in w.alerts]),
    "outbox.take": _outbox,
    "outbox.postpone": _outbox,
    "outbox.fail": _outbox,
    "outbox.delivered": _outbox,
    "outbox.depths": lambda db, _w: outbox.depths(db),
    "outbox.prune": lambda db, _w: outbox.prune(db, NOW - timedelta(days=28)),
    "partitions.prune_rest": lambda db, _w: partitions.prune_rest(db, NOW - timedelta(days=400), 100),
    "people.load": lambda db, w: people.load(db, w.visitors),
    "people.tills": _persons,
    "people.joined": lambda db, w: people.joined(db, w.users),
    "people.joined_roots": lambda db, w: people.joined_roots(db, w.users),
    "people.roots_of": lambda db, w: people.roots_of(db, w.visitors),
    "people.tops_of": lambda db, w: people.tops_of(db, w.visitors),
    "people.family": lambda db, w: people.family(db, w.users[0]),
    "people.mailboxes": lambda db, w: people.mailboxes(db, {(one, True): 51 for one in w.users}),
    "people.cut_off": lambda db, w: people.cut_off(db, w.users),
    "people.lookup_ids": lambda db, _w: people.lookup_ids(db, "user_id", "customer-000000007"),
    "people.component": lambda db, w: people.component(db, w.users[0], w.users[1]),
    "seen.prune": lambda db, _w: seen.prune(db, "seen_0", NOW - timedelta(days=36), 100),
    "stitching.insert_seen": lambda db, _w: stitching.insert_seen(db, {uuid4(): NOW for _ in range(20)}),
    "stitching.forget_seen": lambda db, w: stitching.forget_seen(db, w.users),
    "stitching.read_pointers": lambda db, w: stitching.read_pointers(db, w.visitors),
    "stitching.write_people": _write_people,
    "stitching.write_joins": lambda db, _w: stitching.write_joins(db, []),
    "stitching.write_strands": _write_strands,
    "stitching.write_entities": _write_things,
    "stitching.write_touchpoints": lambda db, _w: stitching.write_touchpoints(db, []),
    "stories.keys_of": lambda db, w: stories.keys_of(db, w.orders),
    "stories.gather": lambda db, w: stories.gather(db, [*w.orders, *w.users], ZoneInfo("UTC")),
    "stories.customers_of": lambda db, w: stories.customers_of(db, w.orders[:5]),
    "stories.neighbours": lambda db, w: stories.neighbours(db, w.users, w.orders, 1_000, which="waiting"),
    "strands.load": lambda db, w: strands.load(db, w.users),
    "acts.lived": lambda db, w: acts.lived(db, w.users, None, 1),
    "surveys.answered": lambda db, _w: surveys.answered(db, NOW - 2 * HOUR, NOW - 2 * HOUR + timedelta(seconds=20)),
    "sweeps.following": lambda db, _w: sweeps.following(db, UUID(int=0), 100),
    "touchpoints.page": lambda db, w: touchpoints.page(db, w.users, None, 100),
    "touchpoints.newest": lambda db, w: touchpoints.newest(db, w.users, None, 100),
    "risks.take": lambda db, _w: risks.take(db, 50),
    "risks.ask_of_stories": lambda db, w: risks.ask_of_stories(db, w.orders),
    "risks.lock": lambda db, w: risks.lock(db, w.users),
    "risks.take_due": lambda db, _w: risks.take_due(db, NOW, 50),
    "risks.schedule": lambda db, w: risks.schedule(db, {w.users[0]: NOW, w.users[1]: None}),
    "risks.load": lambda db, w: risks.load(db, w.users, ["journey_risk"]),
    "risks.inherit": lambda db, w: risks.inherit(db, "d1", ["cause-1"], w.alerts[0].id, w.alerts[0].id),
    "watch.lock": lambda db, w: watch.lock(db, [*w.orders, uuid4()]),
    "watch.schedule": lambda db, w: watch.schedule(db, dict.fromkeys(w.orders, NOW)),
    "watch.hasten": lambda db, w: watch.hasten(db, w.orders[0], NOW),
    "watch.take_due": lambda db, _w: watch.take_due(db, NOW, 100),
    "watch.due": lambda db, _w: watch.due(db, NOW),
    "watch.watched": lambda db, w: watch.watched(db, w.orders),
    "words.find": lambda db, _w: words.find(db, 1),
    "words.history": lambda db, w: words.history(db, w.users, before=None, limit=100),
    "words.aliases": lambda db, w: words.aliases(db, w.users),
    "words.untold": lambda db, _w: words.untold(db, 100),
    "words.told": lambda db, _w: words.told(db, [1]),
}


def functions() -> set[str]:
    """`module.function` of every public function of the stores that takes a connection."""
    found = set()
    for module in pkgutil.iter_modules(pathline.storage.__path__):
        if module.ispkg or module.name == "migrate":
            continue
        loaded = importlib.import_module(f"pathline.storage.{module.name}")
        for name, one in vars(loaded).items():
            if inspect.iscoroutinefunction(one) and one.__module__ == loaded.__name__ and not name.startswith("_"):
                found.add(f"{module.name}.{name}")
    return found


async def called(db: asyncpg.Connection[Any], world: World, name: str) -> dict[str, tuple[Any, ...]]:
    """The statements that this call makes, each with its values; nothing of it stays."""
    recorder = Recorder(db)
    within = db.transaction()
    await within.start()
    try:
        await CALLS[name](recorder, world)
    finally:
        await within.rollback()
    return recorder.statements
