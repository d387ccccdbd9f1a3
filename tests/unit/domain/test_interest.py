"""Which visits were lost, and the shares of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pathline.domain.interest import MAX_LANDINGS, Ended, Share, Visit, ended, interest, just_ended, lost
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import START, touchpoint


@pytest.mark.parametrize(
    ("seconds", "clicks", "views", "key_event", "is_lost"),
    [
        (0, 0, 1, False, True),
        (7, 9, 1, False, True),
        (8, 3, 1, False, True),
        (8, 4, 1, False, False),
        (10, 3, 1, False, True),
        (11, 0, 1, False, False),
        (1, 0, 2, False, False),
        (1, 0, 1, True, False),
    ],
)
def test_a_visit_is_lost_that_was_over_at_once_and_not_engaged(
    *, seconds: float, clicks: float, views: float, key_event: bool, is_lost: bool
) -> None:
    assert lost(Ended(seconds, clicks, views), key_event=key_event) is is_lost


@pytest.mark.parametrize(
    "told",
    [
        {}, {"seconds": 3, "clicks": 1}, {"seconds": -1, "clicks": 0, "views": 1},
        {"seconds": float("nan"), "clicks": 0, "views": 1}, {"seconds": 3, "clicks": [1], "views": 1},
        {"seconds": True, "clicks": 0, "views": 1},
    ],
)  # fmt: skip
def test_a_visit_that_does_not_say_how_it_was_is_none(told: dict[str, Any]) -> None:
    assert ended(told) is None


def test_numbers_as_text_count_and_no_visit_is_longer_than_a_day() -> None:
    assert ended({"seconds": "3", "clicks": 0, "views": 1.0}) == Ended(3, 0, 1)
    assert ended({"seconds": float("inf"), "clicks": 0, "views": 1}) == Ended(86_400, 0, 1)


def visit(days: float, landing: str | None, stage: str | None, *, gone: bool) -> Visit:
    return Visit(
        START + timedelta(days=days), Ended(1 if gone else 60, 0, 1), key_event=False, landing=landing, stage=stage
    )


def test_shares_are_by_day_by_landing_page_and_by_stage() -> None:
    found = interest(
        [
            visit(0, "/a", "awareness", gone=True),
            visit(0, "/a", "awareness", gone=False),
            visit(1, "/b", "engagement", gone=True),
            visit(1, None, None, gone=False),
        ]
    )
    days = [(START + timedelta(days=n)).date().isoformat() for n in (0, 1)]
    assert found.all == Share(4, 2)
    assert found.by_day == {days[0]: Share(2, 1), days[1]: Share(2, 1)}
    assert found.by_landing == {"/a": Share(2, 1), "/b": Share(1, 1), None: Share(1, 0)}
    assert found.by_stage == {"awareness": Share(2, 1), "engagement": Share(1, 1), None: Share(1, 0)}


def test_the_landing_pages_with_most_visits_are_told_apart() -> None:
    many = [visit(0, f"/{n:03}", None, gone=True) for n in range(MAX_LANDINGS + 5)]
    found = interest([*many, visit(0, "/most", None, gone=False), visit(0, "/most", None, gone=True)])
    assert len(found.by_landing) == MAX_LANDINGS and next(iter(found.by_landing)) == "/most"
    assert found.all.visits == MAX_LANDINGS + 7


def test_nobody_came() -> None:
    assert interest([]).all == Share(0, 0)


def test_visits_are_counted_as_they_end_and_history_is_not() -> None:
    def over(seconds: float, *, historical: bool = False, event: str = "Visit Ended") -> Touchpoint:
        told = {"seconds": seconds, "clicks": 0, "views": 1}
        made = touchpoint(1, event=event, people={"anonymous_id": "v"}, properties=told)
        return msgspec.structs.replace(made, historical=historical)

    assert just_ended([over(1), over(20), over(2), over(1, historical=True), over(1, event="Page Left")]) == Share(3, 2)
