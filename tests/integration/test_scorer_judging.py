"""The scorer's transactions against a real PostgreSQL: deadlines that wait, peers on one story, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from pathline.domain.alerts import Resolve
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import alerts, judgements, watch
from services.scorer.judgement import things_of
from services.scorer.settings import ScorerSettings
from services.scorer.transactions import Transactions
from services.scorer.waker import keep_deadlines
from tests.support.records import until
from tests.support.scoring import DETECTORS, LONG_AGO, NOW, judge, late, metric, placed, scorer, states_of
from tests.support.stitching import read_through, stitch
from tests.support.world import START, touchpoint

pytestmark = pytest.mark.integration


async def empty(transactions: Transactions) -> int:
    """Judge all that is due; how many stories that were."""
    total = 0
    while taken := await transactions.due(100):
        total += taken
    return total


async def test_a_deadline_waits_until_what_was_received_before_it_is_read(pool: asyncpg.Pool[Any]) -> None:
    topic = "held"
    due = datetime.now(UTC) - timedelta(seconds=10)
    order = placed("held", due)
    await read_through(pool, topic, due - timedelta(seconds=1))
    transactions = scorer(pool, topic)
    await judge(pool, transactions, [order])
    await empty(transactions)
    assert await late(pool, [order]) == []
    # The answer had been waiting in Kafka: read in time, it keeps the alert from firing at all.
    scan = touchpoint(
        2, event="Shipment Scanned", things={"order": "held"}, properties={"status": "delivered"},
        seconds=(due - timedelta(minutes=1) - START).total_seconds(),
    )  # fmt: skip
    answered, unanswered = order, placed("unanswered", due)
    await judge(pool, transactions, [unanswered])
    await judge(pool, transactions, [scan])
    await read_through(pool, topic, due + timedelta(seconds=1))
    await empty(transactions)
    assert await late(pool, [answered]) == []
    (alert,) = await late(pool, [unanswered])
    assert (alert.opened_at, alert.blind) == (due, False)


async def test_a_stopped_reader_holds_a_deadline_for_five_minutes_and_no_longer(pool: asyncpg.Pool[Any]) -> None:
    topic = "blind"
    now = datetime.now(UTC)
    await read_through(pool, topic, now - timedelta(hours=1))
    recent, old = placed("recent", now - timedelta(minutes=1)), placed("old", now - timedelta(minutes=6))
    transactions = scorer(pool, topic)
    await judge(pool, transactions, [recent, old])
    await empty(transactions)
    assert await late(pool, [recent]) == []
    (alert,) = await late(pool, [old])
    assert alert.blind


async def test_two_scorers_on_one_story_alert_once(pool: asyncpg.Pool[Any]) -> None:
    topic = "two"
    await read_through(pool, topic, NOW)
    orders = [placed(f"two-{n}", NOW - timedelta(days=1)) for n in range(30)]
    keys = set(things_of(await stitch(pool, orders)))
    peers = [scorer(pool, topic) for _ in range(3)]
    await asyncio.gather(*(peer.stories(keys) for peer in peers for _ in range(2)))
    found = await late(pool, orders)
    assert sorted(one.entity_id for one in found) == sorted(order.things[0].id for order in orders)
    assert (
        await pool.fetchval("SELECT count(*) FROM outbox WHERE alert_id = ANY($1::uuid[])", [a.id for a in found]) == 30
    )


async def test_a_cause_that_is_claimed_under_another_story_is_judged_again_not_twice(pool: asyncpg.Pool[Any]) -> None:
    """A parcel judged alone while a peer judges it with its order: the database refuses the second."""
    topic = "moved"
    await read_through(pool, topic, NOW)
    seconds = (LONG_AGO - START).total_seconds()
    scan = touchpoint(
        1, event="Shipment Scanned", things={"parcel": "m"}, properties={"status": "exception"}, seconds=seconds
    )  # fmt: skip
    created = touchpoint(2, event="Shipment Created", things={"order": "m", "parcel": "m"}, seconds=seconds)
    parcel, order = scan.things[0].id, created.named("order")
    assert order is not None
    first, second = scorer(pool, topic), scorer(pool, topic)
    await stitch(pool, [scan])
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await first._judge.stories(db, [parcel])
        await stitch(pool, [created])
        waiting = asyncio.create_task(second.stories([order.id]))
        await until(lambda: _blocked(pool))
        await transaction.commit()
    await waiting
    assert metric(second, "failures", "conflict") == 1
    async with pool.acquire() as db:
        (alert,) = await alerts.list_alerts(db, subjects=[parcel])
    assert alert.state == "open"


async def _blocked(pool: asyncpg.Pool[Any]) -> bool:
    return bool(
        await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def test_one_story_that_is_refused_holds_up_no_other(pool: asyncpg.Pool[Any]) -> None:
    topic = "refused"
    await read_through(pool, topic, NOW)
    # A title that PostgreSQL refuses, for orders of one namespace alone.
    files = dict(DETECTORS.files)
    bad = msgspec.structs.replace(files["late_vs_promise"], title="Late: {value}" + chr(0))
    good = [placed(f"fine-{n}", NOW - timedelta(days=1)) for n in range(3)]
    poison = Detectors([*files.values(), bad])
    scan = touchpoint(
        9, event="Payment Failed", things={"order": "fine-9"}, seconds=(LONG_AGO - START).total_seconds(), source="r"
    )  # fmt: skip
    transactions = scorer(pool, topic, poison)
    await judge(pool, transactions, [*good, scan])
    assert metric(transactions, "failures", "story") == 3
    async with pool.acquire() as db:
        (alert,) = await alerts.list_alerts(db, subjects=[scan.things[0].id])
        assert alert.detector == "payment_failed"
        assert len(await watch.watched(db, [order.things[0].id for order in good])) == 3
    assert await late(pool, good) == []
    # Once the detector is mended, they are judged.
    await pool.execute("UPDATE watch SET due_at = now() - interval '1 hour' WHERE due_at > now()")
    await empty(scorer(pool, topic))
    assert len(await late(pool, good)) == 3


async def test_a_refused_story_among_those_due_holds_up_no_other(pool: asyncpg.Pool[Any]) -> None:
    topic = "refused due"
    await read_through(pool, topic, NOW - timedelta(days=2))
    orders = [placed(f"due-{n}", NOW - timedelta(days=1)) for n in range(3)]
    fine = placed("due-fine", NOW - timedelta(days=1), namespace="fine")
    bad = msgspec.structs.replace(DETECTORS.files["late_vs_promise"], title="Late" + chr(0))
    transactions = scorer(pool, topic, Detectors([bad]))
    await judge(pool, transactions, orders)
    await judge(pool, scorer(pool, topic), [fine])
    await read_through(pool, topic, NOW)
    await empty(transactions)
    assert metric(transactions, "failures", "story") >= 3
    assert await empty(transactions) == 0


async def test_history_is_kept_and_told_to_nobody_and_tomorrow_alerts(pool: asyncpg.Pool[Any]) -> None:
    topic = "history"
    await read_through(pool, topic, NOW)
    received = NOW - timedelta(days=3)
    past = msgspec.structs.replace(
        placed("past", NOW - timedelta(days=9), historical=True), received_at=received
    )  # fmt: skip
    later = msgspec.structs.replace(
        placed("later", NOW - timedelta(minutes=1), historical=True), received_at=received
    )  # fmt: skip
    transactions = scorer(pool, topic)
    await judge(pool, transactions, [past, later])
    assert [one.state for one in await late(pool, [past])] == ["expired"]
    (alert,) = await late(pool, [later])
    assert alert.state == "open"
    told = await pool.fetch(
        "SELECT alert_id FROM outbox WHERE alert_id = ANY($1::uuid[])", await _ids(pool, past, later)
    )
    assert [row["alert_id"] for row in told] == [alert.id]


async def _ids(pool: asyncpg.Pool[Any], *orders: Touchpoint) -> list[UUID]:
    return [one.id for one in await late(pool, orders)]


async def test_an_alert_resolved_by_hand_stays_so_while_the_trouble_lasts(pool: asyncpg.Pool[Any]) -> None:
    topic = "hand"
    await read_through(pool, topic, NOW)
    order = placed("hand", NOW - timedelta(days=8))
    transactions = scorer(pool, topic)
    await judge(pool, transactions, [order])
    (alert,) = await late(pool, [order])
    assert alert.severity == "critical"
    async with pool.acquire() as db, db.transaction():
        await alerts.move(db, alert.id, Resolve("not_a_problem"), "sam", datetime.now(UTC))
    await transactions.stories([order.things[0].id])
    assert [(one.state, one.resolution) for one in await late(pool, [order])] == [("resolved", "not_a_problem")]


async def test_wakers_share_what_is_due_and_fire_each_once(
    pool: asyncpg.Pool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_SCORER_DUE_BATCH", "7")
    monkeypatch.setenv("PATHLINE_SCORER_POLL_MS", "50")
    settings = ScorerSettings.load()
    topic = "wakers"
    await read_through(pool, topic, NOW - timedelta(days=2))
    orders = [placed(f"wake-{n}", NOW - timedelta(days=1)) for n in range(100)]
    await judge(pool, scorer(pool, topic), orders)
    stop = asyncio.Event()
    wakers = [asyncio.create_task(keep_deadlines(settings, scorer(pool, topic), stop)) for _ in range(3)]
    await read_through(pool, topic, NOW)
    await until(lambda: _fired(pool, orders, 100))
    stop.set()
    await asyncio.gather(*wakers)
    found = await late(pool, orders)
    assert len({one.entity_id for one in found}) == len(found) == 100
    assert {one.opened_at for one in found} == {NOW - timedelta(days=1)}
    async with pool.acquire() as db:
        assert (await judgements.alive_by_detector(db))["late_vs_promise"][0] >= 100


async def _fired(pool: asyncpg.Pool[Any], orders: Sequence[Touchpoint], count: int) -> bool:
    return len(await late(pool, orders)) >= count


async def test_a_story_that_waited_for_a_peer_is_judged_by_the_time_it_is_judged_at(pool: asyncpg.Pool[Any]) -> None:
    topic = "waited"
    due = NOW - timedelta(seconds=30)
    order = placed("waited", due)
    await read_through(pool, topic, due - timedelta(seconds=1))
    keys = set(things_of(await stitch(pool, [order])))
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await watch.lock(db, keys)
        waiting = asyncio.create_task(scorer(pool, topic).stories(keys))
        await until(lambda: _blocked(pool))
        await read_through(pool, topic, due + timedelta(seconds=1))
        await transaction.commit()
    await waiting
    assert len(await late(pool, [order])) == 1


async def test_a_story_of_which_nothing_is_another_is_not_written(pool: asyncpg.Pool[Any]) -> None:
    topic = "unwritten"
    await read_through(pool, topic, NOW)
    order = placed("unwritten", NOW + timedelta(days=1))
    key, transactions = order.things[0].id, scorer(pool, topic)
    await judge(pool, transactions, [order])

    async def row() -> tuple[Any, ...]:
        return tuple(await pool.fetchrow("SELECT due_at, revision, ctid FROM watch WHERE id = $1", key))

    first = await row()
    assert first[0] is not None
    await transactions.stories([key])
    assert await row() == first
    async with pool.acquire() as db, db.transaction():
        assert await watch.lock(db, [key]) == {key: first[0]}


async def test_a_peer_that_made_a_row_meanwhile_is_waited_for(pool: asyncpg.Pool[Any]) -> None:
    """Both find no row of the story; the second one gets it, with what the first one wrote, when that has committed."""
    key, due = uuid4(), NOW + timedelta(days=1)
    async with pool.acquire() as db, pool.acquire() as other:
        transaction = db.transaction()
        await transaction.start()
        assert await watch.lock(db, [key]) == {key: None}

        async def lock() -> dict[UUID, datetime | None]:
            async with other.transaction():
                return await watch.lock(other, [key])

        waiting = asyncio.create_task(lock())
        await until(lambda: _blocked(pool))
        await watch.schedule(db, {key: due})
        await transaction.commit()
        assert await waiting == {key: due}


async def test_an_answer_that_came_while_a_peer_judged_is_found_by_one_more_look(pool: asyncpg.Pool[Any]) -> None:
    """Ann's bad rating is judged; before that is committed, an agent replies to her, and a peer judges the reply."""
    topic = "relook"
    await read_through(pool, topic, NOW)
    start = (LONG_AGO - START).total_seconds()
    ann = {"user_id": "ann of relook"}
    opened = touchpoint(1, event="Contact Opened", people=ann, things={"case": "relook"}, seconds=start)
    rated = touchpoint(
        2, event="Survey Answered", people=ann, properties={"survey": "nps", "score": 1}, seconds=start + 60
    )  # fmt: skip
    replied = touchpoint(
        3, event="Contact Replied", things={"case": "relook"}, properties={"by": "agent"}, seconds=start + 120
    )  # fmt: skip
    first, second = scorer(pool, topic), scorer(pool, topic)
    await stitch(pool, [opened])
    (hint,) = await stitch(pool, [rated])
    person = rated.people[0].id
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await first._judge.hints(db, "relook of hints", [hint], [])
        (answer,) = await stitch(pool, [replied])
        async with pool.acquire() as other, other.transaction():
            judged = await second._judge.hints(other, "relook of hints", [answer], [])
            assert judged.keys == {opened.things[0].id}, "not the person's"
        await transaction.commit()
    assert await states_of(pool, [person]) == ["open"]
    assert await pool.fetchval("SELECT due_at <= now() + interval '5 s' FROM watch WHERE id = $1", person)
    await pool.execute("UPDATE watch SET due_at = $2 WHERE id = $1", person, NOW - timedelta(seconds=1))
    await empty(second)
    assert await states_of(pool, [person]) == ["resolved"]
    assert await pool.fetchval("SELECT due_at FROM watch WHERE id = $1", person) is None


async def test_one_more_look_asks_for_no_third(pool: asyncpg.Pool[Any]) -> None:
    topic = "no third"
    await read_through(pool, topic, NOW)
    rated = touchpoint(
        1, event="Survey Answered", people={"user_id": "ann of no third"}, properties={"survey": "nps", "score": 1},
        seconds=(LONG_AGO - START).total_seconds(),
    )  # fmt: skip
    transactions = scorer(pool, topic)
    person = rated.people[0].id
    await transactions.stories(set(things_of(await stitch(pool, [rated]))), relook=True)
    assert await watch_of(pool, person) is not None
    await pool.execute("UPDATE watch SET due_at = $2 WHERE id = $1", person, NOW - timedelta(seconds=1))
    await empty(transactions)
    assert await states_of(pool, [person]) == ["open"]
    due = await watch_of(pool, person)
    assert due is None or due > datetime.now(UTC) + timedelta(minutes=1)


async def watch_of(pool: asyncpg.Pool[Any], story: UUID) -> datetime | None:
    due: datetime | None = await pool.fetchval("SELECT due_at FROM watch WHERE id = $1", story)
    return due
