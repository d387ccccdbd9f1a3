"""Customers whose alerts add up, against a real PostgreSQL: crossing the line, falling below it, merges, splits, kills."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pathline.consuming.persistence import Persistence
from pathline.contracts import detector_files
from pathline.domain.alerts import Alert, Moved, Resolve
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.identifiers import Identifier
from pathline.domain.risk import Pain, falls_below
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.health import Health
from pathline.storage import alerts, customers, fences, risks, words
from services.scorer.metrics import ScorerMetrics
from services.scorer.risks import Composer
from services.scorer.transactions import Transactions
from services.stitcher.herald import hint_of
from tests.support.operators import SAID, act_of
from tests.support.scoring import NOW, in_hand, judge, metric, scorer
from tests.support.stitching import read_through, stitch
from tests.support.world import START, touchpoint

pytestmark = pytest.mark.integration

FILES = detector_files.load().files
RISKY = Detectors([FILES["detractor"], FILES["journey_risk"]])
HOUR = timedelta(hours=1)


def composer(pool: asyncpg.Pool[Any], transactions: Transactions) -> Composer:
    failures = ScorerMetrics(CollectorRegistry(), "t", RISKY.files).failures
    return Composer(pool, transactions._judge, Persistence(Health(), failures), transactions)


async def settle(*composers: Composer) -> None:
    """Look until nobody is asked for and nobody is due."""
    while any(await asyncio.gather(*(one.step() for one in composers))):
        pass


def rated(case: str, people: dict[str, str], *, number: int = 1, ago: timedelta = HOUR, **more: Any) -> Touchpoint:
    one = touchpoint(
        number, event="Survey Answered", people=people, things={"case": case}, source=case,
        properties={"survey": "nps", "score": 0}, seconds=(NOW - ago - START).total_seconds(), **more,
    )  # fmt: skip
    return msgspec.structs.replace(one, message_id=f"{case}-{number}")


def replied(case: str) -> Touchpoint:
    one = touchpoint(
        9, event="Contact Replied", things={"case": case}, properties={"by": "agent"}, source=case,
        seconds=(NOW - START).total_seconds(),
    )  # fmt: skip
    return msgspec.structs.replace(one, message_id=f"{case}-9")


async def composite(pool: asyncpg.Pool[Any], *names: Identifier) -> list[Alert]:
    """The journey_risk of these, oldest first."""
    async with pool.acquire() as db:
        found = await alerts.list_alerts(db, detector=["journey_risk"], subjects=[one.id for one in names])
    return sorted(found, key=lambda one: one.opened_at)


async def begin(pool: asyncpg.Pool[Any], topic: str, told: Sequence[Touchpoint]) -> tuple[Transactions, Composer]:
    await read_through(pool, topic, NOW)
    transactions = scorer(pool, topic, RISKY)
    await judge(pool, transactions, told)
    return transactions, composer(pool, transactions)


async def test_two_alerts_add_up_and_the_end_of_one_ends_it(pool: asyncpg.Pool[Any]) -> None:
    first, second = rated("up-1", {"user_id": "up"}, ago=2 * HOUR), rated("up-2", {"user_id": "up"})
    transactions, looks = await begin(pool, "up", [first])
    await settle(looks)
    assert await composite(pool, first.people[0]) == []
    await judge(pool, transactions, [second])
    await settle(looks)
    (alert,) = await composite(pool, first.people[0])
    assert (alert.state, alert.severity, alert.opened_at) == ("open", "high", second.occurred_at)
    assert alert.why == (first.message_id, second.message_id)
    assert metric(transactions, "changes", "opened", "journey_risk", "high") == 1
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE alert_id = $1", alert.id) > 0
    pains = [Pain("high", first.occurred_at), Pain("high", second.occurred_at)]
    falls = falls_below(pains, 60, second.occurred_at)
    assert await pool.fetchval("SELECT due_at FROM customer_risk WHERE id = $1", alert.entity_id) == falls
    await judge(pool, transactions, [replied("up-1")])
    await settle(looks)
    (alert,) = await composite(pool, first.people[0])
    assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "eased", NOW)
    assert await pool.fetchval("SELECT count(*) FROM customer_risk WHERE id = $1", alert.entity_id) == 0


async def test_time_alone_ends_it_at_the_instant_at_which_the_score_is_below_the_line(pool: asyncpg.Pool[Any]) -> None:
    told = [rated(f"time-{n}", {"user_id": "time"}) for n in (1, 2)]
    _, looks = await begin(pool, "time", told)
    await settle(looks)
    # As if it had all been some days earlier.
    await pool.execute("UPDATE alert SET opened_at = opened_at - interval '20 days' WHERE namespace = 'default'")
    await pool.execute("UPDATE customer_risk SET due_at = now()")
    await settle(looks)
    (alert,) = await composite(pool, told[0].people[0])
    opened_at = told[0].occurred_at - timedelta(days=20)
    falls = falls_below([Pain("high", opened_at), Pain("high", opened_at)], 60, opened_at)
    assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "eased", falls)
    await settle(looks)
    assert len(await composite(pool, told[0].people[0])) == 1


async def test_what_a_person_calls_no_problem_counts_no_more_and_alerts_anew_by_another_alert_only(
    pool: asyncpg.Pool[Any],
) -> None:
    told = [rated(f"word-{n}", {"user_id": "word"}) for n in (1, 2)]
    transactions, looks = await begin(pool, "word", told)
    await settle(looks)
    (alert,) = await composite(pool, told[0].people[0])
    async with pool.acquire() as db, db.transaction():
        moved = await alerts.move(db, alert.id, Resolve("not_a_problem"), "a person", await fences.clock(db))
    assert isinstance(moved, Moved)
    await settle(looks)
    assert [one.state for one in await composite(pool, told[0].people[0])] == ["resolved"]
    await judge(pool, transactions, [rated("word-3", {"user_id": "word"}, ago=HOUR / 2)])
    await settle(looks)
    found = await composite(pool, told[0].people[0])
    assert [(one.state, one.episode) for one in found] == [("resolved", 1), ("open", 2)]
    async with pool.acquire() as db:
        terms = await alerts.list_alerts(db, detector=["detractor"], subjects=[one.things[0].id for one in told])
        for term in terms:
            async with db.transaction():
                await alerts.move(db, term.id, Resolve("not_a_problem"), "a person", await fences.clock(db))
    await settle(looks)
    assert [one.state for one in await composite(pool, told[0].people[0])] == ["resolved", "resolved"]


async def test_two_customers_with_one_trouble_each_turn_out_to_be_one(pool: asyncpg.Pool[Any]) -> None:
    mine = rated("one-1", {"anonymous_id": "one-v"}, ago=2 * HOUR)
    other = rated("one-2", {"user_id": "one-u"})
    transactions, looks = await begin(pool, "one", [mine, other])
    await settle(looks)
    assert await composite(pool, mine.people[0], other.people[0]) == []
    await merged(pool, "one", transactions, visitor=mine.people[0], user=other.people[0])
    await settle(looks)
    (alert,) = await composite(pool, mine.people[0], other.people[0])
    assert (alert.state, alert.entity_id) == ("open", other.people[0].id)


async def test_of_two_that_were_alerted_the_older_stays_and_nothing_is_told_again(pool: asyncpg.Pool[Any]) -> None:
    visitor, user = {"anonymous_id": "both-v"}, {"user_id": "both-u"}
    mine = [rated(f"both-{n}", visitor, ago=3 * HOUR) for n in (1, 2)]
    other = [rated(f"both-{n}", user, ago=HOUR) for n in (3, 4)]
    transactions, looks = await begin(pool, "both", [*mine, *other])
    await settle(looks)
    names = (mine[0].people[0], other[0].people[0])
    assert [one.state for one in await composite(pool, *names)] == ["open", "open"]
    await merged(pool, "both", transactions, visitor=names[0], user=names[1])
    await settle(looks)
    older, younger = await composite(pool, *names)
    assert (older.state, older.entity_id) == ("open", names[0].id)
    assert (younger.state, younger.resolution) == ("resolved", "merged")
    spent = "SELECT count(*) FROM alert_cause WHERE alert_id = $1"
    assert [await pool.fetchval(spent, one.id) for one in (older, younger)] == [4, 0]
    # What stays is what a person deals with; the other does not come back for it.
    async with pool.acquire() as db, db.transaction():
        await alerts.move(db, older.id, Resolve("not_a_problem"), "a person", await fences.clock(db))
    await settle(looks)
    assert [one.state for one in await composite(pool, *names)] == ["resolved", "resolved"]


async def test_a_scorer_that_dies_between_an_alert_and_the_risk_leaves_it_to_its_peers_who_alert_once(
    pool: asyncpg.Pool[Any],
) -> None:
    told = [rated(f"kill-{n}-{m}", {"user_id": f"kill-{n}"}) for n in range(20) for m in (1, 2)]
    await begin(pool, "kill", told)
    # It dies with looks in hand: what was not committed is there again.
    async with pool.acquire() as db:
        dying = db.transaction()
        await dying.start()
        assert await risks.take(db, 10)
        await dying.rollback()
    peers = [composer(pool, scorer(pool, "kill", RISKY)) for _ in range(3)]
    await settle(*peers)
    found = await composite(pool, *{one.people[0] for one in told})
    assert len(found) == 20
    assert await pool.fetchval("SELECT count(*) FROM risk_look") == 0


async def test_history_alerts_nobody(pool: asyncpg.Pool[Any]) -> None:
    told = [rated(f"past-{n}", {"user_id": "past"}, historical=True) for n in (1, 2)]
    _, looks = await begin(pool, "past", told)
    await settle(looks)
    assert await composite(pool, told[0].people[0]) == []


async def test_shadows_count_for_nothing(pool: asyncpg.Pool[Any]) -> None:
    told = [rated(f"trial-{n}", {"user_id": "trial"}) for n in (1, 2)]
    await pool.execute(
        "INSERT INTO detector (name, mode, actor, origin) VALUES ('detractor', 'shadow', 'pathline', 'file')"
    )
    try:
        _, looks = await begin(pool, "trial", told)
        await settle(looks)
        assert await composite(pool, told[0].people[0]) == []
    finally:
        await pool.execute("DELETE FROM detector")


async def test_one_whom_the_database_refuses_holds_up_nobody_else_and_is_tried_again_later(
    pool: asyncpg.Pool[Any],
) -> None:
    told = [rated(f"refuse-{n}-{m}", {"user_id": f"refuse-{n}"}) for n in range(4) for m in (1, 2)]
    names = [one.people[0] for one in told[::2]]
    refused = names[1].id
    transactions, looks = await begin(pool, "refuse", told)
    await pool.execute(_REFUSE.format(refused=refused))
    try:
        await settle(looks)
        assert {one.entity_id for one in await composite(pool, *names)} == {one.id for one in names} - {refused}
        assert metric(transactions, "failures", "story") == 1
        assert await pool.fetchval("SELECT count(*) FROM risk_look") == 0
        assert await pool.fetchval("SELECT due_at > now() FROM customer_risk WHERE id = $1", refused)
        # The same where time alone has them looked at.
        await pool.execute("UPDATE customer_risk SET due_at = now()")
        await settle(looks)
        assert metric(transactions, "failures", "story") == 2
        assert [one.revision for one in await composite(pool, *names)] == [1, 1, 1]
        assert await pool.fetchval("SELECT count(*) FROM customer_risk WHERE due_at > now()") >= len(names)
    finally:
        await pool.execute("DROP TRIGGER refuse ON alert; DROP FUNCTION refuse")
    await pool.execute("UPDATE customer_risk SET due_at = now() WHERE id = $1", refused)
    await settle(looks)
    assert {one.entity_id for one in await composite(pool, *names)} == {one.id for one in names}


async def test_who_is_split_off_takes_their_alert_away(pool: asyncpg.Pool[Any]) -> None:
    mine = [rated(f"off-{n}", {"anonymous_id": "off-v"}, ago=3 * HOUR) for n in (1, 2)]
    other = rated("off-3", {"user_id": "off-u"})
    visitor, user = mine[0].people[0], other.people[0]
    transactions, looks = await begin(pool, "off", [*mine, other])
    await settle(looks)
    await merged(pool, "off", transactions, visitor=visitor, user=user)
    await settle(looks)
    (alert,) = await composite(pool, visitor, user)
    assert (alert.severity, alert.entity_id, await customer(pool, alert)) == ("critical", visitor.id, user.id)
    await split(pool, "off", transactions, visitor)
    await settle(looks)
    (alert,) = await composite(pool, visitor, user)
    assert (alert.state, alert.severity, await customer(pool, alert)) == ("open", "high", visitor.id)
    assert await pool.fetchval("SELECT count(*) FROM customer_risk WHERE id = $1", user.id) == 0


async def test_what_a_split_takes_away_counts_there_and_no_more_where_it_was(pool: asyncpg.Pool[Any]) -> None:
    known = touchpoint(
        1, type="identify", people={"user_id": "rest", "email": "rest@example.com"}, source="rest",
        seconds=(NOW - 2 * HOUR - START).total_seconds(),
    )  # fmt: skip
    mine, other = rated("rest-1", {"user_id": "rest"}), rated("rest-2", {"email": "rest@example.com"})
    user, mailbox = mine.people[0], other.people[0]
    transactions, looks = await begin(pool, "rest", [known, mine, other])
    await settle(looks)
    (alert,) = await composite(pool, user, mailbox)
    assert (alert.state, alert.entity_id) == ("open", user.id)
    await split(pool, "rest", transactions, mailbox)
    await settle(looks)
    (alert,) = await composite(pool, user, mailbox)
    assert (alert.state, alert.resolution) == ("resolved", "eased")
    await judge(pool, transactions, [rated("rest-3", {"email": "rest@example.com"}, ago=HOUR / 2)])
    await settle(looks)
    found = await composite(pool, user, mailbox)
    assert [(one.state, one.entity_id) for one in found] == [("resolved", user.id), ("open", mailbox.id)]


_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE check_violation USING MESSAGE = 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON alert FOR EACH ROW
WHEN (NEW.detector = 'journey_risk' AND NEW.entity_id = '{refused}') EXECUTE FUNCTION refuse()
"""


async def customer(pool: asyncpg.Pool[Any], alert: Alert) -> UUID:
    async with pool.acquire() as db:
        return (await customers.of_alerts(db, [alert]))[alert.id]


async def split(pool: asyncpg.Pool[Any], topic: str, transactions: Transactions, name: Identifier) -> None:
    """An operator splits a name off, and the scorer is told."""
    async with pool.acquire() as db, db.transaction():
        act = act_of(await words.split(db, name.id, None, SAID))
    # A partition of its own: the other may have a batch behind it.
    await read_through(pool, f"{topic}.words", NOW)
    partitions, batch = in_hand(pool, f"{topic}.words", [hint_of(act)])
    await transactions.batch(batch, partitions)


async def merged(
    pool: asyncpg.Pool[Any], topic: str, transactions: Transactions, *, visitor: Identifier, user: Identifier
) -> None:
    """The two names turn out to be one customer's, and the scorer is told."""
    said = touchpoint(
        99, type="identify", people={"user_id": user.value, "anonymous_id": visitor.value}, source=topic,
        seconds=(NOW - START).total_seconds(),
    )  # fmt: skip
    hints = [msgspec.structs.replace(one, moved=[visitor.id]) for one in await stitch(pool, [said])]
    assert hints
    partitions, batch = in_hand(pool, topic, hints)
    await transactions.batch(batch, partitions)
