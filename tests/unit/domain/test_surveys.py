"""NPS, CSAT and CES: each figure by its formula, on its scale, with its n."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.surveys import LABELS, Answer, answer, voice


def figures(survey: str, scores: list[float], scale: float | None = None) -> dict[str, tuple[float, int]]:
    said = voice(answer(survey, score, scale) for score in scores)
    assert said.left_out == 0
    return {one.variant: (one.value, one.n) for one in said.figures}


def test_nps_is_promoters_minus_detractors() -> None:
    # 4 promoters, 3 passives, 3 detractors.
    assert figures("nps", [10, 10, 9, 9, 8, 7, 7, 6, 3, 0]) == {"nps": (10.0, 10)}
    assert figures("NPS", [0, 6]) == {"nps": (-100.0, 2)}
    assert figures("nps", [7, 8]) == {"nps": (0.0, 2)}


def test_csat_is_the_top_two_of_five_and_of_another_scale_in_proportion() -> None:
    assert figures("csat", [5, 4, 3, 1]) == {"csat_top_two": (50.0, 4)}
    assert figures("csat", [8, 10, 7, 1], 10) == {"csat_top_two": (50.0, 4)}
    assert figures("csat", [6, 7, 5], 7) == {"csat_top_two": (66.67, 3)}
    assert figures("csat", [80, 79.9, 0, 100], 100) == {"csat_top_two": (50.0, 4)}


def test_ces_has_a_mean_and_a_net_share() -> None:
    assert figures("ces", [7, 6, 5, 4, 3, 1]) == {"ces_mean": (4.33, 6), "ces_net": (0.0, 6)}
    assert figures("ces", [7, 7, 6, 1], 7) == {"ces_mean": (5.25, 4), "ces_net": (50.0, 4)}


@pytest.mark.parametrize(
    ("survey", "score", "scale"),
    [
        ("nps", 8, 5), ("nps", 11, None), ("nps", -1, 10), ("nps", None, 10), ("nps", "well", None), ("nps", True, 10),
        ("nps", float("nan"), 10), ("nps", float("inf"), 10), ("nps", 9, "ten"), ("nps", 9, float("nan")),
        ("csat", 6, 5), ("csat", 1, 1), ("csat", 1, 1_000), ("csat", 1, float("inf")),
        ("ces", 0, 7), ("ces", 3, 5), ("ces", 8, 7),
        ("smiles", 3, 5), (None, 3, 5), (["nps"], 9, 10), ("", 1, 5),
    ],
)  # fmt: skip
def test_what_its_scale_does_not_have_is_left_out_and_counted(survey: Any, score: Any, scale: Any) -> None:
    assert answer(survey, score, scale) is None
    said = voice([answer(survey, score, scale), answer("nps", 10, None)])
    assert said.left_out == 1 and [(one.value, one.n) for one in said.figures] == [(100.0, 1)]


def test_numbers_as_text_and_the_usual_scale_are_understood() -> None:
    assert answer(" Nps ", "9", "10") == answer("nps", 9, None) == Answer("nps", 9, 10)
    assert answer("csat", "4", None) == Answer("csat", 4, 5)
    assert answer("ces", 7.0, "7") == Answer("ces", 7, 7)


def test_nobody_answered() -> None:
    assert voice([]).figures == [] and voice([]).left_out == 0


@given(st.lists(st.integers(0, 10), min_size=1), st.randoms())
def test_a_figure_has_its_bounds_and_no_order(scores: list[int], chance: Any) -> None:
    shuffled = sorted(scores, key=lambda _: chance.random())
    assert figures("nps", list(scores)) == figures("nps", list(shuffled))
    (value, n) = figures("nps", list(scores))["nps"]
    assert -100 <= value <= 100 and n == len(scores)


def test_every_variant_has_a_name() -> None:
    made = voice([answer("nps", 9, 10), answer("csat", 4, 5), answer("ces", 6, 7)])
    assert [one.variant for one in made.figures] == list(LABELS)
