"""The simulation looks only at what may have changed; here everything is looked at, at every instant there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings

from pathline.backtest.simulation import Simulation
from pathline.contracts import detector_files
from pathline.domain import assessing, judging
from pathline.domain.alerts import Alert
from pathline.domain.detectors.owners import customer_of
from pathline.domain.detectors.view import Customer, Story, Strand
from pathline.domain.identifiers import NAMED
from pathline.domain.judging import Memory
from pathline.domain.moments import Moment
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import START, World, painful_logs, stitched, touchpoint

UTC_ZONE = ZoneInfo("UTC")
DETECTORS = detector_files.load()
END = START + timedelta(days=10)


class Everything:
    """A scorer that forgets nothing, plans nothing, and judges all there is at every instant."""

    def __init__(self, log: Sequence[Touchpoint]) -> None:
        self.log = log
        self.alerts: dict[UUID, Alert] = {}
        self.spent: list[tuple[str, str, UUID]] = []

    def run(self, until: datetime) -> None:
        instants = sorted({t.occurred_at for t in self.log if t.occurred_at <= until})
        due: datetime | None = None
        while instants or (due is not None and due <= until):
            happens = instants[0] if instants else None
            now = min(at for at in (happens, due) if at is not None)
            if now == happens:
                instants.pop(0)
            due = self.judge_all(now)

    def judge_all(self, now: datetime) -> datetime | None:
        world = stitched([[t for t in self.log if t.occurred_at <= now]])
        customers = customers_of(world)
        return min((due for story in stories_of(world) if (due := self.judge(story, customers, now))), default=None)

    def judge(self, story: Story, customers: Mapping[UUID, Customer], now: datetime) -> datetime | None:
        when = Moment(now, now, now)
        alive = {(a.detector, a.entity_id): a for a in self.alerts.values() if a.alive}
        mine = {view.id for view in story.views()}
        assessed = assessing.assess(DETECTORS, story.knowing(customers), now, alive)
        by_number = sorted(self.alerts.values(), key=lambda a: a.episode)
        memory = Memory(
            {episode: alert for episode, alert in alive.items() if episode[1] in mine},
            {(detector, cause): self.alerts[owner] for detector, cause, owner in self.spent},
            {(a.detector, a.entity_id): a for a in by_number},
        )
        changes = judging.judge(assessed, memory, when)
        for change in changes:
            self.alerts[change.alert.id] = change.alert
            self.spent += [(change.alert.detector, cause, change.alert.id) for cause in change.causes]
        return judging.next_due(assessed, memory, changes)


def customers_of(world: World) -> dict[UUID, Customer]:
    """The customer of everything, by looking through everything."""
    roots = {name.id: root for name, root in world.roots().items()}
    names = {one.id: one.kind for one in world.roots()}
    entities = {entity.id: entity for entity in world.entities().values()}
    owners = {name.id: None if owner is None else roots[owner] for name, owner in world.owners().items()}
    whose: dict[UUID, UUID | None] = {**roots, **owners}
    return {
        one: customer_of(
            [entities[e] for e in entities if root and owners[e] == root],
            [state for name, state in world.states.items() if root and roots.get(name) == root],
            named=root is not None and names[root] in NAMED,
        )
        for one, root in whose.items()
    }


def stories_of(world: World) -> Iterable[Story]:
    keys: dict[UUID, list[UUID]] = {}
    for one in world.things:
        bond = world.orders.get(one)
        keys.setdefault(one if bond is None else bond.target, []).append(one)
    entities = {entity.id: entity for entity in world.entities().values()}
    for key, members in keys.items():
        yield Story(key, [entities[one] for one in members], UTC_ZONE)
    for one, state in world.states.items():
        if one in world.people and state.marks:
            yield Story(one, (), UTC_ZONE, strand=Strand(world.people[one], state))


def simulated(log: Iterable[Touchpoint], until: datetime = END) -> dict[UUID, Alert]:
    simulation = Simulation(DETECTORS, UTC_ZONE)
    by_instant: dict[datetime, list[Touchpoint]] = {}
    for one in sorted(log, key=lambda t: t.occurred_at):
        by_instant.setdefault(one.occurred_at, []).append(one)
    for at, together in by_instant.items():
        simulation.happen(at, together)
    simulation.sleep_until(until)
    return {alert.id: alert for alert in simulation.alerts()}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(painful_logs(most=14))
def test_looking_at_what_may_have_changed_finds_what_looking_at_everything_finds(log: list[Touchpoint]) -> None:
    everything = Everything(log)
    everything.run(END)
    found = {one: alert for one, alert in simulated(log).items() if alert.detector != "journey_risk"}
    assert found == everything.alerts


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(painful_logs(most=14))
def test_looking_at_everybody_whose_alerts_may_add_up_finds_nothing_that_was_overlooked(log: list[Touchpoint]) -> None:
    simulation = Simulation(DETECTORS, UTC_ZONE)
    for at in sorted({t.occurred_at for t in log}):
        simulation.happen(at, [t for t in log if t.occurred_at == at])
        simulation.sleep_until(at)
        found = simulation.alerts()
        simulation._risks.moved(alert.entity_id for alert in found)
        simulation.sleep_until(at)
        assert simulation.alerts() == found


PROMISED = {"promised_at": "2026-01-02T00:00:00Z"}
DUE = timedelta(days=1).total_seconds()
DELIVERED = {"status": "delivered"}


def order(number: int = 1) -> Touchpoint:
    return touchpoint(
        number, event="Order Completed", people={"user_id": "ann"}, things={"order": "1"}, properties=PROMISED
    )


def delivery(seconds: float) -> Touchpoint:
    return touchpoint(2, event="Shipment Scanned", things={"order": "1"}, properties=DELIVERED, seconds=seconds)


def found(alerts: Mapping[UUID, Alert], detector: str) -> list[tuple[datetime, str | None, datetime | None]]:
    return [(a.opened_at, a.resolution, a.resolved_at) for a in alerts.values() if a.detector == detector]


@pytest.mark.parametrize("seconds", [DUE - 1, DUE])
def test_what_happens_at_the_last_moment_still_answers(seconds: float) -> None:
    assert found(simulated([order(), delivery(seconds)]), "late_vs_promise") == []


def test_what_happens_a_moment_later_does_not() -> None:
    late = found(simulated([order(), delivery(DUE + 0.001)]), "late_vs_promise")
    assert late == [(START + timedelta(days=1), "delivered", START + timedelta(seconds=DUE + 0.001))]


def test_a_deadline_passes_at_its_own_instant_while_nothing_happens() -> None:
    alerts = simulated([order()])
    (late,) = [a for a in alerts.values() if a.detector == "late_vs_promise"]
    assert (late.opened_at, late.state, late.severity) == (START + timedelta(days=1), "open", "critical")
    # The second of January 2026 was a Friday: the next working day began on Monday.
    assert late.updated_at == START + timedelta(days=4)


def test_no_deadline_after_the_end_passes() -> None:
    before = simulated([order()], START + timedelta(days=1, seconds=-1))
    assert found(before, "late_vs_promise") == []
    assert len(found(simulated([order()], START + timedelta(days=1)), "late_vs_promise")) == 1


def test_a_checkout_left_by_somebody_unknown_alerts_once_they_say_who_they_are() -> None:
    left = touchpoint(1, event="Checkout Started", people={"anonymous_id": "b"}, things={"checkout": "c"})
    said = touchpoint(2, type="identify", people={"user_id": "ann", "anonymous_id": "b"}, seconds=3 * 3600)
    assert simulated([left]) == {}
    (alert,) = simulated([left, said]).values()
    assert (alert.detector, alert.opened_at) == ("checkout_abandoned", START + timedelta(hours=1))
    assert alert.updated_at == said.occurred_at


def test_an_order_elsewhere_answers_the_checkout_of_the_same_customer() -> None:
    people = {"user_id": "ann"}
    left = touchpoint(1, event="Checkout Started", people=people, things={"checkout": "c"})
    placed = touchpoint(2, event="Order Completed", people=people, things={"order": "1"}, seconds=7200)
    assert found(simulated([left, placed]), "checkout_abandoned") == [
        (START + timedelta(hours=1), "ordered", placed.occurred_at)
    ]


def test_a_checkout_is_open_again_once_the_order_that_answered_it_is_somebody_elses() -> None:
    left = touchpoint(1, event="Checkout Started", people={"user_id": "bob"}, things={"checkout": "c"})
    forged = touchpoint(
        2, event="Order Completed", people={"user_id": "bob"}, things={"order": "1"}, seconds=7200, trusted=False
    )
    told = touchpoint(3, event="Order Completed", people={"user_id": "ann"}, things={"order": "1"}, seconds=10_800)
    answered, reopened = (
        next(a for a in simulated(log).values() if a.detector == "checkout_abandoned")
        for log in ([left, forged], [left, forged, told])
    )
    assert (answered.state, answered.resolution) == ("resolved", "ordered")
    assert (reopened.state, reopened.updated_at) == ("open", told.occurred_at)


def test_a_reply_in_any_case_of_the_customer_answers_a_bad_rating() -> None:
    rated = touchpoint(1, event="Survey Answered", people={"user_id": "ann"}, properties={"survey": "nps", "score": 2})
    opened = touchpoint(2, event="Contact Opened", people={"user_id": "ann"}, things={"case": "k"}, seconds=60)
    reply = touchpoint(3, event="Contact Replied", things={"case": "k"}, properties={"by": "agent"}, seconds=90)
    (alert,) = simulated([rated, opened, reply]).values()
    assert (alert.detector, alert.entity_kind, alert.resolution) == ("detractor", "customer", "answered")
    assert alert.resolved_at == reply.occurred_at


def test_an_alias_beyond_the_limit_is_refused_and_changes_nothing() -> None:
    simulation = Simulation(DETECTORS, UTC_ZONE)
    chain = [
        touchpoint(n, type="alias", people={"user_id": f"u{n}"}, previous_id=f"u{n - 1}", seconds=n)
        for n in range(1, 101)
    ]
    refused = [one for t in chain for one in simulation.happen(t.occurred_at, [t])]
    assert refused == [chain[-1]]


def test_of_two_answers_at_one_instant_the_order_elsewhere_is_the_one_that_is_told() -> None:
    people, checkout = {"user_id": "ann"}, {"checkout": "c"}
    left = touchpoint(1, event="Checkout Started", people=people, things=checkout)
    back = touchpoint(2, event="Checkout Step Viewed", people=people, things=checkout, seconds=7200)
    placed = touchpoint(3, event="Order Completed", people=people, things={"order": "1"}, seconds=7200)
    assert found(simulated([left, back, placed]), "checkout_abandoned") == [
        (START + timedelta(hours=1), "ordered", placed.occurred_at)
    ]


def test_a_checkout_that_names_an_order_nobody_placed_alerts_once_its_visitor_is_known() -> None:
    left = touchpoint(
        1, event="Checkout Started", people={"anonymous_id": "b"}, things={"checkout": "c", "order": "never placed"}
    )
    said = touchpoint(2, type="identify", people={"user_id": "ann", "anonymous_id": "b"}, seconds=3 * 3600)
    assert found(simulated([left, said]), "checkout_abandoned") == [(START + timedelta(hours=1), None, None)]
