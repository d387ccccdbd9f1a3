"""Where a customer is now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pathline.contracts.customer import ActionOut, Customer, EntityOut, RiskOut, StageOut, TouchOut
from services.console.pages.journeys import track

ORDER = ("awareness", "engagement", "transaction", "fulfilment")
START = datetime(2026, 5, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def stage(name: str, entity: EntityOut | None, entered_at: datetime, left_at: datetime | None) -> StageOut:
    return StageOut(name, entity, entered_at, left_at, "web", "m")


def customer(*stages: StageOut) -> Customer:
    return Customer(
        id="1", name=None, identifiers=[], accounts=[], segments=[], first_seen_at=None, last_seen_at=None,
        touchpoint_count=0, channels={}, stages=list(stages), orders=[], risk=RiskOut(0, "unknown"), open_alerts=0,
        truncated=False, relation="visitor", switched_from=None, customer_type=None, preferred_delivery=None,
        preferred_payment=None, trial=None, silent_since=None, first_touch=None, last_touch=None, actions=[],
        moments_of_truth=[], sessions=[], sessions_complete=True, checkouts=[], cases=[], invoices=[], disputes=[],
        surveys=[],
    )  # fmt: skip


def test_who_has_bought_nothing_is_where_the_person_is() -> None:
    steps = track(customer(stage("awareness", None, at(0), at(1)), stage("engagement", None, at(1), None)), ORDER)
    assert [(step.name, step.current) for step in steps if step.entered_at] == [
        ("awareness", False),
        ("engagement", True),
    ]
    assert [step.entered_at for step in steps] == [at(0), at(1), None, None]


def test_who_has_bought_is_where_the_purchases_are_in_several_stages_at_once() -> None:
    first, second = EntityOut("order", "1"), EntityOut("order", "2")
    steps = track(
        customer(
            stage("engagement", None, at(0), None),
            stage("transaction", first, at(1), at(2)),
            stage("fulfilment", first, at(2), None),
            stage("transaction", second, at(3), None),
        ),
        ORDER,
    )
    assert [step.name for step in steps if step.current] == ["transaction", "fulfilment"]
    assert steps[2].entered_at == at(1)


def test_an_action_is_done_when_every_purchase_has_done_it() -> None:
    orders = [EntityOut("order", str(n)) for n in (1, 2)]
    one = customer(*(stage("transaction", order, at(1), None) for order in orders))
    one.actions = [
        ActionOut("transaction", "ordered", orders[0], at(1), "web", "m1"),
        ActionOut("transaction", "paid", orders[0], at(2), "web", "m2"),
        ActionOut("transaction", "ordered", orders[1], at(3), "web", "m3"),
        ActionOut("transaction", "paid", orders[1], None, None, None),
        ActionOut("gone", "asked", None, None, None, None),
    ]
    steps = {step.name: step.actions for step in track(one, ORDER)}
    assert steps == {
        "awareness": [], "engagement": [], "transaction": [("ordered", at(3)), ("paid", None)], "fulfilment": [],
    }  # fmt: skip


def test_a_step_says_when_more_was_done_there_than_to_enter_it() -> None:
    once, twice = stage("awareness", None, at(0), at(1)), stage("engagement", None, at(1), None)
    once.last_touch, twice.last_touch = (TouchOut(at(n), "web", "Seen", None, name) for n, name in ((0, "m"), (3, "n")))
    assert [step.last_at for step in track(customer(once, twice), ORDER)] == [None, at(3), None, None]
