"""What customers say of themselves: NPS, CSAT and CES from raw answers, each figure with its variant and its n.

An answer is kept as it was given. What a score means depends on its scale, and vendors reckon the same letters in
several ways; so a figure has a name that says how it was made, and an answer on a scale that its survey does not have
is left out and counted, not bent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from pathline.domain.detectors.operators import number

Survey = Literal["nps", "csat", "ces"]
Group = Literal["promoter", "passive", "detractor", "satisfied", "not_satisfied", "easy", "neutral", "hard"]
Variant = Literal["nps", "csat_top_two", "ces_mean", "ces_net"]

LABELS: Final[dict[Variant, str]] = {
    "nps": "NPS: % of 9-10 minus % of 0-6",
    "csat_top_two": "CSAT: % of the top two of five, another scale in proportion",
    "ces_mean": "CES 2.0: mean of 1 to 7",
    "ces_net": "CES 2.0: % of 6-7 minus % of 1-3",
}
"""How each figure is made, in words."""

SCALES: Final[dict[Survey, float]] = {"nps": 10, "csat": 5, "ces": 7}
"""The scale of an answer that tells none. NPS and CES 2.0 have no other."""

_LEAST: Final[dict[Survey, float]] = {"nps": 0, "csat": 0, "ces": 1}
"""0 of a CSAT is no answer of five, but one of a hundred."""

_CSAT_SCALES: Final = (2, 100)
_NAMES: Final[dict[str, Survey]] = {"nps": "nps", "csat": "csat", "ces": "ces"}

PROMOTER_LEAST: Final = 9
DETRACTOR_MOST: Final = 6
TOP_TWO: Final = 0.8
"""Of a CSAT's scale: from there on are the top two of five."""
EASY_LEAST: Final = 6
HARD_MOST: Final = 3


class Answer(msgspec.Struct, frozen=True):
    """A survey's answer that can be reckoned with."""

    survey: Survey
    score: float
    scale: float

    @property
    def group(self) -> Group:
        """Which of the groups of its survey it belongs to."""
        if self.survey == "nps":
            return _of_three(self.score, PROMOTER_LEAST, DETRACTOR_MOST, ("promoter", "passive", "detractor"))
        if self.survey == "csat":
            return "satisfied" if self.score >= TOP_TWO * self.scale else "not_satisfied"
        return _of_three(self.score, EASY_LEAST, HARD_MOST, ("easy", "neutral", "hard"))


class Figure(msgspec.Struct, frozen=True):
    """One figure over `n` answers: percent points of -100 to 100, percent, or a mean."""

    survey: Survey
    variant: Variant
    value: float
    n: int


class Voice(msgspec.Struct, frozen=True):
    """What answers come to, and how many of them could not be read as one of the three surveys."""

    figures: list[Figure]
    left_out: int


def answer(survey: Any, score: Any, scale: Any) -> Answer | None:
    """An answer from what was told; None for another survey, and for a score that its scale does not have."""
    name = _NAMES.get(survey.strip().lower()) if isinstance(survey, str) else None
    if name is None:
        return None
    # None is the scale that everybody means; what is there and no number is a scale that we do not know.
    told, end = number(score), SCALES[name] if scale is None else number(scale)
    if told is None or end is None:
        return None
    fits = _CSAT_SCALES[0] <= end <= _CSAT_SCALES[1] if name == "csat" else end == SCALES[name]
    return Answer(name, told, end) if fits and _LEAST[name] <= told <= end else None


def voice(answers: Iterable[Answer | None]) -> Voice:
    """The figures of these answers, of each survey that was answered."""
    found: dict[Survey, list[Answer]] = {"nps": [], "csat": [], "ces": []}
    left_out = 0
    for one in answers:
        if one is None:
            left_out += 1
        else:
            found[one.survey].append(one)
    nps, csat, ces = found["nps"], found["csat"], found["ces"]
    figures = []
    if nps:
        figures.append(_figure("nps", _share(nps, "promoter") - _share(nps, "detractor"), nps))
    if csat:
        figures.append(_figure("csat_top_two", _share(csat, "satisfied"), csat))
    if ces:
        figures.append(_figure("ces_mean", sum(one.score for one in ces) / len(ces), ces))
        figures.append(_figure("ces_net", _share(ces, "easy") - _share(ces, "hard"), ces))
    return Voice(figures, left_out)


def _of_three(score: float, least: float, most: float, groups: tuple[Group, Group, Group]) -> Group:
    """The first group from `least` on, the last one up to `most`, else the one between."""
    return groups[0] if score >= least else groups[2] if score <= most else groups[1]


def _share(answers: Sequence[Answer], group: Group) -> float:
    return 100 * sum(1 for one in answers if one.group == group) / len(answers)


def _figure(variant: Variant, value: float, answers: Sequence[Answer]) -> Figure:
    return Figure(answers[0].survey, variant, round(value, 2), len(answers))
