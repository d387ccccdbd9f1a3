"""A batch is folded before anybody knows which of its touchpoints are new, and again where some are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from services.stitcher.app import read_stages
from services.stitcher.batch import PORTION, collect, empty, fill
from services.stitcher.transaction import changes_of, hints_of, told_of
from tests.bench.traffic import records

STAGES = read_stages(None)


def polled(values: list[bytes]) -> dict[int, list[Any]]:
    return {
        0: [
            SimpleNamespace(partition=0, offset=place, key=None, value=value, headers=())
            for place, value in enumerate(values)
        ]
    }


def test_a_batch_of_new_ones_is_folded_once() -> None:
    batch = collect(polled(records(40, customers=5)), STAGES)
    assert changes_of(batch, set(batch.touchpoints), STAGES) is batch.changes


def test_what_is_not_new_is_in_no_count_and_no_pointer() -> None:
    values = records(40, customers=5)
    whole, rest = collect(polled(values), STAGES), collect(polled(values[15:]), STAGES)
    changes = changes_of(whole, set(rest.touchpoints), STAGES)
    assert rest.changes is not None
    assert whole.changes is not None
    assert changes.states == rest.changes.states != whole.changes.states
    assert (changes.people, changes.parents) == (rest.changes.people, rest.changes.parents)
    assert (changes.claims, changes.orders) == (rest.changes.claims, rest.changes.orders)
    assert [one.touchpoint.id for one in changes.stitched] == list(rest.touchpoints)


def test_rows_and_hints_are_made_ahead_of_all_and_anew_of_what_is_left() -> None:
    values = records(40, customers=5)
    batch = collect(polled(values), STAGES)
    assert batch.changes is not None
    rows, hints = told_of(batch, batch.changes)
    assert rows is batch.rows
    assert hints is batch.hints
    assert [one.id for one in hints] == list(batch.touchpoints)
    left = changes_of(batch, set(list(batch.touchpoints)[15:]), STAGES)
    assert told_of(batch, left) == (batch.rows[15:], batch.hints[15:])


def test_a_hint_made_ahead_is_not_changed_by_whom_its_touchpoint_moved() -> None:
    batch = collect(polled(records(40, customers=5)), STAGES)
    assert batch.changes is not None
    one = next(hint for hint in batch.hints if hint.entities)
    other = UUID(int=1)
    hints = hints_of(batch.changes, batch.hints, [], {one.subject}, {one.entities[0]: {other}})
    told = next(hint for hint in hints if hint.id == one.id)
    assert (told.moved, told.reowned) == ([one.subject], [one.entities[0], other])
    assert not any(hint.moved or hint.reowned for hint in batch.hints)
    assert hints_of(batch.changes, batch.hints, [], set(), {}) == batch.hints


def test_one_that_stands_in_it_twice_is_folded_once() -> None:
    values = records(10, customers=2)
    batch, once = collect(polled([*values, *values]), STAGES), collect(polled(values), STAGES)
    assert batch.size == 20
    assert batch.changes is not None
    assert once.changes is not None
    assert batch.changes.states == once.changes.states


def test_it_pauses_after_each_portion_and_ends_as_a_whole() -> None:
    values = [*records(2 * PORTION, customers=5), b"no record"]
    batch = empty(polled(values), STAGES)
    assert [batch.size for _ in fill(batch)] == [0, PORTION, 2 * PORTION]
    assert (batch.size, len(batch.touchpoints), len(batch.letters)) == (2 * PORTION + 1, 2 * PORTION, 1)


def test_what_a_paused_source_sent_is_set_aside_untried_and_no_other() -> None:
    values = [*records(4, customers=2), *records(3, customers=2, seed=2, source="till")]
    batch = collect(polled(values), STAGES, paused={"till"})
    assert len(batch.touchpoints) == 4
    assert [(letter.code, letter.offset) for letter in batch.letters] == [("source_paused", n) for n in (4, 5, 6)]


def test_what_a_paused_source_sent_is_a_dead_letter_and_the_others_are_folded() -> None:
    values = records(3, customers=3)
    ours, theirs = values[:2], values[2].replace(b'"bench"', b'"till"')
    batch = collect(polled([*ours, theirs]), STAGES, paused={"till"})
    assert [(one.offset, one.code, one.source) for one in batch.letters] == [(2, "source_paused", "till")]
    assert len(batch.touchpoints) == 2
    assert batch.changes is not None
    assert len(batch.changes.stitched) == 2
