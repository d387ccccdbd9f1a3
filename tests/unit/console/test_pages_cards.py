"""The card of an order on a customer's page: what was given back, each sum in its own currency."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.story import OrderStory
from services.console import things
from services.console.pages import render

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL = {"total": "30.00", "currency": "EUR"}


@pytest.mark.parametrize(
    ("told", "refunds", "shown"),
    [
        (TOTAL, [], None),
        (TOTAL, [{"total": "5"}, {"total": "7.50", "currency": "eur"}], "12.50 EUR"),
        (TOTAL, [{"total": "900", "currency": "JPY"}, {"total": "5"}], "900 JPY, 5 EUR"),
        (TOTAL, [{"total": "900", "currency": "JPY"}, {}], "30.00 EUR"),
        ({}, [{}], "all that was left"),
    ],
)
def test_what_was_given_back_stands_on_the_card(
    told: dict[str, str], refunds: list[dict[str, str]], shown: str | None
) -> None:
    state = State(
        facts={name: Fact(T0, "placed", value) for name, value in told.items()},
        marks={"refunds": tuple(Fact(T0, f"refund {n}", value) for n, value in enumerate(refunds))},
    )
    story = OrderStory(Entity(Identifier("default", "order", "1001"), state), [], ZoneInfo("UTC"))
    cards = render._templates.get_template("parts/marks.html").make_module({"now": T0})
    card = str(cards.order_card(things.order_out(story), "UTC"))  # type: ignore[attr-defined]
    found = re.search(r"<dt>Refunded</dt><dd class=\"number\">(.*?)</dd>", card)
    assert (None if found is None else found[1]) == shown
