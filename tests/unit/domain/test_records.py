from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import detector_files
from pathline.domain.detectors.rules import DetectorError
from pathline.domain.records import Aim, Lived, Record, Span, aim_of, records
from tests.support.world import START

WARNING = Aim("warning", warns_of="trouble")
TROUBLE = Aim("trouble")
MONTH = Span(days=30.0)
HOUR = 3600.0


def lived(
    detector: str, opened: float, ended: float | None = None, how: str = "answered", *, thing: int = 1, **more: Any
) -> Lived:
    """An episode by hours after START; the story is the thing's own unless another is given."""
    at = START + timedelta(hours=opened)
    return Lived(
        detector=detector,
        entity_kind=more.get("kind", "order"),
        entity_id=UUID(int=thing),
        story_id=UUID(int=more.get("story", thing)),
        opened_at=at,
        resolved_at=None if ended is None else START + timedelta(hours=ended),
        resolution=None if ended is None else how,
    )


def of_warning(*episodes: Lived, span: Span = MONTH) -> Record:
    return records([TROUBLE, WARNING], episodes, span)[1]


def test_a_warning_is_right_where_the_trouble_follows_and_its_lead_is_the_time_between() -> None:
    told = of_warning(lived("warning", 0, 24, "handed_over"), lived("trouble", 24, 40, "delivered"))
    assert (told.came_true, told.in_vain, told.share_right) == (1, 0, 1.0)
    assert told.median_lead_seconds == 24 * HOUR
    assert (told.troubles, told.foreseen, told.share_foreseen) == (1, 1, 1.0)


def test_a_warning_that_ends_without_it_was_in_vain_and_one_still_open_is_neither() -> None:
    told = of_warning(lived("warning", 0, 5, "delivered"), lived("warning", 0, thing=2))
    assert (told.episodes, told.open, told.came_true, told.in_vain, told.share_right) == (2, 1, 0, 1, 0.0)
    assert of_warning(lived("warning", 0)).share_right is None


def test_a_trouble_that_comes_after_the_warning_was_answered_makes_it_right_all_the_same() -> None:
    told = of_warning(lived("warning", 0, 5, "out_for_delivery"), lived("trouble", 24))
    assert (told.came_true, told.in_vain) == (1, 0)


def test_of_two_warnings_the_last_before_the_trouble_is_right() -> None:
    told = of_warning(
        lived("warning", 0, 10, "promise_moved"), lived("warning", 50, 74, "handed_over"), lived("trouble", 74)
    )
    assert (told.came_true, told.in_vain, told.median_lead_seconds) == (1, 1, 24 * HOUR)


def test_a_warning_is_right_about_one_trouble_and_the_next_was_not_foreseen() -> None:
    told = of_warning(lived("warning", 0, 24, "handed_over"), lived("trouble", 24, 30), lived("trouble", 99))
    assert (told.came_true, told.troubles, told.foreseen, told.share_foreseen) == (1, 2, 1, 0.5)


def test_a_trouble_before_the_warning_or_of_another_thing_is_not_foreseen() -> None:
    told = of_warning(lived("warning", 5, 9), lived("trouble", 4), lived("trouble", 6, thing=2))
    assert (told.came_true, told.in_vain, told.foreseen) == (0, 1, 0)


def test_at_one_instant_the_warning_comes_first() -> None:
    told = of_warning(lived("trouble", 5), lived("warning", 5))
    assert (told.came_true, told.median_lead_seconds) == (1, 0.0)


def test_a_parcels_warning_is_of_the_trouble_of_its_order_but_not_of_another_parcels() -> None:
    first, second = (lived("warning", 1, 3, thing=n, kind="parcel", story=9) for n in (1, 2))
    of_order = of_warning(first, second, lived("trouble", 5, thing=9, story=9))
    assert (of_order.came_true, of_order.foreseen) == (2, 1)
    of_parcel = of_warning(first, second, lived("trouble", 5, thing=2, kind="parcel", story=9))
    assert (of_parcel.came_true, of_parcel.in_vain, of_parcel.foreseen) == (1, 1, 1)


def test_a_parcels_warning_counts_for_it_also_after_its_order_was_told() -> None:
    told = of_warning(
        lived("warning", 0, 2, thing=1, kind="parcel"), lived("trouble", 9, thing=1, kind="parcel", story=9)
    )
    assert told.came_true == 1


def test_who_warns_of_nothing_is_asked_how_often_and_how_soon_it_was_answered() -> None:
    (told,) = records(
        [Aim("trouble", no_answers=frozenset({"moved", "fixed"}))],
        [
            lived("trouble", 0, 2),
            lived("trouble", 0, 4, "delivered", thing=2),
            lived("trouble", 0, 9, "moved", thing=3),
            lived("trouble", 0, 9, "fixed", thing=4),
            lived("trouble", 0, thing=5),
        ],
        MONTH,
    )
    assert (told.answered, told.share_answered, told.median_answer_seconds) == (2, 0.5, 3 * HOUR)
    assert told.median_seconds == 6.5 * HOUR
    assert told.resolutions == (("answered", 1), ("delivered", 1), ("fixed", 1), ("moved", 1))
    assert (told.warns_of, told.came_true, told.in_vain, told.share_right, told.troubles) == (None, 0, 0, None, 0)


def test_work_is_counted_by_the_day_and_by_who_shares_it() -> None:
    episodes = [lived("warning", n, thing=n) for n in range(60)]
    told = of_warning(*episodes, span=Span(days=30.0, agents=4))
    assert (told.per_day, told.per_day_and_agent) == (2.0, 0.5)
    assert of_warning(*episodes, span=Span(days=0.0, agents=4)).per_day is None
    assert of_warning(*episodes).per_day_and_agent is None


def test_what_only_history_told_of_is_counted_and_no_part_of_the_rest() -> None:
    told = of_warning(lived("warning", 0, 1, "expired"), lived("trouble", 2))
    assert (told.expired, told.episodes, told.came_true, told.foreseen, told.resolutions) == (1, 0, 0, 0, ())


def test_the_record_names_every_detector_and_leaves_out_who_has_no_aim() -> None:
    told = records([WARNING, TROUBLE], [lived("stranger", 0)], MONTH)
    assert [(one.detector, one.episodes) for one in told] == [("trouble", 0), ("warning", 0)]


@given(st.data())
def test_the_order_of_the_episodes_does_not_matter(data: st.DataObject) -> None:
    episodes = [
        lived(
            data.draw(st.sampled_from(("warning", "trouble"))),
            hours := data.draw(st.integers(0, 50)),
            data.draw(st.sampled_from((None, hours + 5))),
            thing=data.draw(st.integers(1, 3)),
            kind=data.draw(st.sampled_from(("order", "parcel"))),
            story=data.draw(st.integers(1, 2)),
        )
        for _ in range(data.draw(st.integers(0, 12)))
    ]
    shuffled = data.draw(st.permutations(episodes))
    told = records([WARNING, TROUBLE], episodes, MONTH)
    assert records([TROUBLE, WARNING], shuffled, MONTH) == told
    assert told[1].came_true + told[1].in_vain + told[1].open >= told[1].episodes
    assert told[1].foreseen <= min(told[1].troubles, told[1].episodes)


def test_the_words_of_a_file_that_are_no_answers() -> None:
    aims = {name: aim_of(file) for name, file in detector_files.load().files.items()}
    assert aims["delivery_at_risk"].warns_of == "late_vs_promise"
    assert {"promise_moved", "handed_over", "late_event", "fixed"} <= aims["delivery_at_risk"].no_answers
    assert not {"delivered", "out_for_delivery", "answered"} & aims["delivery_at_risk"].no_answers


@pytest.mark.parametrize("name", ["nobody", ""])
def test_a_detector_that_warns_of_nobody_known_is_a_fault_of_its_file(tmp_path: Any, name: str) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"{{name: early, title: Early, ease: buy, advice: Ask., entity: [order], warns_of: '{name}',"
        " deadline: {at: placed}, severity: [{level: info}]}"
    )
    with pytest.raises(DetectorError, match="early: warns_of: there is no detector"):
        detector_files.load(tmp_path)
