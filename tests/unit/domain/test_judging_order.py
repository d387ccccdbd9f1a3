"""Which alerts are open depends on the touchpoints and the time, not on the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from pathline.backtest.simulation import Simulation
from pathline.contracts import detector_files
from pathline.domain import assessing
from pathline.domain.composing import composites
from pathline.domain.detectors.evaluate import evaluate
from pathline.domain.detectors.view import Story, Strand
from pathline.domain.facts import State
from pathline.domain.identifiers import Identifier
from pathline.domain.recording import PERSON, RECORDING
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import START, touchpoint

DETECTORS = detector_files.load()
UTC_ZONE = ZoneInfo("UTC")
END = START + timedelta(days=8)
MIDST = START + timedelta(days=3)

EVENTS = (
    "Order Completed", "Order Cancelled", "Order Refunded", "Delivery Promised", "Shipment Created", "Shipment Scanned",
    "Shipment Scanned", "Payment Failed", "Payment Failed", "Payment Succeeded", "Checkout Started",
    "Checkout Step Viewed", "Survey Answered", "Survey Answered", "Contact Opened", "Contact Replied", "Contact Closed",
    "Payment Info Entered", "Return Requested", "Contact Accepted", "Contact Opened", "Contact Closed", "Product Viewed",
    "Product Viewed", "Products Searched", "Coupon Denied", "Error Shown", "Rage Clicked", "Page Reloaded", "Product Added",
    "Invoice Payment Failed", "Invoice Paid", "Dispute Opened", "Dispute Closed",
)  # fmt: skip
NAMES = {
    "order": "order_id",
    "parcel": "tracking_number",
    "checkout": "checkout_id",
    "case": "case_id",
    "invoice": "invoice_id",
    "dispute": "dispute_id",
}
PROPERTIES: dict[str, tuple[object, ...]] = {
    "promised_at": ("2026-01-02", "2026-01-03", "2026-01-02T10:00:00+00:00"),
    "status": ("in_transit", "out_for_delivery", "exception", "delayed", "delivered", "attempt_failed", "returned"),
    "estimated_at": ("2026-01-02", "2026-01-04"),
    "ship_by": ("2026-01-01", "2026-01-03"),
    "reason": ("not_as_described", "other"),
    "topic": ("delivery", "not_received"),
    "channel": ("chat", "email"),
    "wants_person": (True, False),
    "step": (1, 2),
    "product_id": ("p", "q"),
    "price": (10, 11),
    "results": (0, 3),
    "count": (4,),
    "after_ms": (50, 500),
    "total": ("10.00", "25.50"),
    "by": ("agent", "customer"),
    "survey": ("nps", "csat", "ces"),
    "score": (1, 4, 9),
}


@st.composite
def touchpoints(draw: st.DrawFn, number: int) -> Touchpoint:
    """A touchpoint that some detector looks at, about a purchase or two."""
    kinds = draw(st.sets(st.sampled_from(tuple(NAMES)), min_size=1, max_size=2))
    things = {kind: draw(st.sampled_from((f"{kind}-1", f"{kind}-2"))) for kind in kinds}
    people = draw(
        st.fixed_dictionaries(
            {}, optional={"user_id": st.sampled_from(("ann", "bob")), "anonymous_id": st.just("browser-1")}
        )
    )
    kind = draw(st.sampled_from(("track",) * 9 + ("identify",)))
    if kind == "identify":
        return touchpoint(number, type=kind, people=people or {"user_id": "ann"}, seconds=draw(_SECONDS))
    event = draw(st.sampled_from(EVENTS))
    if any(PERSON in line.of for line in RECORDING[event]) and draw(st.booleans()):
        things, people = {}, people or {"user_id": "ann"}
    properties = {name: draw(st.sampled_from(values)) for name, values in PROPERTIES.items()}
    # One is history as it is told, before any deadline; of what was due when it came, the order of coming decides.
    historical = draw(st.integers(min_value=0, max_value=4)) == 0
    return touchpoint(
        number,
        event=event,
        people=people,
        things=things,
        properties=properties,
        seconds=draw(_SECONDS),
        historical=historical,
    )


_SECONDS = st.integers(min_value=0, max_value=120).map(lambda minutes: minutes * 60)


@st.composite
def arrivals(draw: st.DrawFn, log: Sequence[Touchpoint]) -> list[tuple[datetime, list[Touchpoint]]]:
    """An order in which they are stitched and judged: any, some together, each at some later time, some twice."""
    doubled = [*log, *draw(st.lists(st.sampled_from(log), max_size=3))]
    shuffled = draw(st.permutations(doubled))
    steps: list[tuple[datetime, list[Touchpoint]]] = []
    now = START + timedelta(hours=3)
    while shuffled:
        size = draw(st.integers(min_value=1, max_value=4))
        now += draw(st.sampled_from((timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=9))))
        steps.append((now, shuffled[:size]))
        shuffled = shuffled[size:]
    return steps


@st.composite
def two_ways(
    draw: st.DrawFn,
) -> tuple[list[tuple[datetime, list[Touchpoint]]], list[tuple[datetime, list[Touchpoint]]]]:
    log = [draw(touchpoints(number)) for number in range(draw(st.integers(min_value=1, max_value=14)))]
    return draw(arrivals(log)), draw(arrivals(log))


def open_after(steps: Iterable[tuple[datetime, list[Touchpoint]]]) -> set[tuple[str, UUID]]:
    return {(alert.detector, alert.entity_id) for alert in run(steps).alerts() if alert.alive}


def run(steps: Iterable[tuple[datetime, list[Touchpoint]]]) -> Simulation:
    simulation = Simulation(DETECTORS, UTC_ZONE)
    for at, batch in steps:
        simulation.happen(at, batch)
    simulation.sleep_until(END)
    return simulation


@settings(max_examples=150, deadline=None)
@given(two_ways())
def test_any_order_leaves_the_same_alerts_open(
    ways: tuple[list[tuple[datetime, list[Touchpoint]]], list[tuple[datetime, list[Touchpoint]]]],
) -> None:
    one, other = ways
    assert open_after(one) == open_after(other)


@settings(max_examples=150, deadline=None)
@given(two_ways())
def test_open_is_what_holds_by_the_state_alone(
    ways: tuple[list[tuple[datetime, list[Touchpoint]]], list[tuple[datetime, list[Touchpoint]]]],
) -> None:
    simulation = run(ways[0])
    world = simulation.world
    holding = set()
    for key in {world.key_of(one) for one in (*world.things, *world.kin.people)}:
        story = world.story(key, UTC_ZONE)
        if story is None:
            continue
        known = story.knowing({view.id: world.customer(view.id) for view in story.views()})
        assessed = assessing.assess(DETECTORS, known, END)
        holding |= {one.episode for one in assessed if any(not cause.history for cause in one.verdict.causes)}
    adding_up = composites(DETECTORS)  # They hold by alerts, not by a state.
    alive = {
        (one.detector, one.entity_id) for one in simulation.alerts() if one.alive and one.detector not in adding_up
    }
    assert alive == holding


@settings(max_examples=150, deadline=None)
@given(two_ways())
def test_a_detector_that_is_passed_over_has_nothing_to_say(
    ways: tuple[list[tuple[datetime, list[Touchpoint]]], list[tuple[datetime, list[Touchpoint]]]],
) -> None:
    world = run(ways[0]).world
    told = [world.story(key, UTC_ZONE) for key in {world.key_of(one) for one in (*world.things, *world.kin.people)}]
    for story in told:
        if story is None:
            continue
        known = story.knowing({view.id: world.customer(view.id) for view in story.views()})
        for view in (*story.views(), *known.views()):
            looking = {one.name for one in DETECTORS.concerned(view)}
            for one in DETECTORS.of(view.identifier.namespace, view.kind):
                for now in (MIDST, END):
                    whole, quick = evaluate(one, view, now), evaluate(one, view, now, alerted=False)
                    if whole.holding or whole.deadlines:
                        assert one.name in looking and quick == whole
                    else:
                        assert not quick.holding and not quick.deadlines


def test_most_detectors_are_passed_over_where_little_is_told() -> None:
    story = Story(UUID(int=1), (), UTC_ZONE, strand=Strand(Identifier("default", "user_id", "ann"), State()))
    of_customer, of_session = story.views()
    assert "detractor" not in {one.name for one in DETECTORS.concerned(of_customer)}
    assert DETECTORS.concerned(of_session) == () != DETECTORS.of("default", "session")


@settings(max_examples=60, deadline=None)
@given(two_ways())
def test_no_cause_is_spent_twice_and_no_episode_is_alive_twice(
    ways: tuple[list[tuple[datetime, list[Touchpoint]]], list[tuple[datetime, list[Touchpoint]]]],
) -> None:
    alerts = run(ways[0]).alerts()
    alive = [(alert.detector, alert.entity_id) for alert in alerts if alert.alive]
    assert len(alive) == len(set(alive))
    episodes = [(alert.detector, alert.entity_id, alert.episode) for alert in alerts]
    assert len(episodes) == len(set(episodes))
