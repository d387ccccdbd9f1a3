"""Who owns what: each scenario of docs/people.md, through the stitcher's whole transaction, in every order of telling."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pathline.domain.identifiers import name_id
from pathline.storage import customers, entities
from tests.support import plans
from tests.support.people import Stitcher, browses, every_order, groups, says

pytestmark = pytest.mark.integration

Pool: TypeAlias = "asyncpg.Pool[Any]"


async def test_a_gift_is_the_buyers_and_whom_it_goes_to_is_nobodys_kin(pool: Pool) -> None:
    found = await every_order(
        pool,
        [
            says(5, "Order Completed", userId="ann", properties={"order_id": "1", "email": "ann@example.com"}),
            says(
                9, "Shipment Created", properties={"order_id": "1", "tracking_number": "p", "email": "aunt@example.com"}
            ),
            says(
                60, "Shipment Redirected", properties={"tracking_number": "p", "to": "x", "email": "aunt@example.com"}
            ),
        ],
    )
    assert found.customers == groups("ann ann@example.com", "aunt@example.com")
    assert found.owners == dict.fromkeys(("order 1", "parcel p"), frozenset({"ann", "ann@example.com"}))


async def test_a_payer_is_not_the_buyer(pool: Pool) -> None:
    """Their payment is told first, too: the order is theirs only until the one who placed it is known."""
    paid = says(
        0,
        "Payment Succeeded",
        source="payments",
        properties={"order_id": "1", "amount": "5", "email": "boss@example.com"},
    )
    disputed = says(
        90,
        "Dispute Opened",
        source="payments",
        properties={"dispute_id": "d", "order_id": "1", "email": "boss@example.com"},
    )
    placed = says(5, "Order Completed", userId="ann", properties={"order_id": "1"})
    assert (await every_order(pool, [paid, disputed])).owner("order 1") == {"boss@example.com"}
    found = await every_order(pool, [paid, placed, disputed])
    assert found.customers == groups("ann", "boss@example.com")
    assert found.owners == dict.fromkeys(("order 1", "dispute d"), frozenset({"ann"}))


async def test_a_courier_that_always_sends_one_anonymous_id_makes_no_customer(pool: Pool) -> None:
    def scan(n: int) -> Any:
        return says(
            n, "Shipment Scanned", source="courier", anonymousId="courier", context={"device": {"id": "handheld"}},
            properties={"tracking_number": f"p{n % 3}", "order_id": f"o{n % 3}", "status": "in_transit"},
        )  # fmt: skip

    placed = [says(n, "Order Completed", userId=f"u{n}", properties={"order_id": f"o{n}"}) for n in range(2)]
    found = await every_order(pool, [*placed, *map(scan, range(12))])
    assert found.customers == groups("u0", "u1")
    assert [found.owner(f"parcel p{n}") for n in range(3)] == [{"u0"}, {"u1"}, None]


async def test_parcels_that_come_before_their_order_end_with_its_owner(pool: Pool) -> None:
    scan = says(0, "Shipment Scanned", properties={"tracking_number": "p", "status": "delivered"})
    created = says(1, "Shipment Created", properties={"tracking_number": "p", "order_id": "1"})
    placed = says(2, "Order Completed", userId="ann", properties={"order_id": "1", "checkout_id": "c"})
    started = browses(-5, "Checkout Started", anonymousId="browser", properties={"checkout_id": "c"})
    assert (await every_order(pool, [scan, created])).owners == {"parcel p": None, "order 1": None}
    found = await every_order(pool, [scan, created, placed, started])
    # The checkout goes with its order: where it began says nothing of who the browser is.
    assert found.owners == dict.fromkeys(("parcel p", "order 1", "checkout c"), frozenset({"ann"}))
    assert found.customers == groups("ann", "browser")


async def test_a_recycled_tracking_number_stays_with_the_earlier_order(pool: Pool) -> None:
    found = await every_order(
        pool,
        [
            says(0, "Order Completed", userId="ann", properties={"order_id": "1"}),
            says(1, "Shipment Created", properties={"order_id": "1", "tracking_number": "again"}),
            says(900, "Order Completed", userId="bob", properties={"order_id": "2"}),
            says(901, "Shipment Created", properties={"order_id": "2", "tracking_number": "again"}),
        ],
    )
    assert found.owner("parcel again") == {"ann"} and found.owner("order 2") == {"bob"}
    assert found.customers == groups("ann", "bob")


async def test_a_forged_claim_of_a_browser_loses_to_the_server_that_tells_of_the_order(pool: Pool) -> None:
    forged = [
        browses(0, "Order Completed", userId="thief", properties={"order_id": "1"}),
        browses(1, "Checkout Started", userId="thief", properties={"checkout_id": "c", "order_id": "1"}),
        browses(2, "Contact Opened", userId="thief", properties={"case_id": "k", "order_id": "1", "channel": "chat"}),
    ]
    placed = says(60, "Order Completed", userId="ann", properties={"order_id": "1"})
    found = await every_order(pool, [*forged, placed])
    assert found.owner("order 1") == found.owner("checkout c") == {"ann"}
    # A case is theirs who opened it, whatever order it is about.
    assert found.owner("case k") == {"thief"}
    assert found.customers == groups("thief", "ann")
    # Known and accepted: nothing but a server's word can tell a true claim from a forged one.
    only_browsers = browses(60, "Order Completed", userId="ann", properties={"order_id": "1"})
    assert (await every_order(pool, [*forged, only_browsers])).owner("order 1") == {"thief"}


@pytest.mark.parametrize(
    ("event", "things"),
    [
        ("Shipment Scanned", {"order_id": "1", "status": "delivered"}),
        ("Payment Succeeded", {"order_id": "1"}),
        ("Dispute Closed", {"dispute_id": "d", "order_id": "1"}),
        ("Contact Closed", {"case_id": "k", "order_id": "1"}),
        ("Order Cancelled", {"order_id": "1"}),
    ],
)
async def test_what_happened_to_a_thing_is_not_a_browsers_to_tell(
    collector: httpx.AsyncClient, event: str, things: dict[str, str]
) -> None:
    call = {"event": event, "userId": "thief", "properties": things}
    answer = await collector.post("/v1/track", json=call, auth=("demo-web", ""))
    assert (answer.status_code, answer.json()["code"]) == (httpx.codes.FORBIDDEN, "needs_server_key")


async def test_claims_are_ranked_by_the_act_then_the_key_then_the_name_then_the_time(pool: Pool) -> None:
    """Each line beats those before it, though it comes later."""
    thing = {"order_id": "1"}
    ranked = [
        (browses(0, "Survey Answered", anonymousId="v", properties={**thing, "survey": "nps", "score": 1}), "v"),
        (browses(1, "Survey Answered", userId="named", properties={**thing, "survey": "nps", "score": 1}), "named"),
        (says(2, "Survey Answered", anonymousId="w", properties={**thing, "survey": "nps", "score": 1}), "w"),
        (says(3, "Order Updated", userId="told", properties=thing), "told"),
        (browses(4, "Order Completed", anonymousId="x", properties=thing), "x"),
        (browses(5, "Order Completed", userId="maker", properties=thing), "maker"),
        (says(6, "Order Completed", anonymousId="y", properties=thing), "y"),
        (says(8, "Order Completed", userId="late", properties=thing), "late"),
        (says(7, "Order Completed", userId="buyer", properties=thing), "buyer"),
    ]
    for count in range(1, len(ranked) + 1):
        said = [saying for saying, _ in ranked[:count]]
        assert (await every_order(pool, said)).owner("order 1") == {ranked[count - 1][1]}


async def test_two_shops_with_the_same_order_numbers_and_the_same_people_are_two(pool: Pool) -> None:
    def shop(name: str, user: str) -> list[Any]:
        log = [
            says(
                0,
                "Order Completed",
                userId=user,
                source=name,
                properties={"order_id": "1001", "email": "ann@example.com"},
            ),
            says(
                1,
                "Shipment Scanned",
                source=name,
                properties={"order_id": "1001", "tracking_number": "p", "status": "lost"},
            ),
            says(2, "alias", userId=user, previousId="old", source=name),
        ]
        for one in log:
            one.namespace = name
        return log

    both = [*shop("north", "7"), *shop("south", "8")]
    north, south = await every_order(pool, both, "north"), await every_order(pool, both, "south")
    for found, user in ((north, "7"), (south, "8")):
        # `old` is read as a user_id and as an anonymous_id.
        assert found.customers == groups(f"{user} ann@example.com old")
        assert found.owners == dict.fromkeys(("order 1001", "parcel p"), frozenset({user, "ann@example.com", "old"}))


async def test_things_fuse_nobody(pool: Pool) -> None:
    things = {
        "order_id": "1",
        "checkout_id": "c",
        "tracking_number": "p",
        "invoice_id": "i",
        "case_id": "k",
        "dispute_id": "d",
    }
    found = await every_order(
        pool,
        [
            says(n, event, userId=f"u{n}", properties=things)
            for n, event in enumerate(("Something Else", "Order Completed"))
        ],
    )
    assert found.customers == groups("u0", "u1")
    assert set(map(str, found.owners)) == {"order 1", "checkout c", "parcel p", "invoice i", "case k", "dispute d"}
    assert set(found.owners.values()) == {frozenset({"u1"})}


async def test_a_till_of_thousands_of_orders_is_read_up_to_the_limit(pool: Pool) -> None:
    count, run = 2 * entities.MAX_OWNED + 500, uuid4().hex[:8]
    stitcher = Stitcher(pool, run)
    await stitcher.take()
    receipts = [
        says(n, "Order Completed", userId="till", properties={"order_id": f"o{n}"}).record(run) for n in range(count)
    ]
    receipts.append(browses(1, "Checkout Started", userId="till", properties={"checkout_id": "c"}).record(run))
    for start in range(0, len(receipts), 1_000):
        await stitcher.tell(receipts[start : start + 1_000])
    till = name_id(run, "user_id", "till")
    async with pool.acquire() as db:
        await db.execute("ANALYZE entity")
        whole = await customers.whole(db, till)
        read = await plans.parts(db, entities._CLAIMED, ([till], entities.MAX_OWNED))
    assert whole.truncated and len(whole.orders) == entities.MAX_OWNED
    # Which those are is by their ids, and not by what came first.
    ids = sorted(name_id(run, "order", f"o{n}") for n in range(count))
    assert {order.id for order in whole.orders} == set(ids[: entities.MAX_OWNED])
    assert all(part.rows <= entities.MAX_OWNED for part in read)


@pytest.mark.parametrize("value", ["null", "0", "undefined", "[object Object]", "x" * 201])
async def test_a_refused_value_is_no_thing(pool: Pool, value: str) -> None:
    found = await every_order(
        pool, [says(n, "Order Completed", userId=user, properties={"order_id": value}) for n, user in enumerate("ab")]
    )
    assert found.owners == {} and found.customers == groups("a", "b")


async def test_a_report_of_no_thing_that_can_be_used_is_a_dead_letter(pool: Pool) -> None:
    lost = says(
        0, "Shipment Scanned", anonymousId="null", properties={"tracking_number": "undefined", "status": "lost"}
    )
    assert (await every_order(pool, [lost, browses(1, "page", anonymousId="v")])).letters == ["no_subject"]
