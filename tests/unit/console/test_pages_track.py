"""Where a customer is now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pathline.contracts.api import Customer, EntityOut, RiskOut, StageOut
from services.console.pages.journeys import track

ORDER = ("awareness", "engagement", "transaction", "fulfilment")
START = datetime(2026, 5, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def customer(*stages: StageOut) -> Customer:
    return Customer(
        id="1", name=None, identifiers=[], accounts=[], segments=[], first_seen_at=None, last_seen_at=None,
        touchpoint_count=0, channels={}, stages=list(stages), orders=[], risk=RiskOut(0, "unknown"), open_alerts=0,
        truncated=False,
    )  # fmt: skip


def test_who_has_bought_nothing_is_where_the_person_is() -> None:
    steps = track(customer(StageOut("awareness", None, at(0), at(1)), StageOut("engagement", None, at(1), None)), ORDER)
    assert [(step.name, step.current) for step in steps if step.entered_at] == [
        ("awareness", False),
        ("engagement", True),
    ]
    assert [step.entered_at for step in steps] == [at(0), at(1), None, None]


def test_who_has_bought_is_where_the_purchases_are_in_several_stages_at_once() -> None:
    first, second = EntityOut("order", "1"), EntityOut("order", "2")
    steps = track(
        customer(
            StageOut("engagement", None, at(0), None),
            StageOut("transaction", first, at(1), at(2)),
            StageOut("fulfilment", first, at(2), None),
            StageOut("transaction", second, at(3), None),
        ),
        ORDER,
    )
    assert [step.name for step in steps if step.current] == ["transaction", "fulfilment"]
    assert steps[2].entered_at == at(1)
