"""What is judged anew after an operator's word, and by what a customer does, in real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.alerts import Notice
from pathline.domain.identifiers import Identifier
from pathline.domain.judging import Change
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import customers, entities, judgements, stories
from tests.support import plans
from tests.support.alerts import alert_about
from tests.support.operators import Shop, act_of
from tests.support.statements import Recorder
from tests.support.world import touchpoint

pytestmark = pytest.mark.integration


async def test_what_hangs_on_a_customer_elsewhere_is_judged_anew_after_a_word(pool: Any) -> None:
    shop = Shop(pool)
    order = Identifier(shop.namespace, "order", "1001")
    bought = touchpoint(
        3, event="Order Completed", people={"email": "a@b"}, things={"order": "1001"}, seconds=3,
        namespace=shop.namespace, source=shop.namespace,
    )  # fmt: skip
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "user_id:bob"), bought)
    async with pool.acquire() as db, db.transaction():
        alert = alert_about(order)
        notice = Notice("opened", "pathline", alert.updated_at, alert)
        await judgements.keep(db, [Change(alert, notice, causes=(f"{alert.id}",), new=True)])
    act = act_of(await shop.split("email:a@b", "user_id:bob"))
    async with pool.acquire() as db:
        # By the hint of the act, and by whatever the new parent does from now on.
        for people_ids in (act.moved, [shop.name("user_id:bob").id]):
            assert order.id in await stories.neighbours(db, people_ids, [], 100)
        whole = await customers.whole(db, shop.name("user_id:bob").id)
        assert [thing.id for thing in whole.things] == [order.id]
        assert (await customers.of_alerts(db, [alert]))[alert.id] == shop.name("user_id:bob").id
        assert not (await customers.whole(db, shop.name("user_id:ann").id)).things


async def test_of_a_tills_thousands_no_more_is_judged_anew_than_the_limit_and_its_open_checkout_is(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entities, "MAX_OWNED", 2)
    shop = Shop(pool)

    def bought(number: int) -> Touchpoint:
        return touchpoint(
            number, event="Order Completed", people={"user_id": "till"}, things={"order": f"{number}"}, seconds=number,
            namespace=shop.namespace, source=shop.namespace,
        )  # fmt: skip

    begun = touchpoint(
        99, event="Checkout Started", people={"user_id": "till"}, things={"checkout": "c"}, seconds=99,
        namespace=shop.namespace, source=shop.namespace,
    )  # fmt: skip
    await shop.stitch(*(bought(number) for number in range(1, 9)), begun)
    orders = [Identifier(shop.namespace, "order", f"{number}") for number in range(1, 9)]
    checkout = Identifier(shop.namespace, "checkout", "c")
    async with pool.acquire() as db, db.transaction():
        for thing in (*orders, checkout):
            alert = alert_about(thing)
            notice = Notice("opened", "pathline", alert.updated_at, alert)
            await judgements.keep(db, [Change(alert, notice, causes=(f"{alert.id}",), new=True)])
    async with pool.acquire() as db:
        found = await stories.neighbours(db, [shop.name("user_id:till").id], [], 100)
    assert checkout.id in found
    assert 2 <= len({order.id for order in orders}.intersection(found)) <= 3


_BOT = """
WITH browsers AS (
    INSERT INTO identifier (id, namespace, kind, value, strength, parent_id, parent_trusted, parent_at)
    SELECT gen_random_uuid(), $2, 'anonymous_id', n::text, 3, $1, true, now() - n * interval '1 second'
    FROM generate_series(1, $3) AS n RETURNING id, value
)
INSERT INTO identifier (id, namespace, kind, value, strength, parent_id, parent_trusted, parent_at)
SELECT gen_random_uuid(), $2, 'device_id', b.value || '-' || n, 4, b.id, true, now()
FROM browsers b, generate_series(1, $4) AS n
"""


async def test_below_a_bots_thousands_of_names_no_more_are_looked_through_than_the_limit(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what hangs on the names of somebody else, asked for together with the bot, is found all the same."""
    monkeypatch.setattr(stories, "MAX_NEAR", 50)
    shop = Shop(pool)
    ann, begun = shop.tell(1, "user_id:ann", "anonymous_id:a"), touchpoint(
        2, event="Checkout Started", people={"device_id": "d"}, things={"checkout": "c"}, seconds=2,
        namespace=shop.namespace, source=shop.namespace,
    )  # fmt: skip
    linked = shop.tell(3, "anonymous_id:a", "device_id:d")
    await shop.stitch(ann, begun, linked, shop.tell(4, "user_id:bot"))
    bot = shop.name("user_id:bot").id
    await pool.execute(_BOT, bot, shop.namespace, 100, 100)
    await pool.execute("ANALYZE identifier")
    async with pool.acquire() as db:
        noting = Recorder(db)
        found = await stories.neighbours(noting, [bot, ann.people[0].id], [], 100, which="all")
        read = await plans.parts(db, *list(noting.statements.items())[-1])
    assert Identifier(shop.namespace, "checkout", "c").id in found
    looked_through = sum(part.rows for part in read if part.relation == "identifier")
    assert 50 <= looked_through < 1_000
