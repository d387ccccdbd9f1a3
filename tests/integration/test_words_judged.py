"""What is judged anew after an operator's word, and by what a customer does, in real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.alerts import Notice
from pathline.domain.identifiers import Identifier
from pathline.domain.judging import Change
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import customers, entities, judgements, stories
from tests.support.alerts import alert_about
from tests.support.operators import Shop, act_of
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
