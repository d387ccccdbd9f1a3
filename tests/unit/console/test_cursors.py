"""Cursors are opaque, exact, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console import cursors
from services.console.errors import ApiError

TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants bounds without a zone


@given(TIMES, st.uuids())
def test_a_place_comes_back_to_the_microsecond(at: datetime, one: UUID) -> None:
    assert cursors.from_text(cursors.to_text((at, one))) == (at, one)


@given(st.text(max_size=200))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        cursors.from_text(text)
    assert refused.value.code == "bad_cursor"


def test_a_time_that_utc_has_no_year_for_is_refused() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    with pytest.raises(ApiError):
        cursors.from_text(cursors.to_text((first, UUID(int=0))))


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ApiError):
        cursors.from_text(cursors.to_text((naive, UUID(int=0))))
