"""Records of hints in portions of one transaction each."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pathline.consuming.partitions import Ownership, Shares
from pathline.contracts import hint
from pathline.contracts.hint import Hint
from services.scorer.batch import MESSAGE_LENGTH, Batch, batches, lanes

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sent(partition: int, offset: int, value: bytes | None) -> SimpleNamespace:
    headers = (("traceparent", b"00-1"), ("empty", None), ("nul", b"\0"))
    return SimpleNamespace(partition=partition, offset=offset, value=value, key=b"k", headers=headers)


def hints(count: int) -> bytes:
    one = Hint(UUID(int=1), UUID(int=2), "m", "Seen", "web", NOW, NOW)
    return hint.encode([one] * count, NOW)


def shares_of(sizes: dict[int, list[int]]) -> Shares:
    """Records with so many hints each, by partition; a negative number is one that can't be read."""
    return {
        partition: (
            Ownership(1, 0),
            [sent(partition, n, hints(size) if size >= 0 else b"no") for n, size in enumerate(listed)],
        )
        for partition, listed in sizes.items()
    }


@given(
    st.dictionaries(st.integers(0, 3), st.lists(st.integers(-1, 7), min_size=1, max_size=8), max_size=3),
    st.integers(1, 10),
)
def test_every_record_is_in_one_batch_in_order_and_none_is_larger_than_asked(
    sizes: dict[int, list[int]], most: int
) -> None:
    shares = shares_of(sizes)
    made = list(batches(shares, most))
    read = [(one.partition, one.offset) for batch in made for _, records in batch.shares.values() for one in records]
    assert read == [(p, n) for p in sorted(sizes) for n in range(len(sizes[p]))]
    for batch in made:
        assert all(own is shares[partition][0] for partition, (own, _) in batch.shares.items())
        assert len(batch.hints) <= most or _only_one_tells(batch)
    letters = {(letter.partition, letter.offset) for batch in made for letter in batch.letters}
    assert letters == {(p, n) for p, listed in sizes.items() for n, size in enumerate(listed) if size < 0}
    assert sum(len(batch.hints) for batch in made) == sum(max(0, n) for listed in sizes.values() for n in listed)


def _only_one_tells(batch: Batch) -> bool:
    records = [one for _, listed in batch.shares.values() for one in listed]
    return len([one for one in records if one.value != b"no" and hint.decode(one.value).hints]) == 1


def test_a_letter_of_a_batch_is_of_a_record_of_that_batch() -> None:
    for batch in batches(shares_of({0: [4, -1, 3, -1]}), 3):
        offsets = {one.offset for _, records in batch.shares.values() for one in records}
        assert {letter.offset for letter in batch.letters} <= offsets


def test_what_cannot_be_read_is_kept_as_it_came_with_a_short_reason() -> None:
    for value in (
        None,
        b"",
        b"{}",
        b"[" * 10_000,
        b"\xff",
        b'{"v":1,"stitched_at":"' + b"x" * 10_000 + b'","hints":[]}',
    ):
        (batch,) = batches({0: (Ownership(1, 0), [sent(0, 0, value)])}, 10)
        (letter,) = batch.letters
        assert (letter.value, letter.key, letter.code) == (value, b"k", "unreadable_record")
        assert len(letter.message) <= MESSAGE_LENGTH
        assert "\\u0000" not in letter.headers


@given(
    st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), min_size=1, max_size=8), max_size=6),
    st.integers(1, 4),
)
def test_each_partition_is_in_one_lane_and_no_lane_is_empty(sizes: dict[int, list[int]], at_once: int) -> None:
    shares = shares_of(sizes)
    parts = lanes(shares, 1, at_once)
    assert {p: share for part in parts for p, share in part.items()} == shares
    assert sum(len(part) for part in parts) == len(shares)
    assert len(parts) <= at_once
    assert all(parts) or not shares


def test_what_one_batch_may_hold_is_in_one_lane_and_more_is_shared_out_evenly() -> None:
    few, many = shares_of({0: [1], 1: [1]}), shares_of({0: [9], 1: [3, 3], 2: [5], 3: [1]})
    assert lanes(few, 1_000, 2) == [few]
    assert [sorted(part) for part in lanes(many, 1, 2)] == [[0, 3], [1, 2]]
    assert lanes(many, 1, 1) == [many]
