"""Invariant 3 for people at full width, tills, unions, runner-ups and limits among it, against the oracle."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pathline.backtest import kin
from pathline.backtest import world as backtest
from pathline.domain.identifiers import STRENGTH
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import World, touchpoints
from tests.unit.domain.oracle import OWNING_EVENTS, Name, Oracle

LINKING = ("identify", "identify", "identify", "page", "alias", "alias", "track")


@st.composite
def links(draw: st.DrawFn, most: int = 30) -> list[Touchpoint]:
    """A log that is mostly about who is whom."""
    count = draw(st.integers(min_value=1, max_value=most))
    return [draw(touchpoints(number, LINKING, OWNING_EVENTS)) for number in range(count)]


def told(log: Sequence[Touchpoint], seed: int, mailbox_limit: int) -> tuple[World, list[Touchpoint]]:
    """The world after the log in another order, half of it doubled, and the aliases that were refused."""
    chance = random.Random(seed)
    mixed = [*log, *(t for t in log if chance.random() < 0.5)]
    chance.shuffle(mixed)
    world = World(mailbox_limit=mailbox_limit)
    refused: dict[object, Touchpoint] = {}
    while mixed:
        size = chance.randint(1, len(mixed))
        refused |= {t.id: t for t in world.add(mixed[:size]).refused}
        del mixed[:size]
    return world, list(refused.values())


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    links(),
    st.integers(min_value=0),
    st.integers(min_value=0, max_value=2),
    st.integers(min_value=1, max_value=4),
    st.integers(min_value=2, max_value=4),
)
def test_people_are_who_the_oracle_says_whatever_the_order_and_the_limits(
    log: list[Touchpoint], seed: int, mailboxes: int, strands: int, joined: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kin, "MAX_STRANDS", strands)
        patch.setattr(backtest, "MAX_JOINED", joined)
        world, refused = told(log, seed, mailboxes)
        gone = {t.id for t in refused}
        oracle = Oracle([t for t in log if t.id not in gone], mailboxes)
        check_customers(world, oracle)
        check_pointers(world, oracle)
        check_owners(world, oracle)
        check_strands(world, oracle, strands)
        check_joins(oracle, refused, joined)


def check_customers(world: World, oracle: Oracle) -> None:
    roots = world.roots()
    groups: dict[object, set[Name]] = {}
    for name, root in roots.items():
        groups.setdefault(root, set()).add((name.kind, name.value))
    assert {(n.kind, n.value): groups[root] for n, root in roots.items()} == oracle.customers()
    event(f"{max(map(len, groups.values()), default=0)} identifiers of one customer")


def check_pointers(world: World, oracle: Oracle) -> None:
    names = {one: (n.kind, n.value) for one, n in world.people.items()}
    for one, name in names.items():
        pointer = world.pointers.get(one)
        kept = oracle.kept_parent(name)
        if pointer is None:
            assert kept is None
            continue
        assert kept == (names[pointer.best.target], pointer.best.rank[1] == 0)
        next_best = None if pointer.runner_up is None else names[pointer.runner_up.target]
        assert next_best == oracle.runner_up(name)
        if next_best is not None:
            event("a runner-up")


def check_owners(world: World, oracle: Oracle) -> None:
    names = {one: (n.kind, n.value) for one, n in world.people.items()}
    for thing, owner in world.owners().items():
        assert (None if owner is None else names[owner]) == oracle.owner((thing.kind, thing.value))


def check_strands(world: World, oracle: Oracle, limit: int) -> None:
    """The root comes first whatever its moment; the rest are the strongest, then the newest."""
    customers = oracle.customers()
    for root in set(world.roots().values()):
        family = [world.kin.people[one] for one in world.kin.family(root)]
        first = world.kin.people[root]
        read = sorted(
            (STRENGTH[p.identifier.kind], 0.0 if p.pointer is None else -p.pointer.best.at.timestamp()) for p in family
        )
        customer = customers[first.identifier.kind, first.identifier.value]
        assert len(read) == min(limit, len(customer))
        # Of several user_ids that are one, which are shown beyond the limit is by their ids.
        if len(customer) <= limit:
            assert read == oracle.strands(customer, limit)


def check_joins(oracle: Oracle, refused: Sequence[Touchpoint], limit: int) -> None:
    """None has more user_ids than are allowed, and what was refused would have made so many."""
    customers = oracle.customers()

    def users(name: str) -> set[Name]:
        known = customers.get(("user_id", name), frozenset())
        return {n for n in known if n[0] == "user_id"} | {("user_id", name)}

    assert all(len({n for n in customer if n[0] == "user_id"}) <= limit for customer in customers.values())
    for one in refused:
        assert one.previous_id is not None
        assert len(users(one.previous_id) | users(one.people[0].value)) > limit
        event("a join beyond the limit")
