"""When a webhook is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.scorer.courier import GivenUp, Postponed
from services.scorer.webhook import JITTER, MAX_RETRY_AFTER_SECONDS, RETRY_SECONDS, later


@pytest.mark.parametrize(("attempts", "pause"), list(enumerate(RETRY_SECONDS, start=1)))
def test_pauses_grow_as_the_standard_advises_and_jitter_only_adds(attempts: int, pause: int) -> None:
    again = later(attempts, "HTTP 500")
    assert isinstance(again, Postponed)
    assert pause <= again.seconds <= pause * (1 + JITTER)


def test_the_last_failure_is_the_end() -> None:
    assert later(len(RETRY_SECONDS) + 1, "HTTP 500") == GivenUp("HTTP 500")


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("120", 120, 120),
        (" 120 ", 120, 120),
        ("0", 5, 5 * (1 + JITTER)),
        ("soon", 5, 5 * (1 + JITTER)),
        ("-7", 5, 5 * (1 + JITTER)),
        ("9" * 400, 5, MAX_RETRY_AFTER_SECONDS),
        ("99999999", MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after_is_honoured_within_bounds(told: str, least: float, most: float) -> None:
    again = later(1, "HTTP 429", told)
    assert isinstance(again, Postponed)
    assert least <= again.seconds <= most


def test_retry_after_may_be_a_date() -> None:
    again = later(1, "HTTP 503", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert isinstance(again, Postponed)
    assert 3_590 <= again.seconds <= 3_600
