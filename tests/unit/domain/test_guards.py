"""Guards: what an expression may ask, what it gives where something is not known, and what is wrong with one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pathline.domain import assessing
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.guards import MAX_LENGTH, MAX_LIST, Guard, GuardError
from pathline.domain.detectors.view import Customer, Story, View
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from tests.support.world import START

UTC_ZONE = ZoneInfo("UTC")
KNOWN = Customer(named=True, segments=frozenset({"vip", "business"}), relation="returning", customer_type="business")


def state(**told: Any) -> State:
    return State(facts={name: Fact(START, "m", value) for name, value in told.items()})


def seen(kind: str, told: State, *, order: State | None = None, customer: Customer | None = None) -> View:
    """The thing of that kind in its story, with its order where there is one."""
    entity = Entity(Identifier("default", kind, "1"), told)
    things = [entity] if order is None else [entity, Entity(Identifier("default", "order", "9"), order)]
    customers = None if customer is None else {entity.id: customer}
    story = Story(things[-1].id, things, UTC_ZONE, customers=customers)
    return next(view for view in views(story) if view.kind == kind)


def views(story: Story) -> list[View]:
    return [View(story, one.identifier, one.id, one.state) for one in story.things]


def holds(source: str, view: View) -> bool | None:
    return Guard(source, [view.kind]).holds(view)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("thing.total >= 100", True),
        ("order.total > 100.0 && order.currency == 'EUR'", True),
        ("thing.total < 100", False),
        ('thing.currency == "order.total"', False),
        ("has(thing.payment_method)", False),
        ("!has(thing.payment_method)", True),
        ("thing.payment_method == 'card'", False),  # not known
        ("thing.total > 'a'", None),  # cannot be compared
        ("thing.status == 'placed'", True),
    ],
)
def test_an_expression_is_true_false_or_cannot_be_worked_out(source: str, answer: bool | None) -> None:  # noqa: FBT001
    assert holds(source, seen("order", state(placed=None, total="120.50", currency="EUR"))) is answer


def test_a_thing_knows_its_order_and_a_thing_without_one_knows_nothing_of_it() -> None:
    parcel = state(status="in_transit", carrier="Swift")
    assert holds("order.total > 10 && parcel.carrier == 'Swift'", seen("parcel", parcel, order=state(total=12))) is True
    assert holds("order.total > 10", seen("parcel", parcel)) is False
    assert holds("order.status == 'shipped'", seen("parcel", parcel, order=state(total=12))) is True


def test_a_number_is_a_number_however_it_was_sent() -> None:
    assert holds("thing.total == 12", seen("order", state(total=12))) is True
    assert holds("thing.total == 12", seen("order", state(total="12.00"))) is True
    assert holds("thing.total > 0", seen("order", state(total="much"))) is False
    assert holds("thing.total == 5", seen("checkout", state(value="5", total="9"))) is True


def test_of_an_invoice_the_next_attempt_is_that_of_the_last_failure() -> None:
    def failed(message: str) -> tuple[Fact, ...]:
        return (Fact(START, message, {"outcome": "failed"}),)

    told = State(facts={"next_attempt": Fact(START, "one", "2026-02-01")}, marks={"payments": failed("one")})
    later = State(facts=told.facts, marks={"payments": (*failed("one"), *failed("two"))})
    assert holds("has(thing.next_attempt)", seen("invoice", told)) is True
    assert holds("has(thing.next_attempt)", seen("invoice", later)) is False


def test_of_a_customer_who_was_not_looked_up_whatever_is_asked_may_be() -> None:
    order = state(total=1)
    asked = "customer.type == 'consumer' && thing.total > 100"
    assert holds(asked, seen("order", order)) is True
    assert holds(asked, seen("order", order, customer=KNOWN)) is False
    assert holds("customer.named && 'vip' in customer.segments", seen("order", order, customer=KNOWN)) is True
    assert holds("customer.relation == 'new'", seen("order", order, customer=KNOWN)) is False
    assert holds("customer.type == 'business'", seen("order", order, customer=Customer(named=False))) is False


def test_a_list_is_short() -> None:
    many = Customer(named=True, segments=frozenset(f"s{n:03}" for n in range(MAX_LIST * 2)))
    view = seen("order", State(), customer=many)
    assert holds(f"size(customer.segments) == {MAX_LIST}", view) is True


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("thing.total > " + "1" * MAX_LENGTH, "too_long", "at most"),
        ("thing.colour == 'red'", "unknown_name", "'colour' is nothing that is known of a order"),
        ("customer.shoe > 40", "unknown_name", "'shoe'"),
        ("parcel.status == 'x'", "unknown_name", "parcel"),
        ("thing == 3", "bad_expression", "thing needs a name"),
        ("thing.total +", "bad_expression", ""),
        ("'text'", "bad_expression", "true or false"),
        ("now() > 3", "unknown_name", "now"),
    ],
)
def test_what_is_wrong_with_one_is_told_with_its_code(source: str, code: str, words: str) -> None:
    with pytest.raises(GuardError) as raised:
        Guard(source, ["order"])
    assert raised.value.flaws[0].code == code and words in str(raised.value)


def test_all_that_is_wrong_is_told_with_its_place() -> None:
    with pytest.raises(GuardError) as raised:
        Guard("thing.total > 1 &&\n  thing.colour == 'thing.size' || order.size > 2", ["order"])
    assert [(flaw.line, flaw.column) for flaw in raised.value.flaws] == [(2, 9), (2, 41)]


def test_every_kind_that_a_detector_looks_at_must_know_the_name() -> None:
    Guard("thing.status == 'delivered'", ["order", "parcel"])
    with pytest.raises(GuardError, match="'total' is nothing that is known of a parcel"):
        Guard("thing.total > 1", ["order", "parcel"])


def test_an_error_is_told_of_to_who_asks_and_counts_as_false() -> None:
    file = checks.read(
        {
            "name": "mine", "title": "{kind} {value}", "ease": "use", "advice": "Look.", "entity": ["order"],
            "when": "thing.total > 'a'", "deadline": {"at": "placed"}, "severity": [{"level": "info"}],
        }
    )  # fmt: skip
    story = seen("order", state(placed=None, total="120.50")).story
    errors: list[str] = []
    assessed = assessing.assess(Detectors([file]), story, START + timedelta(days=1), on_guard_error=errors.append)
    assert (assessed, errors) == ([], ["mine"])
