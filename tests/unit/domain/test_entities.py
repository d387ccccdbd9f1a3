"""Who owns a thing, by examples: order, parcel, checkout, case."""

from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.identifiers import Identifier
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import World, touchpoint

_numbers = iter(range(10**9))


def act(event: str, things: dict[str, str], *, trusted: bool = True, seconds: float = 0, **people: str) -> Touchpoint:
    return touchpoint(next(_numbers), event=event, people=people, things=things, trusted=trusted, seconds=seconds)


def owner(thing: Identifier, *log: Touchpoint) -> str | None:
    """The value of the identifier that owns the thing; it may not depend on the order."""
    found = set()
    for order in (log, log[::-1]):
        world = World()
        for one in order:
            world.add([one])
        owning = world.owners()[thing]
        found.add(None if owning is None else world.people[owning].value)
    (only,) = found
    return only


def named(kind: str, value: str = "1") -> Identifier:
    return Identifier("default", kind, value)


ORDER, PARCEL, CHECKOUT, CASE, INVOICE = (named(kind) for kind in ("order", "parcel", "checkout", "case", "invoice"))


def test_who_places_an_order_owns_it() -> None:
    log = [
        act("Return Requested", {"order": "1"}, user_id="bob"),
        act("Order Completed", {"order": "1"}, user_id="ann", seconds=9),
    ]
    assert owner(ORDER, *log) == "ann"


def test_a_browser_cannot_take_an_order_that_a_server_told_of() -> None:
    log = [
        act("Order Completed", {"order": "1"}, user_id="thief", trusted=False),
        act("Order Completed", {"order": "1"}, user_id="ann", seconds=9),
    ]
    assert owner(ORDER, *log) == "ann"


def test_an_order_known_only_from_the_browser_can_be_forged() -> None:
    """Known and accepted: only a server's word could tell the two apart."""
    log = [
        act("Order Completed", {"order": "1"}, user_id="ann", trusted=False, seconds=9),
        act("Order Completed", {"order": "1"}, user_id="thief", trusted=False),
    ]
    assert owner(ORDER, *log) == "thief"


def test_somebody_named_outranks_a_browser_without_a_name() -> None:
    log = [
        act("Order Completed", {"order": "1"}, anonymous_id="browser"),
        act("Order Completed", {"order": "1"}, email="a@b", seconds=9),
    ]
    assert owner(ORDER, *log) == "a@b"


def test_a_report_claims_by_its_names_only() -> None:
    assert owner(ORDER, act("Order Refunded", {"order": "1"}, user_id="ann")) == "ann"
    assert owner(ORDER, act("Order Refunded", {"order": "1"}, anonymous_id="courier")) is None
    assert owner(ORDER, act("Order Refunded", {"order": "1"})) is None


def test_a_parcel_that_comes_before_its_order_ends_with_the_orders_owner() -> None:
    log = [
        act("Shipment Scanned", {"parcel": "1"}),
        act("Shipment Created", {"parcel": "1", "order": "1"}, seconds=60),
        act("Order Completed", {"order": "1"}, user_id="ann", seconds=120),
    ]
    assert owner(PARCEL, log[0]) is None
    assert owner(PARCEL, *log[:2]) is None
    assert owner(PARCEL, *log) == "ann"


def test_a_parcel_has_its_own_claimant_while_its_order_has_none() -> None:
    claimed = act("Shipment Redirected", {"parcel": "1"}, user_id="bob")
    tied = act("Shipment Created", {"parcel": "1", "order": "1"})
    assert owner(PARCEL, claimed, tied) == "bob"
    assert owner(PARCEL, claimed, tied, act("Order Completed", {"order": "1"}, user_id="ann")) == "ann"


@pytest.mark.parametrize("kind", ["parcel", "checkout", "invoice", "dispute"])
def test_a_thing_goes_with_its_order(kind: str) -> None:
    log = [
        act("Something Else", {kind: "1", "order": "1"}, user_id="bob"),
        act("Order Completed", {"order": "1"}, user_id="ann", seconds=9),
    ]
    assert owner(named(kind), *log) == "ann"


def test_a_case_belongs_to_who_opened_it_whatever_order_it_is_about() -> None:
    log = [
        act("Order Completed", {"order": "1"}, user_id="ann"),
        act("Contact Opened", {"case": "1", "order": "1"}, user_id="bob", seconds=9),
    ]
    assert owner(CASE, *log) == "bob"


def test_a_case_that_nobody_opened_goes_with_its_order() -> None:
    log = [
        act("Order Completed", {"order": "1"}, user_id="ann"),
        act("Contact Closed", {"case": "1", "order": "1"}, user_id="bob", seconds=9),
    ]
    assert owner(CASE, *log) == "ann"


def test_of_two_orders_a_parcel_keeps_the_servers_and_then_the_earlier() -> None:
    def tied(order: str, **parts: Any) -> Touchpoint:
        return act("Shipment Created", {"parcel": "1", "order": order}, **parts)

    def order_of(*log: Touchpoint) -> str:
        world = World()
        world.add(log)
        return world.things[world.orders[PARCEL.id].target].value

    assert order_of(tied("late", seconds=9), tied("early")) == "early"
    assert order_of(tied("browser", trusted=False), tied("server", seconds=9)) == "server"


def test_things_of_two_namespaces_are_two() -> None:
    log = [
        touchpoint(1, event="Order Completed", people={"user_id": "ann"}, things={"order": "1"}, namespace="shop-1"),
        touchpoint(2, event="Order Completed", people={"user_id": "bob"}, things={"order": "1"}, namespace="shop-2"),
    ]
    world = World()
    world.add(log)
    owners = {name.namespace: world.people[one].value for name, one in world.owners().items() if one is not None}
    assert owners == {"shop-1": "ann", "shop-2": "bob"}


def test_things_never_join_people() -> None:
    log = [
        act("Order Completed", {"order": "1"}, user_id="ann"),
        act("Return Requested", {"order": "1"}, user_id="bob"),
    ]
    world = World()
    world.add(log)
    assert len(set(world.roots().values())) == 2
