from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.alerts import SEVERITIES, Severity
from pathline.domain.risk import BANDS, HALF_LIFE, WEIGHTS, Pain, band_until, falls_below, risk, terms
from tests.support.world import START

NOW = START + timedelta(days=100)


def pain(severity: Severity, age: timedelta = timedelta()) -> Pain:
    return Pain(severity, NOW - age)


def test_without_pain_nothing_is_known_to_be_wrong() -> None:
    assert risk([], NOW) == (0, "unknown")


@pytest.mark.parametrize(
    ("pains", "score", "band"),
    [
        ([pain("info")], 10.0, "unknown"),
        ([pain("warning")], 30.0, "low"),
        ([pain("high")], 60.0, "moderate"),
        ([pain("high"), pain("warning")], 72.0, "high"),
        ([pain("critical")], 90.0, "critical"),
        ([pain("critical"), pain("critical")], 99.0, "critical"),
        ([pain("high", HALF_LIFE)], 30.0, "low"),
        ([pain("high", 2 * HALF_LIFE)], 15.0, "unknown"),
        ([pain("high", -HALF_LIFE)], 60.0, "moderate"),  # a pain of the future is fresh, and no more than that
        ([pain("info"), pain("info")], 19.0, "unknown"),
        ([pain("info")] * 3, 27.1, "low"),
    ],
)
def test_the_noisy_or_of_what_is_open(pains: list[Pain], score: float, band: str) -> None:
    assert risk(pains, NOW) == (score, band)


pains = st.builds(
    pain, st.sampled_from(SEVERITIES), st.integers(min_value=0, max_value=100).map(lambda days: timedelta(days=days))
)


@given(st.lists(pains), pains)
def test_another_pain_never_lowers_the_risk_and_time_never_raises_it(held: list[Pain], more: Pain) -> None:
    before = risk(held, NOW).score
    assert before <= risk([*held, more], NOW).score <= 100
    assert risk(held, NOW + timedelta(days=1)).score <= before


def test_every_severity_weighs_more_than_the_milder_one() -> None:
    assert [WEIGHTS[severity] for severity in SEVERITIES] == sorted(WEIGHTS.values())
    assert len(set(WEIGHTS.values())) == len(SEVERITIES)


@given(st.lists(pains))
def test_the_terms_add_up_to_the_score_and_the_heavier_has_the_larger_part(held: list[Pain]) -> None:
    told = terms(held, NOW)
    assert sum(term.contribution for term in told) == pytest.approx(risk(held, NOW).score)
    by_weight = sorted(told, key=lambda term: term.faded)
    assert [term.contribution for term in by_weight] == sorted(term.contribution for term in told)


def test_a_term_says_what_its_pain_weighed_and_weighs() -> None:
    (old, fresh) = terms([pain("high", HALF_LIFE), pain("warning")], NOW)
    assert (old.weight, old.age) == (0.6, HALF_LIFE)
    assert old.faded == pytest.approx(0.3)
    assert (fresh.weight, fresh.faded) == (0.3, 0.3)
    assert old.contribution == fresh.contribution == pytest.approx(25.5)


MICROSECOND = timedelta(microseconds=1)
lines = st.sampled_from([20.0, 40.0, 60.0, 70.0, 90.0]) | st.floats(min_value=1, max_value=99)


@given(st.lists(pains), lines)
def test_a_score_falls_below_a_line_at_one_instant_and_stays_there(held: list[Pain], line: float) -> None:
    at = falls_below(held, line, NOW)
    assert at >= NOW
    assert all(risk(held, at + timedelta(hours=hours)).score < line for hours in (0, 1, 24, 1_000))
    if at > NOW:
        assert risk(held, at - MICROSECOND).score >= line


@given(st.lists(pains, min_size=1), lines, st.floats(min_value=0, max_value=1))
def test_whoever_asks_before_it_is_told_the_same_instant(held: list[Pain], line: float, part: float) -> None:
    at = falls_below(held, line, NOW)
    assert falls_below(held, line, NOW + (at - NOW) * part) == at


@given(st.lists(pains), pains, lines)
def test_another_pain_never_lets_it_fall_earlier(held: list[Pain], more: Pain, line: float) -> None:
    assert falls_below([*held, more], line, NOW) >= falls_below(held, line, NOW)


def test_one_pain_falls_where_its_weight_has_faded_to_the_line() -> None:
    # 0.9 * 0.5 ** x = 0.45, a rounding later: a score is told with one decimal.
    at = falls_below([pain("critical")], 45, NOW)
    assert timedelta() < at - (NOW + HALF_LIFE) < timedelta(minutes=20)
    assert falls_below([pain("critical", timedelta(days=1))], 45, NOW) == at - timedelta(days=1)


def test_a_pain_of_the_future_holds_the_score_up_until_it_has_opened() -> None:
    ahead = pain("high", -timedelta(days=300))
    at = falls_below([ahead], 60, NOW)
    assert ahead.opened_at < at < ahead.opened_at + timedelta(hours=1)


def test_hundreds_of_pains_that_open_together_fall_too() -> None:
    held = [pain("critical")] * 500
    at = falls_below(held, 1, NOW)
    assert risk(held, at).score < 1 <= risk(held, at - MICROSECOND).score


@given(st.lists(pains))
def test_a_band_lasts_until_the_next_lower_one_begins(held: list[Pain]) -> None:
    now, until = risk(held, NOW), band_until(held, NOW)
    if until is None:
        assert now.band == "unknown"
    else:
        least = next(least for least, band in BANDS if band == now.band)
        assert risk(held, until - MICROSECOND).band == now.band
        assert risk(held, until).score < least
