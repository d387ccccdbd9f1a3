"""Other values of a threshold, beside the file's own in one run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pathline.backtest import trials
from pathline.backtest.plot import draw
from pathline.backtest.trials import Compared, Comparison, Trial, TrialError, Trials
from pathline.cli import make_app
from pathline.contracts import detector_files
from pathline.demo.history import history
from pathline.domain.records import Aim, Record, Span, records

APP = make_app(["backtest"])
DETECTORS = detector_files.load()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("month") / "shop.ndjson"
    path.write_bytes(b"".join(history(7, customers=60, start=datetime(2026, 3, 1, tzinfo=UTC), days=20)))
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(APP, ["backtest", *map(str, arguments)])


def ndjson(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def values(asked: str, namespace: str = "default") -> list[tuple[str, bool]]:
    (comparison,) = Trials(DETECTORS, [trials.read(asked)], namespace).comparisons(blank(asked, namespace))
    return [(one.value, one.own) for one in comparison.values]


def blank(asked: str, namespace: str) -> list[Record]:
    files = Trials(DETECTORS, [trials.read(asked)], namespace).detectors.files
    return records([Aim(name) for name in files], [], Span(1.0))


def test_a_value_that_is_tried_makes_what_it_would_make_as_an_override(month: Path, tmp_path: Path) -> None:
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text("overrides: [{detector: delivery_at_risk, lead: 48h}]")
    tried, own, told = tmp_path / "tried", tmp_path / "own", tmp_path / "told"
    assert run(month, "--out", own, "--records", tried, "--set", "delivery_at_risk.lead=48h").exit_code == 0
    overridden = run(month, "--overrides", overrides, "--out", told, "--records", tmp_path / "records")
    assert overridden.exit_code == 0
    (record,) = [one for one in ndjson((tmp_path / "records").read_text()) if one["detector"] == "delivery_at_risk"]
    result = run(month, "--out", tmp_path / "again", "--set", "delivery_at_risk.lead=48h,72h")
    row = next(line.split() for line in result.stderr.splitlines() if line.split()[:1] == ["48h"])
    assert record["episodes"] > 0
    assert [int(row[1]), int(row[3])] == [record["episodes"], record["came_true"]]
    assert own.read_text() == (tmp_path / "again").read_text() != told.read_text()


def test_what_is_tried_changes_nothing_else(month: Path, tmp_path: Path) -> None:
    plain = run(month, "--records", tmp_path / "plain")
    tried = run(month, "--records", tmp_path / "tried", "--set", SET)
    assert plain.stdout == tried.stdout != ""
    assert (tmp_path / "plain").read_text() == (tmp_path / "tried").read_text()


SET = "delivery_at_risk.lead=1h,72h"


def test_values_stand_in_order_beside_what_counts_now_and_each_once() -> None:
    assert values("delivery_at_risk.lead=72h,1h,60m,24h,1d") == [("1h", False), ("24h", True), ("72h", False)]
    assert values("payment_failed.attempts=10,9") == [("2", True), ("9", False), ("10", False)]


def test_what_counts_now_is_that_of_the_namespace() -> None:
    assert values("delivery_at_risk.lead=24h", "demo-shop") == [("30s", True), ("24h", False)]


def test_a_value_outranks_the_files_own_for_the_namespace() -> None:
    tried = Trials(DETECTORS, [Trial("delivery_at_risk", "lead", ("1h",))], "demo-shop")
    (name,) = tried.names
    (mine,) = [one for one in tried.detectors.of("demo-shop", "order") if one.name == name]
    assert mine.deadline is not None and mine.deadline.bases[0].before.time.total_seconds() == 3_600


def test_those_of_one_threshold_are_one_comparison() -> None:
    asked = [trials.read("delivery_at_risk.lead=1h"), trials.read(" delivery_at_risk.lead = 2h ")]
    tried = Trials(DETECTORS, asked, "default")
    (comparison,) = tried.comparisons(records([Aim(name) for name in tried.detectors.files], [], Span(1.0)))
    assert [one.value for one in comparison.values] == ["1h", "2h", "24h"]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ("lead=1h", "bad_set", "not of the form"),
        ("delivery_at_risk.lead", "bad_set", "not of the form"),
        ("delivery_at_risk.lead=,", "bad_set", "not of the form"),
        ("delivry_at_risk.lead=1h", "unknown_detector", "is it 'delivery_at_risk'?"),
        ("delivery_at_risk.leed=1h", "unknown_threshold", "is it 'lead'?"),
        ("delivery_at_risk.lead=soon", "bad_value", "neither a span of time nor a number"),
        ("delivery_at_risk.lead=3", "bad_value", "lead is a span of time"),
        ("delivery_at_risk.lead=2wd", "bad_value", "a span in working days"),
        ("payment_failed.attempts=1h", "bad_value", "attempts is a number"),
        ("delivery_at_risk.lead=" + ",".join(f"{n}m" for n in range(51)), "too_many_values", "at most 50"),
    ],
)
def test_what_cannot_be_tried_is_said_with_a_code(asked: str, code: str, words: str) -> None:
    with pytest.raises(TrialError) as caught:
        Trials(DETECTORS, [trials.read(asked)], "default")
    assert caught.value.code == code
    assert words in str(caught.value) and str(caught.value).endswith(f"[{code}]")
    result = run("-", "--set", asked)
    assert (result.exit_code, result.stdout) == (2, "")
    assert code in result.stderr


def test_the_plot_has_a_bar_for_every_value_and_figure(month: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    asked = ("--set", "delivery_at_risk.lead=12h,72h", "--set", "stalled.patience=24h")
    assert run(month, *asked, "--plot", plot, "--out", tmp_path / "out").exit_code == 0
    drawn = ET.fromstring(plot.read_bytes())  # noqa: S314 - it is ours
    bars = [one for one in drawn.iter() if one.tag.endswith("rect") and str(one.get("class")).startswith("bar")]
    assert len(bars) == (3 + 2) * 4
    texts = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert {"delivery_at_risk.lead", "12h", "24h (now)", "72h", "stalled.patience", "72h (now)"} <= set(texts)


def test_a_share_is_drawn_as_part_of_the_whole_and_a_number_of_the_greatest() -> None:
    (record,) = records([Aim("a", warns_of="b")], [], Span(1.0))
    half = msgspec.structs.replace(record, episodes=4, share_right=0.5)
    drawn = ET.fromstring(draw([Comparison("a", "t", [Compared("1h", own=True, record=half)])]))  # noqa: S314 - it is ours
    episodes, share, *_ = [float(str(one.get("width"))) for one in drawn.iter() if one.get("class") == "bar own"]
    assert share == episodes / 2


def test_what_a_plot_shows_of_nothing_is_said_and_names_are_no_markup() -> None:
    (record,) = records([Aim("a", warns_of="b")], [], Span(1.0))
    text = draw([Comparison('a<"&', "t", [Compared("1h", own=True, record=record)])])
    drawn = ET.fromstring(text)  # noqa: S314 - it is ours
    assert 'a<"&.t' in str(drawn.get("aria-label"))
    assert [one.text for one in drawn.iter() if one.text in {"0", "none"}] == ["0", "none", "0", "none"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "x.svg"], "nothing to draw"),
        (["--plot", "x.png", "--set", SET], "a plot is an SVG"),
        (["--records", "-"], "standard output takes one"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], words: str) -> None:
    result = run("-", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_each_detector_has_a_record(month: Path, tmp_path: Path) -> None:
    result = run(month, "--agents", "4", "--records", tmp_path / "records")
    told = {one["detector"]: one for one in ndjson((tmp_path / "records").read_text())}
    assert told.keys() == DETECTORS.files.keys()
    warning = told["delivery_at_risk"]
    found = [one for one in ndjson(result.stdout) if one["detector"] == "delivery_at_risk"]
    assert warning["episodes"] == len(found) > 0
    assert warning["warns_of"] == "late_vs_promise" and warning["came_true"] > 0
    assert warning["per_day_and_agent"] == pytest.approx(warning["per_day"] / 4)
    assert warning["per_day"] == pytest.approx(len(found) / 20, rel=0.1)
    assert f"{warning['came_true']} ({warning['share_right']:.0%})" in result.stderr
    assert "came true" in result.stderr and "a day and" in result.stderr
