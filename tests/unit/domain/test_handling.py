"""What people made of episodes, counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pathline.domain.handling import handled
from pathline.domain.records import Lived

OPENED = datetime(2026, 1, 1, 23, tzinfo=UTC)


def lived(resolution: str | None, *, days: int = 0) -> Lived:
    return Lived("d", "order", UUID(int=1), UUID(int=1), OPENED + timedelta(days=days), None, resolution)


def test_shares_are_of_what_was_no_history() -> None:
    told = handled(
        [
            (lived(None), "Uma"),
            (lived("not_a_problem", days=1), None),
            (lived("fixed", days=1), None),
            (lived("delivered", days=1), None),
            (lived("expired"), None),
        ]
    )
    assert (told.episodes, told.acted_on, told.not_a_problem) == (4, 3, 1)
    assert told.share_acted_on == pytest.approx(0.75)
    assert told.share_not_a_problem == pytest.approx(0.25)
    assert [(day.isoformat(), count) for day, count in told.days] == [("2026-01-02", 3), ("2026-01-01", 1)]


def test_nothing_has_no_share() -> None:
    assert handled([]).share_acted_on is None
