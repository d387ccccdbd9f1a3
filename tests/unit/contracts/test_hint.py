from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import hint
from pathline.contracts.hint import VERSION, Hint

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
hints = st.builds(
    Hint,
    subject=st.uuids(),
    id=st.uuids(),
    message_id=texts,
    event=texts,
    channel=texts,
    occurred_at=times,
    received_at=times,
    entities=st.lists(st.uuids(), max_size=3),
    stage=st.none() | texts,
    moved=st.lists(st.uuids(), max_size=3),
    traceparent=st.none() | texts,
    historical=st.booleans(),
)


@given(st.lists(hints, max_size=4), times)
def test_what_is_written_is_read(listed: list[Hint], now: datetime) -> None:
    batch = hint.decode(hint.encode(listed, now))
    assert (batch.v, batch.stitched_at, batch.hints) == (VERSION, now, listed)


@pytest.mark.parametrize("value", [b"", b"null", b"{}", b'{"v":1,"hints":[]}', b"\xff", b'{"v":1,"hints":[{}]'])
def test_what_is_no_batch_is_refused(value: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        hint.decode(value)
