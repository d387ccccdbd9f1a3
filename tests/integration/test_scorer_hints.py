"""Hints in the scorer's transaction: the fence, a commit whose answer was lost, what is judged because of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from pathline.domain.detectors.compiled import Detectors
from pathline.domain.facts import FOLD_VERSION
from pathline.storage import alerts, outbox, stitching
from pathline.storage.fences import FenceLostError
from pathline.storage.stitching import NewerStateError
from services.scorer.judgement import things_of
from services.scorer.transactions import RevokedError
from tests.support.scoring import DETECTORS, LONG_AGO, NOW, in_hand, judge, late, metric, placed, scorer, states_of
from tests.support.stitching import read_through, stitch
from tests.support.world import START, touchpoint

pytestmark = pytest.mark.integration


async def test_a_commit_whose_answer_was_lost_is_seen_to_have_happened(pool: asyncpg.Pool[Any]) -> None:
    topic = "ambiguous"
    await read_through(pool, topic, NOW)
    order = placed("ambiguous", NOW - timedelta(days=1))
    transactions = scorer(pool, topic)
    partitions, batch = in_hand(pool, topic, await stitch(pool, [order]))
    await transactions.batch(batch, partitions)
    # The connection broke in COMMIT: as far as we know the partition stands where it did.
    partitions.owned[0].committed = 0
    await transactions.batch(batch, partitions)
    assert partitions.owned[0].committed == 1
    assert len(await late(pool, [order])) == 1


async def test_a_partition_that_a_peer_took_is_not_written(pool: asyncpg.Pool[Any]) -> None:
    topic = "taken"
    await read_through(pool, topic, NOW)
    order = placed("taken", NOW - timedelta(days=1))
    partitions, batch = in_hand(pool, topic, await stitch(pool, [order]))
    await pool.execute("UPDATE fence SET epoch = 2 WHERE topic = $1", topic)
    transactions = scorer(pool, topic)
    with pytest.raises(FenceLostError):
        await transactions.batch(batch, partitions)
    partitions.owned.clear()
    with pytest.raises(RevokedError):
        await transactions.batch(batch, partitions)
    assert await late(pool, [order]) == []


async def test_what_changes_hands_is_judged_on_both_sides(pool: asyncpg.Pool[Any]) -> None:
    """An agent had replied in a case of nobody's order: once the order is hers, her bad rating is answered."""
    topic = "hands"
    await read_through(pool, topic, NOW)
    start = (LONG_AGO - START).total_seconds()
    rated = touchpoint(
        1, event="Survey Answered", people={"user_id": "ann of hands"}, properties={"survey": "nps", "score": 1},
        seconds=start,
    )  # fmt: skip
    replied = touchpoint(
        2, event="Contact Replied", things={"case": "hands", "order": "hands"}, properties={"by": "agent"},
        seconds=start + 60,
    )  # fmt: skip
    claimed = touchpoint(
        3, event="Order Updated", people={"user_id": "ann of hands"}, things={"order": "hands"}, seconds=start + 120
    )  # fmt: skip
    transactions = scorer(pool, topic)
    states = []
    for one in (rated, replied, claimed):
        await pool.execute("UPDATE fence SET next_offset = 0 WHERE topic = $1", topic)
        partitions, batch = in_hand(pool, topic, await stitch(pool, [one]))
        await transactions.batch(batch, partitions)
        async with pool.acquire() as db:
            found = await alerts.list_alerts(db, subjects=[rated.people[0].id])
        states.append([(a.detector, a.state) for a in found])
    assert states == [[("detractor", "open")], [("detractor", "open")], [("detractor", "resolved")]]


async def test_customers_with_much_elsewhere_are_judged_hint_by_hint(pool: asyncpg.Pool[Any]) -> None:
    """Each left two checkouts and then ordered: six checkouts to be answered, three at a time."""
    topic = "many"
    await read_through(pool, topic, NOW)
    start = (LONG_AGO - START).total_seconds()
    people = [{"user_id": f"many {n}"} for n in range(3)]
    left = [
        touchpoint(
            10 * n + m, event="Checkout Started", people=person, things={"checkout": f"many-{n}-{m}"}, seconds=start
        )
        for n, person in enumerate(people)
        for m in range(2)
    ]
    transactions = scorer(pool, topic, neighbours=3)
    await judge(pool, transactions, left)
    checkouts = [one.things[0].id for one in left]
    assert await states_of(pool, checkouts) == ["open"] * 6
    ordered = [
        touchpoint(100 + n, event="Order Completed", people=person, things={"order": f"many-{n}"}, seconds=start + 60)
        for n, person in enumerate(people)
    ]
    partitions, batch = in_hand(pool, topic, await stitch(pool, ordered))
    await transactions.batch(batch, partitions)
    assert await states_of(pool, checkouts) == ["resolved"] * 6
    assert metric(transactions, "cut") == 0
    assert partitions.owned[0].committed == 1


@pytest.mark.parametrize("table", ["entity", "strand"])
async def test_a_state_of_a_newer_version_is_left_alone(pool: asyncpg.Pool[Any], table: str) -> None:
    topic = f"newer {table}"
    await read_through(pool, topic, NOW)
    one = (
        placed("newer", NOW - timedelta(days=1))
        if table == "entity"
        else touchpoint(1, event="Survey Answered", people={"user_id": "n"}, properties={"survey": "nps", "score": 1})
    )
    keys = set(things_of(await stitch(pool, [one])))
    await pool.execute(f"UPDATE {table} SET fold_version = {FOLD_VERSION + 1} WHERE id = ANY($1::uuid[])", list(keys))
    with pytest.raises(NewerStateError):
        await scorer(pool, topic).stories(keys)


async def test_what_was_given_up_long_ago_is_forgotten(pool: asyncpg.Pool[Any]) -> None:
    await pool.execute(
        "INSERT INTO outbox (endpoint, delivery_id, alert_id, payload, created_at, next_attempt_at, failed_at)"
        " SELECT 'webhook', 'prune ' || days, gen_random_uuid(), '{}', at, at, at"
        " FROM generate_series(30, 27, -1) AS days, LATERAL (SELECT now() - days * interval '1 day' AS at) AS aged"
    )
    async with pool.acquire() as db:
        assert await outbox.prune(db, datetime.now(UTC) - timedelta(days=28, hours=1)) == 2


async def test_a_refused_story_keeps_nobody_from_what_its_customer_has_elsewhere(pool: asyncpg.Pool[Any]) -> None:
    """The order's own alert is refused; the checkout that it answers is answered all the same."""
    topic = "refused elsewhere"
    await read_through(pool, topic, NOW)
    start = (LONG_AGO - START).total_seconds()
    left = touchpoint(
        1, event="Checkout Started", people={"user_id": "buyer of elsewhere"}, things={"checkout": "elsewhere"},
        seconds=start,
    )  # fmt: skip
    files = dict(DETECTORS.files)
    files["late_vs_promise"] = msgspec.structs.replace(files["late_vs_promise"], title="Late" + chr(0))
    transactions = scorer(pool, topic, Detectors([*files.values()]))
    await judge(pool, transactions, [left])
    checkout = left.things[0].id
    assert await states_of(pool, [checkout]) == ["open"]
    ordered = placed("elsewhere", NOW - timedelta(days=1), at=LONG_AGO + timedelta(minutes=1), number=2)
    partitions, batch = in_hand(pool, topic, await stitch(pool, [ordered]))
    await transactions.batch(batch, partitions)
    assert metric(transactions, "failures", "story") == 1
    assert partitions.owned[0].committed == 1
    assert await states_of(pool, [checkout]) == ["resolved"]


@pytest.mark.parametrize("table", ["entity", "strand"])
async def test_a_state_says_which_version_wrote_it_last(
    pool: asyncpg.Pool[Any], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    name = f"version of {table}"
    ordered = touchpoint(1, event="Order Completed", people={"user_id": name}, things={"order": name})
    surveyed = touchpoint(
        2, event="Survey Answered", people={"user_id": name}, properties={"survey": "nps", "score": 9}
    )
    again = [msgspec.structs.replace(one, message_id=f"{one.message_id} again") for one in (ordered, surveyed)]
    await stitch(pool, [ordered, surveyed])
    monkeypatch.setattr(stitching, "FOLD_VERSION", FOLD_VERSION + 1)
    await stitch(pool, again)
    written = {"entity": ordered.things[0].id, "strand": surveyed.people[0].id}[table]
    assert await pool.fetchval(f"SELECT fold_version FROM {table} WHERE id = $1", written) == FOLD_VERSION + 1
    monkeypatch.undo()
    await pool.execute(f"UPDATE {table} SET fold_version = {FOLD_VERSION} WHERE id = $1", written)


async def test_a_notice_that_waits_for_too_long_is_forgotten_too(pool: asyncpg.Pool[Any]) -> None:
    await pool.execute(
        "INSERT INTO outbox (endpoint, delivery_id, alert_id, payload, created_at, next_attempt_at)"
        " SELECT 'webhook', 'wait ' || days, gen_random_uuid(), '{}', now() - days * interval '1 day', now()"
        " FROM generate_series(27, 30) AS days"
    )
    async with pool.acquire() as db:
        assert await outbox.prune(db, datetime.now(UTC) - timedelta(days=28, hours=1)) == 2
    await pool.execute("DELETE FROM outbox WHERE delivery_id LIKE 'wait %'")
