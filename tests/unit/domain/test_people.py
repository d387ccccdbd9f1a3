"""From an identifier to its customer, by examples: what is one person, and what never makes one of two."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.identifiers import Identifier
from pathline.domain.people import MAX_STEPS, representatives, root_of
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import World, touchpoint


def identify(number: int, seconds: float = 0, *, trusted: bool = True, **people: str) -> Touchpoint:
    return touchpoint(number, type="identify", people=people, seconds=seconds, trusted=trusted)


def alias(number: int, user_id: str, previous_id: str, *, trusted: bool = True) -> Touchpoint:
    return touchpoint(number, type="alias", people={"user_id": user_id}, previous_id=previous_id, trusted=trusted)


def customers(*log: Touchpoint, mailbox_limit: int = 50) -> set[frozenset[str]]:
    """The values of the identifiers that are one customer, as sets."""
    world = World(mailbox_limit=mailbox_limit)
    world.add(log)
    groups: dict[UUID, set[str]] = {}
    for name, root in world.roots().items():
        groups.setdefault(root, set()).add(name.value)
    return {frozenset(group) for group in groups.values()}


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group.split()) for group in groups}


def test_five_steps_from_the_device_to_the_user_id() -> None:
    log = [
        identify(1, device_id="device", anonymous_id="browser"),
        identify(2, anonymous_id="browser", phone="+12025550101"),
        identify(3, phone="+12025550101", email="a@b"),
        identify(4, email="a@b", user_id="ann"),
    ]
    assert customers(*log) == sets("device browser +12025550101 a@b ann")
    assert MAX_STEPS == 5


def test_a_shared_device_goes_to_one_customer_and_fuses_nobody() -> None:
    log = [identify(1, user_id="ann", device_id="kiosk"), identify(2, 9, user_id="bob", device_id="kiosk")]
    assert customers(*log) == sets("ann kiosk", "bob")


def test_a_shared_mailbox_goes_to_the_earlier_owner_with_all_its_touchpoints_early_and_late() -> None:
    log = [
        identify(1, email="family@b"),
        identify(2, 60, user_id="ann", email="family@b"),
        identify(3, 120, user_id="bob", email="family@b"),
        identify(4, 180, email="family@b", anonymous_id="browser"),
    ]
    assert customers(*log) == sets("ann family@b browser", "bob")


def test_a_server_outranks_a_browser_that_came_first() -> None:
    log = [identify(1, user_id="bob", email="a@b", trusted=False), identify(2, 9, user_id="ann", email="a@b")]
    assert customers(*log) == sets("ann a@b", "bob")


def test_a_user_id_outranks_a_mailbox_that_came_first() -> None:
    log = [identify(1, email="a@b", anonymous_id="browser"), identify(2, 9, user_id="ann", anonymous_id="browser")]
    assert customers(*log) == sets("ann browser", "a@b")


def test_the_next_best_parent_is_kept_with_another_target() -> None:
    world = World()
    world.add([identify(n, n, user_id=who, device_id="kiosk") for n, who in enumerate(("ann", "ann", "bob"))])
    (pointer,) = world.pointers.values()
    assert pointer.runner_up is not None
    assert [pointer.best.message_id, pointer.runner_up.message_id] == ["m0", "m2"]


@pytest.mark.parametrize(("boxes", "till"), [(3, False), (4, True)])
def test_a_parent_of_too_many_mailboxes_is_a_till_and_its_links_are_void(boxes: int, *, till: bool) -> None:
    log = [identify(n, user_id="cashier", email=f"{n}@b") for n in range(boxes)]
    found = customers(*log, mailbox_limit=3)
    everybody = " ".join(f"{n}@b" for n in range(boxes))
    assert found == (sets("cashier", *everybody.split()) if till else sets(f"cashier {everybody}"))


def test_a_till_keeps_its_browsers_and_mailboxes_keep_their_own() -> None:
    log = [
        *(identify(n, user_id="cashier", email=f"{n}@b") for n in range(3)),
        identify(8, user_id="cashier", anonymous_id="tablet"),
        identify(9, email="0@b", anonymous_id="browser"),
    ]
    assert customers(*log, mailbox_limit=2) == sets("cashier tablet", "0@b browser", "1@b", "2@b")


def test_mailboxes_are_counted_apart_for_servers_and_browsers() -> None:
    log = [identify(n, user_id="ann", email=f"{n}@b", trusted=n < 2) for n in range(4)]
    assert customers(*log, mailbox_limit=2) == sets("ann 0@b 1@b 2@b 3@b")
    forged = [identify(n, user_id="ann", email=f"{n}@b", trusted=n < 1) for n in range(4)]
    assert customers(*forged, mailbox_limit=2) == sets("ann 0@b", "1@b", "2@b", "3@b")


def test_two_user_ids_are_joined_only_by_an_alias_of_a_server() -> None:
    assert customers(identify(1, user_id="ann"), identify(2, user_id="bob")) == sets("ann", "bob")
    assert customers(alias(1, "ann", "bob")) == sets("ann bob")
    assert customers(alias(1, "ann", "bob", trusted=False)) == sets("ann bob", "bob")


def test_previous_id_is_read_as_a_user_id_and_as_an_anonymous_id() -> None:
    seen = touchpoint(2, type="page", people={"anonymous_id": "visitor"})
    world = World()
    world.add([seen, alias(1, "ann", "visitor")])
    roots = world.roots()
    ann = roots[Identifier("default", "user_id", "ann")]
    assert ann == roots[Identifier("default", "anonymous_id", "visitor")]
    assert ann == roots[Identifier("default", "user_id", "visitor")]


@pytest.mark.parametrize("previous", ["ann", "null", None])
def test_an_alias_to_oneself_or_to_nobody_joins_nothing(previous: str | None) -> None:
    one = touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id=previous)
    world = World()
    world.add([one])
    assert world.kin.joins == set()


def test_aliases_join_through_each_other_and_in_a_ring() -> None:
    log = [alias(1, "a", "b"), alias(2, "b", "c"), alias(3, "c", "a"), identify(4, user_id="c", email="c@b")]
    assert customers(*log) == sets("a b c c@b")


def test_the_anonymous_id_of_a_report_makes_no_customer() -> None:
    report = touchpoint(
        1, event="Shipment Scanned", people={"anonymous_id": "courier", "device_id": "handheld"}, things={"order": "1"}
    )
    assert customers(report) == set()


def test_the_mailbox_of_a_report_is_linked() -> None:
    report = touchpoint(1, event="Order Refunded", people={"user_id": "ann", "email": "a@b"}, things={"order": "1"})
    assert customers(report) == sets("ann a@b")


def test_people_of_two_namespaces_are_two() -> None:
    log = [touchpoint(n, people={"user_id": "ann"}, namespace=f"shop-{n}") for n in range(2)]
    world = World()
    world.add(log)
    assert len(set(world.roots().values())) == 2


def test_who_nobody_knows_is_their_own_customer() -> None:
    assert root_of(UUID(int=7), {}, (), {}) == UUID(int=7)


pairs = st.lists(st.tuples(*(st.integers(min_value=0, max_value=9).map(lambda n: UUID(int=n)),) * 2), max_size=12)


@given(pairs, st.randoms())
def test_joined_ids_have_the_least_of_them_whatever_the_order(joins: list[tuple[UUID, UUID]], chance: Any) -> None:
    groups = {one: {one} for pair in joins for one in pair}
    for _ in joins:
        for a, b in joins:
            groups[a] = groups[b] = groups[a] | groups[b]
    assert representatives(joins) == {one: min(group) for one, group in groups.items()}
    mixed = [pair[::-1] for pair in joins]
    chance.shuffle(mixed)
    assert representatives(mixed) == representatives(joins)
