"""What the built-in detectors should do stands as examples in their files: all hold, and would notice a change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from pathline.backtest import examples
from pathline.commands.backtest import collector
from pathline.contracts import detector_files
from pathline.contracts.detector_files import BUILT_IN, Settings
from pathline.domain.detectors.rules import DetectorFile

FILES: Final = {path.stem: detector_files.read(path) for path in detector_files.paths(BUILT_IN)}
ALL: Final = detector_files.compiled(FILES.values(), Settings())

UNNOTICEABLE: Final = {
    "payment_failed.thresholds.window": "an alert is high after `patience` anyhow, which is shorter",
}
"""Changes that change nothing as long as the rest of the file is as it is."""

named = pytest.mark.parametrize("file", FILES.values(), ids=FILES.keys())


@named
def test_its_examples_hold(file: DetectorFile) -> None:
    verdicts = [examples.run(file.name, one, ALL, collector) for one in file.examples]
    assert [one for one in verdicts if not one.holds] == []


@named
def test_they_tell_when_it_fires_when_it_does_not_and_how_it_ends(file: DetectorFile) -> None:
    expected = [one.expect for one in file.examples]
    assert any(one.opened is not None for some in expected for one in some)
    assert () in expected
    assert any(one.resolved is not None for some in expected for one in some)
    assert len({one.name for one in file.examples}) == len(file.examples)
    assert all(one.name for one in file.examples)


@named
def test_who_promises_service_tells_what_a_business_can_expect(file: DetectorFile) -> None:
    told = [given.get("traits", {}) for one in file.examples for given in one.given]
    assert bool(file.service) == any(traits.get("customer_type") == "business" for traits in told)


@named
def test_each_threshold_answer_and_word_that_were_another_would_be_noticed(file: DetectorFile) -> None:
    unnoticed = [name for name, other in mutants(file) if not noticed(other)]
    assert [name for name in unnoticed if name not in UNNOTICEABLE] == []


def noticed(file: DetectorFile) -> bool:
    """Whether an example of a file fails."""
    alone = detector_files.compiled([file], Settings())
    return any(not examples.run(file.name, one, alone, collector).holds for one in file.examples)


def mutants(file: DetectorFile) -> Iterator[tuple[str, DetectorFile]]:
    """The file with one threshold twice as large, one word another, or one answer gone."""
    told = msgspec.to_builtins(file)
    for name, value in file.thresholds.items():
        yield f"{file.name}.thresholds.{name}", changed(told, ("thresholds", name), doubled(value))
    for family, listed, word in (("deadline", "until", "moved"), ("marks", "answers", "over")):
        rule = told[family]
        if rule is None:
            continue
        yield from (
            one
            for place, answer in enumerate(rule[listed])
            for one in (
                (f"{file.name}.{listed}[{place}].as", changed(told, (family, listed, place, "as"), "changed")),
                (f"{file.name}.{listed}[{place}] {answer['as']}", changed(told, (family, listed, place), None)),
            )
        )
        if can_say(file, word):
            yield f"{file.name}.{word}", changed(told, (family, word), "changed")


def can_say(file: DetectorFile, word: str) -> bool:
    """Whether an alert can be resolved with its `moved` or `over` at all."""
    if word == "over":
        return file.marks is not None and file.marks.lasts is not None
    return any(getattr(file.deadline, word) == one.resolved for some in file.examples for one in some.expect)


def changed(told: Any, path: tuple[str | int, ...], value: Any) -> DetectorFile:
    """The file with another value at a place; None takes it away."""
    copy = msgspec.json.decode(msgspec.json.encode(told))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return msgspec.convert(copy, DetectorFile)


def doubled(value: Any) -> Any:
    match = re.fullmatch(r"(\d+)([a-z]+)", str(value))
    return value * 2 if match is None else f"{int(match[1]) * 2}{match[2]}"
