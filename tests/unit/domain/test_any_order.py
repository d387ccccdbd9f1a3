"""Invariant 3: a journey depends on the set of touchpoints, not on their order, nor on how often one comes."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathline.domain.facts import (
    ACTION_PREFIX,
    EARLIEST_FACTS,
    LATEST_FACTS,
    MARKS,
    STAGE_PREFIX,
    Fact,
    State,
    join,
    newest,
    rule_of,
)
from pathline.domain.recording import PERSON, RECORDING
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import (
    EVENTS,
    PERSON_VALUES,
    PROPERTIES,
    STAGES,
    START,
    THING_VALUES,
    World,
    logs,
    stitched,
    touchpoint,
)
from tests.unit.domain.oracle import Oracle

SLOW = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def shuffled(log: list[Touchpoint], seed: int) -> list[list[Touchpoint]]:
    """The log in another order, half of it doubled, cut into batches."""
    chance = random.Random(seed)
    mixed = log + [t for t in log if chance.random() < 0.5]
    chance.shuffle(mixed)
    cuts = sorted(chance.randrange(len(mixed) + 1) for _ in range(3))
    return [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]


def comparable(world: World) -> dict[str, object]:
    return {
        "states": world.states, "pointers": world.pointers, "claims": world.claims, "orders": world.orders,
        "joins": world.kin.joins, "roots": world.roots(), "owners": world.owners(), "subjects": world.subjects,
    }  # fmt: skip


@SLOW
@given(logs(), st.integers(min_value=0))
def test_any_order_gives_the_journeys_that_the_oracle_finds_in_the_sorted_log(log: list[Touchpoint], seed: int) -> None:
    world, oracle = stitched(shuffled(log, seed)), Oracle(log)
    assert comparable(world) == comparable(stitched([log]))
    check_people(world, oracle)
    check_owners(world, oracle)
    check_counts(world, oracle)
    check_facts(world, oracle)


def check_people(world: World, oracle: Oracle) -> None:
    roots = world.roots()
    same = {(n.kind, n.value): frozenset((m.kind, m.value) for m in roots if roots[m] == roots[n]) for n in roots}
    assert same == oracle.customers()


def check_owners(world: World, oracle: Oracle) -> None:
    names = {one: (n.kind, n.value) for one, n in world.people.items()}
    owners = {(n.kind, n.value): None if owner is None else names[owner] for n, owner in world.owners().items()}
    assert owners == {name: oracle.owner(name) for name in owners}


def check_counts(world: World, oracle: Oracle) -> None:
    names = {one: (n.kind, n.value) for one, n in (world.people | world.things).items()}
    counts = {names[one]: state.count for one, state in world.states.items() if state.count}
    assert counts == dict(oracle.counts())
    assert sum(counts.values()) == len(oracle.log)


def check_facts(world: World, oracle: Oracle) -> None:
    promises = {"Order Completed", "Order Updated", "Delivery Promised", "Shipment Created"}
    for name, entity in world.entities().items():
        thing, state = (name.kind, name.value), entity.state
        if name.kind == "order":
            assert state.value("promised") == oracle.last_told(thing, "promised_at", promises)
            assert state.at("placed") == oracle.first_time(thing, "Order Completed")
        if name.kind == "parcel":
            assert state.at("delivered") == oracle.first_time(thing, "Shipment Scanned", status="delivered")
            assert state.value("status") == oracle.last_told(thing, "status", {"Shipment Scanned"})
        if name.kind == "case":
            assert state.at("opened") == oracle.first_time(thing, "Contact Opened")


def one_of_each() -> list[Touchpoint]:
    """Every event with every property, about one person and one thing of each kind."""
    people = {kind: values[0] for kind, values in PERSON_VALUES.items()}
    things = {kind: values[0] for kind, values in THING_VALUES.items()}
    log: list[Touchpoint] = []
    for event in EVENTS:
        for turn in range(5):
            properties = {name: values[turn % len(values)] for name, values in PROPERTIES.items()}
            # A fact about the order alone, and one about the person, need the others unnamed.
            for named in (things, {"order": things["order"]}, {}):
                if named or PERSON in {one for line in RECORDING.get(event, ()) for one in line.of}:
                    log.append(
                        touchpoint(
                            len(log), event=event, people=people, things=named, properties=properties, seconds=len(log)
                        )
                    )
    traits = {"name": "Ann", "segments": ["vip"], "customer_type": "business", "switched_from": "Other Shop"}
    return [
        *log,
        touchpoint(len(log), type="identify", people=people, traits=traits, account="acme"),
        touchpoint(len(log) + 1, type="page", people=people, historical=True),
    ]


def test_every_fact_and_every_stage_is_told_by_some_touchpoint_and_every_field_filled() -> None:
    states = list(stitched([one_of_each()]).states.values())
    told = {name for state in states for name in (*state.facts, *state.marks)}
    stages = {STAGE_PREFIX + stage for stage in STAGES.names}
    actions = {ACTION_PREFIX + action for named in STAGES.actions.values() for action in named}
    assert (EARLIEST_FACTS | LATEST_FACTS | MARKS | stages | actions) - told == set()
    unit = State()
    for field in State.__struct_fields__:
        assert any(getattr(state, field) != getattr(unit, field) for state in states), field


def test_any_order_of_one_of_each_gives_the_same() -> None:
    log = one_of_each()
    expected = comparable(stitched([log]))
    assert all(comparable(stitched(shuffled(log, seed))) == expected for seed in range(3))


facts = st.builds(
    Fact,
    at=st.integers(min_value=0, max_value=9).map(lambda second: START + timedelta(seconds=second)),
    message_id=st.sampled_from("abc"),
    value=st.sampled_from(("x", "y", None, 1, {"status": "delivered"})),
    imported_at=st.sampled_from((None, START, START + timedelta(days=1))),
)
times = st.none() | facts.map(lambda fact: fact.at)
states = st.builds(
    State,
    count=st.integers(min_value=0, max_value=9),
    channels=st.dictionaries(st.sampled_from(("web", "app")), st.integers(min_value=1, max_value=9)),
    first_seen_at=times,
    last_seen_at=times,
    facts=st.dictionaries(st.sampled_from(sorted(EARLIEST_FACTS | LATEST_FACTS)), facts, max_size=5),
    marks=st.dictionaries(st.sampled_from(sorted(MARKS)), st.lists(facts, min_size=1, max_size=40), max_size=2).map(
        lambda marks: {name: newest(name, told) for name, told in marks.items()}
    ),
)


@given(states, states, states)
def test_join_is_associative_and_commutative(a: State, b: State, c: State) -> None:
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))


@given(states)
def test_join_is_idempotent_but_for_the_counts(a: State) -> None:
    once = join(join(State(), a), State())
    twice = join(
        once,
        State(facts=once.facts, marks=once.marks, first_seen_at=once.first_seen_at, last_seen_at=once.last_seen_at),
    )
    assert twice == once


def test_a_fact_of_a_newer_version_is_kept_by_one_that_does_not_know_it() -> None:
    newer = b"""{"count":1,"facts":{"placed":["2026-01-01T00:00:00Z","m",null],"surprise":["2026-01-01T00:00:00Z","m",7]},
        "marks":{"wonders":[["2026-01-01T00:00:00Z","m",{"a":1}]]}}"""
    held = msgspec.json.decode(newer, type=State)
    delta = State(count=1, facts={"placed": Fact(START, "n")}, marks={"scans": (Fact(START, "n", {}),)})
    for joined in (join(held, delta), join(delta, held)):
        assert joined.value("surprise") == 7 and joined.count == 2
        assert set(joined.marks) == {"wonders", "scans"} and joined.at("placed") == START


def test_an_undeclared_fact_is_refused() -> None:
    with pytest.raises(KeyError):
        rule_of("surprise")
