"""What kind of customer somebody is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.relation import Trial, customer_type, last_told, preferred, purchases, relation, trial
from pathline.domain.story import OrderStory
from tests.support.world import START

UTC_ZONE = ZoneInfo("UTC")


def order(name: str, hours: int, total: Any = None, *, cancelled: bool = False, **told: Any) -> OrderStory:
    facts = {"placed": Fact(START + timedelta(hours=hours), name)}
    for fact, value in {"total": total, "currency": "EUR", **told}.items():
        if value is not None:
            facts[fact] = Fact(START, name, value)
    marks: dict[str, tuple[Fact, ...]] = {"cancellations": (Fact(START, name, {}),)} if cancelled else {}
    return OrderStory(Entity(Identifier("default", "order", name), State(facts=facts, marks=marks)), (), UTC_ZONE)


def named(stories: list[OrderStory]) -> list[str]:
    return [one.order.identifier.value for one in stories]


def test_purchases_are_the_orders_that_were_placed_and_hold_in_the_order_of_time() -> None:
    known = OrderStory(Entity(Identifier("default", "order", "x"), State()), (), UTC_ZONE)
    assert named(purchases([order("c", 3), order("b", 2, cancelled=True), known, order("a", 1)])) == ["a", "c"]


@pytest.mark.parametrize(
    ("count", "switching", "word"),
    [
        (0, False, "visitor"), (1, False, "new"), (2, False, "returning"), (9, False, "returning"),
        (0, True, "switching"), (1, True, "switching"), (2, True, "returning"),
    ],
)  # fmt: skip
def test_who_buys_again_is_no_longer_new(count: int, word: str, *, switching: bool) -> None:
    assert relation([order(str(n), n) for n in range(count)], switching=switching) == word


@pytest.mark.parametrize(
    ("told", "accounts", "identified", "word"),
    [
        ("Business", False, False, "business"), ("consumer", True, True, "consumer"), ("robot", False, True, "consumer"),
        (None, True, False, "business"), (None, False, True, "consumer"), (None, False, False, None),
        (7, False, False, None),
    ],
)  # fmt: skip
def test_a_business_is_told_or_has_an_account(told: Any, word: str | None, *, accounts: bool, identified: bool) -> None:
    assert customer_type(told, accounts=accounts, identified=identified) == word


@pytest.mark.parametrize(
    ("methods", "word"),
    [([], None), ([None], None), (["a", "b", "a"], "a"), (["a", "b"], "b"), (["b", "a", "a", "b", None], "b")],
)
def test_what_is_usual_is_preferred_and_of_two_the_one_chosen_last(methods: list[str | None], word: str | None) -> None:
    assert preferred([order(str(n), n, delivery_method=m) for n, m in enumerate(methods)], "delivery_method") == word


@pytest.mark.parametrize(
    ("totals", "found"),
    [
        ([], None), (["10"], None), (["10", "19.99"], None), (["10", "20"], ("0", "1")),
        (["10", "12", 25, "99"], ("0", "2")), (["0", "50"], None), ([None, "50"], None), (["10", None], None),
        (["50", "10"], None),
    ],
)  # fmt: skip
def test_a_trial_is_a_small_purchase_before_a_large_one(totals: list[Any], found: tuple[str, str] | None) -> None:
    told = trial([order(str(n), n, total) for n, total in enumerate(totals)])
    assert told == (None if found is None else Trial(*found))


def test_sums_of_two_currencies_are_not_compared() -> None:
    assert trial([order("a", 1, "10"), order("b", 2, "2000", currency="JPY")]) is None


def test_what_was_told_last_counts() -> None:
    early, late = Fact(START, "m1", "x"), Fact(START + timedelta(hours=1), "m2", "y")
    states = [State(facts={"switched_from": late}), State(), State(facts={"switched_from": early})]
    assert last_told(states, "switched_from") == late
    assert last_told(states, "name") is None
