"""A record of the topic of dead letters as a row, whatever its writer put there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pathline.contracts.letters import Letter, encode
from services.stitcher import letterbox
from services.stitcher.letterbox import kept

TOPIC = "p.dead-letters.v1"
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TOLD = encode(Letter(stage="stitcher", code="no_subject", message="m", topic="t", partition=3, offset=71))


def record(timestamp: int | None, headers: Any = TOLD) -> Any:
    return SimpleNamespace(key=b"k", value=b"v", headers=headers, partition=1, offset=5, timestamp=timestamp)


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        (int((NOW - timedelta(days=1)).timestamp()) * 1_000, NOW - timedelta(days=1)),
        (int(NOW.timestamp()) * 1_000 + 3_600_000, NOW),
        (int(NOW.timestamp()) * 1_000_000, NOW),
        (2**63 - 1, NOW),
        (-1, NOW),
        (-(2**63), NOW),
        (None, NOW),
    ],
)
def test_its_time_is_never_ahead_and_none_is_now(timestamp: int | None, at: datetime) -> None:
    row = kept(TOPIC, record(timestamp), NOW)
    assert (row.created_at, row.topic, row.offset, row.code) == (at, "t", 71, "no_subject")


def test_one_that_cannot_be_read_at_all_is_kept_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Letter:
        raise OverflowError

    monkeypatch.setattr(letterbox, "decode", fails)
    row = kept(TOPIC, record(0), NOW)
    assert (row.topic, row.partition, row.offset) == (TOPIC, 1, 5)
    assert (row.stage, row.code, row.key, row.value, row.created_at) == ("unknown", "unexplained", b"k", b"v", NOW)
