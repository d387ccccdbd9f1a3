"""Who is whom: each scenario of docs/people.md, through the stitcher's whole transaction, in every order of telling."""

from __future__ import annotations

import asyncio
import random
import unicodedata
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pathline.domain.bonds import MAILBOX_LIMIT
from pathline.domain.identifiers import name_id
from pathline.domain.people import MAX_JOINED, MAX_STRANDS
from pathline.storage import customers, people, strands
from services.stitcher.transaction import stitch
from tests.support.letters import Stitcher as Running
from tests.support.people import Saying, Stitcher, browses, doubled, every_order, groups, look, says
from tests.support.records import until
from tests.support.world import STAGES

pytestmark = pytest.mark.integration

Pool: TypeAlias = "asyncpg.Pool[Any]"


async def test_two_people_on_one_device_stay_two_and_the_device_goes_to_who_signed_in_first(pool: Pool) -> None:
    device = {"context": {"device": {"id": "tablet"}}, "anonymousId": "browser"}
    found = await every_order(
        pool,
        [
            browses(0, "page", anonymousId="browser", context=device["context"]),
            browses(5, "identify", userId="ann", **device),
            browses(60, "identify", userId="bob", **device),
            browses(90, "page", anonymousId="browser"),
        ],
    )
    assert found.customers == groups("ann browser tablet", "bob")


async def test_a_shared_mailbox_has_one_owner_and_fuses_nobody(pool: Pool) -> None:
    traits = {"email": "Family@Example.com"}
    found = await every_order(
        pool,
        [
            says(0, "identify", userId="ann", traits=traits),
            says(5, "identify", userId="bob", traits=traits),
            says(9, "Order Completed", properties={"order_id": "1", "email": "family@example.com"}),
        ],
    )
    assert found.customers == groups("ann family@example.com", "bob")
    assert found.owner("order 1") == {"ann", "family@example.com"}


async def test_a_guests_order_stays_with_the_mailbox_until_one_touchpoint_carries_both(pool: Pool) -> None:
    guest = [
        browses(0, "page", anonymousId="browser"),
        says(1, "Order Completed", anonymousId="browser", properties={"order_id": "1", "email": "ann@example.com"}),
    ]
    assert (await every_order(pool, guest)).owner("order 1") == {"ann@example.com", "browser"}
    later = browses(60, "identify", userId="ann", anonymousId="browser")
    apart = await every_order(pool, [*guest, later])
    assert apart.customers == groups("ann browser", "ann@example.com")
    assert apart.owner("order 1") == {"ann@example.com"}
    both = says(90, "identify", userId="ann", traits={"email": "ann@example.com"})
    found = await every_order(pool, [*guest, later, both])
    assert found.customers == groups("ann browser ann@example.com")
    assert found.owner("order 1") == {"ann", "browser", "ann@example.com"}


async def test_a_family_account_is_one_customer_with_all_its_devices(pool: Pool) -> None:
    found = await every_order(
        pool,
        [
            says(0, "identify", userId="family", traits={"email": "mum@example.com"}),
            says(1, "identify", userId="family", traits={"email": "dad@example.com", "phone": "+12025550101"}),
            browses(2, "page", userId="family", anonymousId="mums"),
            browses(3, "page", userId="family", anonymousId="dads"),
        ],
    )
    assert found.customers == groups("family mum@example.com dad@example.com +12025550101 mums dads")


async def test_a_till_whose_user_id_is_on_every_receipt_keeps_no_mailbox(pool: Pool) -> None:
    def receipt(n: int) -> Saying:
        named = {"order_id": f"o{n}", "email": f"{n}@example.com"}
        return says(n, "Order Completed", userId="till", properties=named)

    tablet = [says(500, "page", userId="till", anonymousId=f"tablet{n}") for n in range(3)]
    few = await every_order(pool, [*map(receipt, range(MAILBOX_LIMIT)), *tablet])
    assert len(few.customers) == 1
    found = await every_order(pool, [*map(receipt, range(MAILBOX_LIMIT + 1)), *tablet])
    boxes = [f"{n}@example.com" for n in range(MAILBOX_LIMIT + 1)]
    assert found.customers == groups("till tablet0 tablet1 tablet2", *boxes)
    # The receipt names the till before the mailbox: the order is the till's.
    assert found.owner("order o1") == {"till", "tablet0", "tablet1", "tablet2"}


async def test_a_till_of_thousands_still_shows_what_is_its_own(pool: Pool) -> None:
    count = MAX_STRANDS + 2 * MAILBOX_LIMIT
    run = uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    receipts = [says(n, "identify", userId="till", traits={"email": f"{n}@example.com"}) for n in range(count)]
    tablets = [browses(0, "identify", userId="till", anonymousId="tablet", traits={"email": "own@example.com"})]
    await stitcher.tell([one.record(run) for one in (*receipts, *tablets)])
    async with pool.acquire() as db:
        family = await people.family(db, name_id(run, "user_id", "till"))
    assert {person.identifier.value for person in family.people.values()} == {"till", "tablet", "own@example.com"}


async def test_a_kiosk_of_20_000_people_belongs_to_the_first_and_fuses_nobody(pool: Pool) -> None:
    """One user stays one customer; in the order in which each proposal beats the one before, too."""
    count, run = 20_000, uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    visits = [browses(count - n, "identify", userId=f"u{n}", anonymousId="kiosk").record(run) for n in range(count)]
    for start in range(0, count, 2_000):
        await stitcher.tell(visits[start : start + 2_000])
    async with pool.acquire() as db:
        kiosk, first = name_id(run, "anonymous_id", "kiosk"), name_id(run, "user_id", f"u{count - 1}")
        some = [name_id(run, "user_id", f"u{n}") for n in random.Random(1).sample(range(count - 1), 500)]
        assert await people.roots_of(db, [kiosk, *some]) == {kiosk: first} | {one: one for one in some}
        assert len((await people.family(db, first)).people) == 2
        assert len((await people.family(db, some[0])).people) == 1
        assert await db.fetchval("SELECT count(*) FROM identifier WHERE namespace = $1", run) == count + 1


async def test_a_kiosk_holds_nobody_up(pool: Pool) -> None:
    """Two stitchers have people of one kiosk in hand at once; the second does not wait for the first."""
    run = uuid4().hex[:8]
    topic = f"touchpoints-{run}"
    first, slow, quick = (Stitcher(pool, topic, partition) for partition in range(3))
    for one in (first, slow, quick):
        await one.take()
    # The kiosk keeps the best proposal and the next best: neither is beaten by what comes.
    await first.tell([browses(n, "identify", userId=f"u{n}", anonymousId="kiosk").record(run) for n in range(2)])
    batch, move = slow.batch([browses(5, "identify", userId="slow", anonymousId="kiosk").record(run)])
    async with pool.acquire() as db, db.transaction():
        await stitch(db, topic, batch, [move], STAGES, {})
        # Not committed yet: whoever needs a row of it waits for ever.
        await asyncio.wait_for(
            quick.tell([browses(9, "identify", userId="quick", anonymousId="kiosk").record(run)]), timeout=30
        )
    assert (await look(pool, run, topic)).customers == groups("u0 kiosk", "u1", "slow", "quick")


async def test_a_bot_of_many_anonymous_ids_makes_strangers_and_costs_nobody_else(pool: Pool) -> None:
    """Each id is a row of its own: what a touchpoint locks, reads and joins is the same however many there are."""
    count, run = 5_000, uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    await stitcher.tell([browses(0, "identify", userId="ann", anonymousId="anns").record(run)])
    done = await stitcher.tell([browses(1, "page", anonymousId=f"bot{n}").record(run) for n in range(count)])
    assert done.moved == 0
    async with pool.acquire() as db:
        ids = [name_id(run, "anonymous_id", f"bot{n}") for n in range(count)]
        assert await people.roots_of(db, ids) == {one: one for one in ids}
        assert len((await customers.whole(db, name_id(run, "user_id", "ann"))).family.people) == 2


async def test_5_000_anonymous_ids_onto_one_user_are_read_up_to_the_limit(pool: Pool) -> None:
    count, run = 5_000, uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    log = [browses(n, "page", userId="hoarder", anonymousId=f"v{n}") for n in range(count)]
    log += [browses(n, "page", userId=f"other{n}", anonymousId=f"o{n}") for n in range(100)]
    values = doubled([one.record(run) for one in log], random.Random(11))
    for start in range(0, len(values), 1_000):
        await stitcher.tell(values[start : start + 1_000])
    hoarder = name_id(run, "user_id", "hoarder")
    async with pool.acquire() as db:
        whole = await customers.whole(db, hoarder)
        assert whole.truncated and len(whole.family.people) == MAX_STRANDS
        newest = {f"v{count - 1 - n}" for n in range(MAX_STRANDS - 1)}
        assert {p.identifier.value for p in whole.family.people.values()} == {"hoarder", *newest}
        assert (await strands.load(db, [hoarder]))[hoarder].count == count
        every = [name_id(run, "anonymous_id", f"v{n}") for n in range(count)]
        assert set((await people.roots_of(db, every)).values()) == {hoarder}
        for n in range(100):
            other = await people.family(db, name_id(run, "user_id", f"other{n}"))
            assert not other.truncated and {p.identifier.value for p in other.people.values()} == {f"other{n}", f"o{n}"}


async def test_a_server_outranks_a_browser_that_came_first(pool: Pool) -> None:
    traits = {"email": "ann@example.com"}
    found = await every_order(
        pool, [browses(0, "identify", userId="thief", traits=traits), says(60, "identify", userId="ann", traits=traits)]
    )
    assert found.customers == groups("ann ann@example.com", "thief")


async def test_a_browser_that_backdates_a_link_gains_nothing_by_it(
    collector: httpx.AsyncClient, stitcher: Running, pool: Pool
) -> None:
    """A browser's time out of bounds is the time of receipt: to be too bold is to be the latest."""
    auth, box = ("demo-web", ""), {"email": "ann@backdated.example"}
    honest = {"userId": "backdated-ann", "traits": box, "messageId": "bd1"}
    forged = {"userId": "backdated-thief", "traits": box, "messageId": "bd2", "timestamp": "2001-01-01T00:00:00Z"}
    for call in (honest, forged):
        answer = await collector.post("/v1/identify", json=call, auth=auth)
        assert answer.status_code == httpx.codes.OK, answer.text
    await until(lambda: stored(pool, ["bd1", "bd2"]))
    assert await pool.fetchval("SELECT clamped FROM touchpoint WHERE message_id = 'bd2'")
    async with pool.acquire() as db:
        mailbox = name_id("default", "email", box["email"])
        assert await people.roots_of(db, [mailbox]) == {mailbox: name_id("default", "user_id", "backdated-ann")}


async def stored(pool: Pool, message_ids: list[str]) -> bool:
    count = await pool.fetchval("SELECT count(*) FROM touchpoint WHERE message_id = ANY($1)", message_ids)
    return bool(count == len(message_ids))


async def test_user_ids_in_a_ring_of_aliases_are_one_customer(pool: Pool) -> None:
    ring = [
        says(n, "alias", userId=user, previousId=previous)
        for n, (user, previous) in enumerate((("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")))
    ]
    found = await every_order(
        pool,
        [*ring, says(9, "identify", userId="c", traits={"email": "c@example.com"}), browses(9, "page", userId="d")],
    )
    assert found.customers == groups("a b c c@example.com", "d")
    assert found.letters == []


async def test_an_alias_of_a_browser_joins_no_two_user_ids(pool: Pool) -> None:
    """The collector refuses one (needs_server_key); what a record says all the same counts for nothing."""
    found = await every_order(
        pool,
        [
            browses(0, "page", userId="ann"),
            browses(1, "page", userId="bob"),
            browses(2, "alias", userId="ann", previousId="bob"),
        ],
    )
    assert {frozenset({"bob"}), frozenset({"ann", "bob"})} == found.customers  # the visitor `bob`, not the user


async def test_no_more_than_the_limit_of_user_ids_are_one_customer(pool: Pool) -> None:
    run = uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    chain = [says(n, "alias", userId=f"u{n + 1}", previousId=f"u{n}").record(run) for n in range(MAX_JOINED + 5)]
    random.Random(5).shuffle(chain)
    done = [await stitcher.tell(chain[:50]), await stitcher.tell(chain[50:])]
    letters = [letter for one in done for letter in one.letters]
    assert letters and {letter.code for letter in letters} == {"join_too_large"}
    async with pool.acquire() as db:
        users = [name_id(run, "user_id", f"u{n}") for n in range(MAX_JOINED + 6)]
        roots = list((await people.roots_of(db, users)).values())
    assert max(roots.count(root) for root in set(roots)) <= MAX_JOINED
    assert len(set(roots)) == 1 + len(letters)


async def test_an_export_imported_again_under_another_key_changes_nobodys_customer(pool: Pool) -> None:
    def export(source: str) -> list[Saying]:
        log = [
            says(0, "page", anonymousId="browser", source=source),
            says(1, "identify", userId="ann", anonymousId="browser", traits={"email": "a@b.c"}, source=source),
            says(2, "Order Completed", userId="ann", properties={"order_id": "1"}, source=source),
            says(3, "Order Refunded", properties={"order_id": "1", "total": "5"}, source=source),
        ]
        for n, one in enumerate(log):
            one.message_id = f"export-{n}"
        return log

    once, twice = await every_order(pool, export("old")), await every_order(pool, [*export("old"), *export("new")])
    assert once == twice
    run = uuid4().hex[:8]
    stitcher = Stitcher(pool, f"touchpoints-{run}")
    await stitcher.take()
    done = await stitcher.tell([one.record(run) for one in (*export("old"), *export("new"), *export("new"))])
    # Message ids are unique within a key: under another one they are other touchpoints, and shown as such.
    assert (len(done.hints), done.duplicates) == (8, 4)
    async with pool.acquire() as db:
        whole = await customers.whole(db, name_id(run, "user_id", "ann"))
    assert [len(order.state.marks["refunds"]) for order in whole.orders] == [1]


async def test_one_name_has_one_spelling(pool: Pool) -> None:
    accented = "zo\u00eb"
    found = await every_order(
        pool,
        [
            says(0, "identify", userId=unicodedata.normalize("NFD", accented), traits={"email": "Zoe@Example.COM "}),
            says(1, "identify", userId=accented, traits={"phone": "(202) 555-0101", "address": {"country": "US"}}),
            says(2, "page", traits={}, context={"traits": {"email": "zoe@example.com", "phone": "+1 202-555-0101"}}),
            says(3, "identify", userId="ZO\u00cb"),
            says(4, "identify", userId=4711, anonymousId="browser"),
            says(5, "page", userId=" 4711 "),
        ],
    )
    assert found.customers == groups(f"{accented} zoe@example.com +12025550101", "ZO\u00cb", "4711 browser")


@pytest.mark.parametrize("value", ["null", "GUEST", "  ", "undefined", "00000", "[object Object]", "x" * 201])
async def test_what_broken_integrations_send_as_an_id_links_nobody(pool: Pool, value: str) -> None:
    found = await every_order(
        pool,
        [
            says(0, "identify", userId="ann", anonymousId=value, traits={"email": value, "phone": value}),
            says(1, "identify", userId="bob", anonymousId=value, context={"device": {"id": value}}),
            says(2, "Order Completed", userId=value, anonymousId="browser", properties={"order_id": value}),
        ],
    )
    assert found.customers == groups("ann", "bob", "browser")
    assert found.owners == {} and found.letters == []
