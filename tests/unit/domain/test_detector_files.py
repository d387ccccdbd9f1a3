"""Detectors as files: what is wrong is said with the field; thresholds of a namespace; nothing in a file is code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pathline.contracts import detector_files
from pathline.contracts.detector_files import BUILT_IN
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import DetectorError
from pathline.domain.detectors.view import OFFERED
from pathline.domain.vocabulary import VOCABULARY

LATE: dict[str, Any] = yaml.safe_load((BUILT_IN / "late_vs_promise.yaml").read_text(encoding="utf-8"))
PAYMENT: dict[str, Any] = yaml.safe_load((BUILT_IN / "payment_failed.yaml").read_text(encoding="utf-8"))
DOCS = Path(__file__).parents[3] / "docs"


def changed(file: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The file with something else at `a.b.0`."""
    copied: dict[str, Any] = yaml.safe_load(yaml.safe_dump(file))
    *above, last = path.split(".")
    inner: Any = copied
    for step in above:
        inner = inner[int(step) if step.isdigit() else step]
    inner[int(last) if last.isdigit() else last] = value
    return copied


@pytest.mark.parametrize(
    ("file", "path", "value", "said"),
    [
        (LATE, "name", "Late!", "name"),
        (LATE, "title", "{customer} is late", "title"),
        (LATE, "ease", "live", "ease"),
        (LATE, "entity", [], "entity"),
        (LATE, "entity", ["person"], "'person' is none of"),
        (LATE, "deadline.at", "os.system", "'os.system' is no instant that a order offers"),
        (LATE, "deadline.needs", ["scans"], "'scans' is no instant"),
        (LATE, "deadline.until.0.fact", "healed", "deadline.until"),
        (LATE, "deadline.after", "soon", "deadline.after"),
        (LATE, "deadline.after", "400d", "deadline.after"),
        (LATE, "deadline.ends_after", "soon", "deadline.ends_after"),
        (LATE, "deadline.ends_after", "3d", "it needs `ends_at` beside it"),
        (LATE, "severity", [], "severity"),
        (LATE, "severity.0.level", "awful", "severity"),
        (LATE, "severity.0.after", "1h", "the first step has a level and no condition"),
        (LATE, "severity", [{"level": "high"}, {"level": "info", "after": "1h"}], "steps rise"),
        (LATE, "marks", PAYMENT["marks"], "exactly one of deadline, marks and risk"),
        (LATE, "surprise", 1, "surprise"),
        (PAYMENT, "marks.causes", [], "marks.causes"),
        (PAYMENT, "marks.causes.0.mark", "placed", "marks.causes[0].mark"),
        (PAYMENT, "marks.answers.0.mark", None, "either a mark or a fact"),
        (PAYMENT, "marks.answers.0.held", "later", "marks.answers[0].held"),
        (PAYMENT, "severity.1.count", "many", "severity[1].count"),
        (PAYMENT, "severity.1.within", None, "count and within go together"),
        (PAYMENT, "overrides.0.patients", "1m", "overrides[0]"),
    ],
)
def test_what_is_wrong_is_named(file: dict[str, Any], path: str, value: Any, said: str) -> None:
    with pytest.raises(DetectorError, match=said.replace("[", r"\[").replace("]", r"\]")):
        checks.read(changed(file, path, value))


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_what_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(DetectorError):
        checks.read(data)


def test_the_built_in_ones_can_be_used() -> None:
    names = {path.stem for path in BUILT_IN.iterdir()}
    assert detector_files.load().files.keys() == names
    assert len(names) == 32


def test_a_file_of_ones_own_replaces_a_built_in_of_its_name_and_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(changed(LATE, "title", "Too late: {value}")), encoding="utf-8")
    assert detector_files.load(tmp_path).files["late_vs_promise"].title == "Too late: {value}"
    mine.write_text("name: [", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"mine\.yaml"):
        detector_files.load(tmp_path)


def test_thresholds_of_a_namespace_outrank_those_of_all(tmp_path: Path) -> None:
    given = [
        {"detector": "payment_failed", "patience": "3m"},
        {"detector": "payment_failed", "namespace": "quick", "patience": "1m"},
    ]
    path = tmp_path / "overrides.yaml"
    path.write_text(yaml.safe_dump({"overrides": given}), encoding="utf-8")
    detectors = detector_files.load(None, path)
    assert [patience(detectors, name) for name in ("default", "quick")] == [180, 60]


@pytest.mark.parametrize(
    "override",
    [
        {"detector": "nobody", "patience": "3m"},
        {"detector": "payment_failed", "patients": "3m"},
        {"detector": "payment_failed", "patience": "for ever"},
        {"patience": "3m"},
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: dict[str, str]) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(yaml.safe_dump({"overrides": [override]}), encoding="utf-8")
    with pytest.raises(DetectorError):
        detector_files.load(None, path)


def patience(detectors: Detectors, namespace: str) -> float:
    (detector,) = (one for one in detectors.of(namespace, "order") if one.name == "payment_failed")
    return detector.steps[-1].after.time.total_seconds()


def test_every_event_that_tells_a_fact_is_in_the_vocabulary() -> None:
    told = {event for offers in OFFERED.values() for offer in offers.values() for event in offer.told_by}
    assert told <= VOCABULARY.keys()


PAGE = DOCS / "detectors.md"


def test_the_example_on_the_page_can_be_used() -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    overrides, example, *_ = (yaml.safe_load(block.partition("```")[0]) for block in blocks)
    assert checks.read(example).name == "forgotten_label"
    detectors = Detectors(detector_files.load().files.values(), map(checks.read_override, overrides["overrides"]))
    assert patience(detectors, "default") == 300
