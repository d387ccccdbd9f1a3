"""Mailboxes that turn out to be a till's: what is theirs is judged without the till's purchases from then on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from pathline.domain.bonds import MAILBOX_LIMIT
from pathline.domain.identifiers import name_id
from pathline.storage import stitching
from pathline.storage.stitching import NEAR
from services.scorer.transactions import Transactions
from tests.support.people import Saying, Stitcher, browses, says
from tests.support.scoring import in_hand, scorer, states_of
from tests.support.stitching import read_through

pytestmark = pytest.mark.integration

Pool: TypeAlias = "asyncpg.Pool[Any]"


def box(number: int) -> str:
    return f"{number}@example.com"


def receipt(number: int) -> Saying:
    named = {"order_id": f"o{number}", "email": box(number)}
    return says(60 + number, "Order Completed", userId="till", properties=named)


def left_checkout(number: int) -> Saying:
    return says(1, "Checkout Started", properties={"checkout_id": "left", "email": box(number)})


class Shop:
    """A stitcher and a scorer that judges by its hints, in a namespace of their own."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.run = uuid4().hex[:8]
        self.stitcher = Stitcher(pool, f"touchpoints-{self.run}")
        self.scorer: Transactions = scorer(pool, f"touchpoints-{self.run}")
        self.checkout = name_id(self.run, "checkout", "left")

    async def open(self) -> None:
        await self.stitcher.take()
        # Read up to now, so that deadlines wait for nothing.
        await read_through(self.pool, self.stitcher.topic, datetime.now(UTC) + timedelta(hours=1))

    async def tell(self, *said: Saying) -> list[set[Any]]:
        """Stitch these as one batch, judge by its hints, and return whom each says has another customer."""
        done = await self.stitcher.tell([one.record(self.run) for one in said])
        topic = f"journeys-{self.run}"
        await read_through(self.pool, topic, datetime.now(UTC))
        await self.pool.execute("UPDATE fence SET next_offset = 0, epoch = 1 WHERE topic = $1", topic)
        partitions, batch = in_hand(self.pool, topic, done.hints)
        await self.scorer.batch(batch, partitions)
        return [set(hint.moved) for hint in done.hints]

    def boxes(self, *numbers: int) -> set[Any]:
        return {name_id(self.run, "email", box(number)) for number in numbers}


async def test_a_checkout_that_only_the_tills_orders_had_answered_is_told_of_once_it_is_known_for_a_till(
    pool: Pool,
) -> None:
    shop = Shop(pool)
    await shop.open()
    await shop.tell(left_checkout(0), receipt(0))
    await shop.tell(*(receipt(n) for n in range(1, MAILBOX_LIMIT)))
    assert await states_of(pool, [shop.checkout]) == []
    # A mailbox that nobody met before, and nothing that would answer a checkout: no order of the till's.
    await shop.tell(says(200, "identify", userId="till", traits={"email": box(MAILBOX_LIMIT)}))
    assert await states_of(pool, [shop.checkout]) == ["open"]


async def test_who_is_let_go_is_told_of_once_and_near_the_limit(pool: Pool) -> None:
    shop = Shop(pool)
    await shop.open()
    few = MAILBOX_LIMIT - NEAR
    assert await shop.tell(*(receipt(n) for n in range(few))) == [set()] * few
    (near,) = await shop.tell(receipt(few))
    assert near > shop.boxes(*range(few))
    # However many come at once, and whichever key told of them first.
    many = await shop.tell(*(receipt(n) for n in range(few + 1, 2 * MAILBOX_LIMIT)))
    assert set.union(*many) > shop.boxes(*range(few + 1))
    (beyond,) = await shop.tell(receipt(2 * MAILBOX_LIMIT))
    assert beyond == set()
    # By browsers' word the same user has none yet.
    (other,) = await shop.tell(browses(200, "identify", userId="till", traits={"email": "x@example.com"}))
    assert other == set()


async def test_of_two_that_make_a_till_together_each_names_all_before_it(pool: Pool) -> None:
    """Neither sees the mailbox of the other, as each is written before the other is committed."""
    shop = Shop(pool)
    await shop.open()
    await shop.tell(*(receipt(n) for n in range(MAILBOX_LIMIT - 1)))

    async def link(db: Any, number: int) -> set[Any]:
        batch, _ = shop.stitcher.batch([receipt(number).record(shop.run)])
        assert batch.changes is not None
        known = await stitching.read_pointers(db, [one.id for one in batch.changes.people])
        moved = await stitching.write_people(db, batch.changes.people, batch.changes.parents, known)
        return {one for move in moved for one in move.ids}

    async with pool.acquire() as one, pool.acquire() as other, one.transaction(), other.transaction():
        told = [await link(one, MAILBOX_LIMIT - 1), await link(other, MAILBOX_LIMIT)]
    assert all(names > shop.boxes(*range(MAILBOX_LIMIT - 1)) for names in told)
