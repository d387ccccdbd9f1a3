"""Accounts: the people of a business are seen together, in every order of telling, and never joined."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from pathline.domain.identifiers import name_id
from pathline.storage import accounts, keys
from services.stitcher.transaction import stitch
from tests.support.people import BASE, Saying, Stitcher, browses, cut, doubled, groups, look, says
from tests.support.world import STAGES

pytestmark = pytest.mark.integration

Pool: TypeAlias = "asyncpg.Pool[Any]"

LOG = [
    says(0, "group", userId="ann", groupId="acme", traits={"name": "Acme", "email": "office@acme.example"}),
    says(9, "group", userId="ann", groupId="acme"),
    says(5, "identify", userId="bob", anonymousId="bobs", context={"groupId": "acme"}, traits={"name": "Bob"}),
    browses(1, "page", anonymousId="bobs", context={"groupId": "acme"}),
    browses(7, "group", userId="mallory", groupId="acme"),
    says(8, "group", userId="cem", groupId="other"),
    says(8, "Order Refunded", context={"groupId": "acme"}, properties={"order_id": "1", "email": "payer@example.com"}),
    says(8, "group", userId="dee", groupId="undefined"),
]


async def told(pool: Pool, log: list[Saying], seed: int) -> Stitcher:
    """A stitcher after the log, in an order of its own, in a namespace that a write key gives."""
    run, chance = uuid4().hex[:8], random.Random(seed)
    stitcher = Stitcher(pool, run)
    await stitcher.take()
    for batch in cut(doubled([one.record(run) for one in log], chance), chance, 3):
        await stitcher.tell(batch)
    return stitcher


async def of(pool: Pool, namespace: str, value: str, limit: int = 100) -> accounts.Account | None:
    """The account as it is in this namespace alone."""
    async with pool.acquire() as db, db.transaction():
        await db.execute("DELETE FROM write_key")
        await keys.create(db, name="key", key="key", kind="server", namespace=namespace)
        return await accounts.lookup(db, value, limit)


@pytest.mark.parametrize("seed", range(4))
async def test_the_people_of_a_business_are_seen_together_and_never_joined(pool: Pool, seed: int) -> None:
    run = (await told(pool, LOG, seed)).topic
    acme = await of(pool, run, "acme")
    assert acme is not None and not acme.truncated
    assert [(m.caller.value, m.caller.name, m.since - BASE, m.trusted) for m in acme.members] == [
        ("bob", "Bob", timedelta(minutes=1), True),  # since his browser was there, whoever it was then
        ("ann", None, timedelta(0), True),
        ("mallory", None, timedelta(minutes=7), False),
    ]
    other = await of(pool, run, " other ")
    assert other is not None and [m.caller.value for m in other.members] == ["cem"]
    assert await of(pool, run, "undefined") is None
    assert await of(pool, run, "nobody") is None
    found = await look(pool, run, run)
    # The account's own mailbox is no person's.
    assert found.customers == groups("ann", "bob bobs", "mallory", "cem", "dee", "payer@example.com")


async def test_accounts_of_two_namespaces_are_two(pool: Pool) -> None:
    first = (await told(pool, LOG[:2], 0)).topic
    second = (await told(pool, [says(0, "group", userId="eve", groupId="acme")], 0)).topic
    for run, member in ((first, "ann"), (second, "eve")):
        acme = await of(pool, run, "acme")
        assert acme is not None and [m.caller.value for m in acme.members] == [member]


async def test_those_that_a_server_told_of_are_read_first_and_no_more_than_the_limit(pool: Pool) -> None:
    log = [browses(50 + n, "group", userId=f"b{n}", groupId="big") for n in range(20)]
    log += [says(n, "group", userId=f"s{n}", groupId="big") for n in range(3)]
    run = (await told(pool, log, 1)).topic
    big = await of(pool, run, "big", 5)
    assert big is not None and big.truncated
    assert [m.caller.value for m in big.members] == ["s2", "s1", "s0", "b19", "b18"]


async def test_a_member_who_is_known_holds_nobody_up(pool: Pool) -> None:
    """Two stitchers have the same person of one business in hand; only the strand of that person is waited for."""
    stitcher = await told(pool, [says(0, "group", userId="ann", groupId="acme")], 0)
    run = stitcher.topic
    second = Stitcher(pool, run, 1)
    await second.take()
    batch, move = stitcher.batch([says(5, "group", userId="ann", groupId="acme").record(run)])
    async with pool.acquire() as db, db.transaction():
        await stitch(db, run, batch, [move], STAGES, {})
        locked = (
            "SELECT count(*) FROM (SELECT 1 FROM account_member WHERE account_id = $1 FOR UPDATE SKIP LOCKED) AS free"
        )
        assert await asyncio.wait_for(pool.fetchval(locked, name_id(run, "account", "acme")), 30) == 1
        await second.tell([says(6, "group", userId="bob", groupId="acme").record(run)])


async def accounts_of(pool: Pool, run: str, *users: str) -> list[str]:
    async with pool.acquire() as db:
        return await accounts.of(db, [name_id(run, "user_id", user) for user in users])


async def test_a_customer_has_those_that_a_server_told_of_first_and_no_more_than_the_limit(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MAX_ACCOUNTS", 4)
    log = [browses(50 + n, "group", userId="ann", groupId=f"b{n}") for n in range(20)]
    log += [says(n, "group", userId="ann", groupId=f"s{n}") for n in range(2)]
    log += [says(9, "group", userId="bob", groupId="s0")]
    run = (await told(pool, log, 1)).topic
    assert await accounts_of(pool, run, "ann", "bob") == ["s0", "s1", "b19", "b18"]
    assert await accounts_of(pool, run, "bob") == ["s0"]
    assert await accounts_of(pool, run, "nobody") == []


async def test_what_an_earlier_version_noted_without_a_name_gets_one_when_it_is_told_again(pool: Pool) -> None:
    first = [says(n, "group", userId="ann", groupId=f"a{n}") for n in range(2)]
    stitcher = await told(pool, first, 1)
    run = stitcher.topic
    await pool.execute(
        "UPDATE account_member SET account = NULL WHERE identifier_id = $1", name_id(run, "user_id", "ann")
    )
    assert await accounts_of(pool, run, "ann") == []
    await stitcher.tell([says(9, "group", userId="ann", groupId="a1").record(run)])
    assert await accounts_of(pool, run, "ann") == ["a1"]
    lines = await pool.fetch("SELECT since FROM account_member WHERE account_id = $1", name_id(run, "account", "a1"))
    assert [row["since"] - BASE for row in lines] == [timedelta(minutes=1)]
