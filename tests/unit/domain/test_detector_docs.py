"""The tables of docs/detectors.md, and docs/detectors-builtin.md, are made from the detectors' files and the facts.

Written by `.venv/bin/python -m tests.unit.domain.test_detector_docs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pathline.contracts import detector_files
from pathline.contracts.detector_examples import RESERVED, resolutions
from pathline.contracts.detector_files import BUILT_IN
from pathline.domain.detectors.rules import Example, Expected, Step
from pathline.domain.detectors.view import OFFERED
from pathline.domain.vocabulary import THING_PROPERTIES

PAGE: Final = Path(__file__).parents[3] / "docs" / "detectors.md"
ABOUT_EXAMPLES: Final = (
    "What each does, told by the [examples](detectors.md#examples) in its file: what happens, and after the arrow the"
    " episodes that come of it. `pathline detectors test` runs them. Times count from the start."
)
NAMES: Final = {*RESERVED, *THING_PROPERTIES.values()}
EXAMPLES: Final = PAGE.with_name("detectors-builtin.md")
HEADS: Final = {
    "detectors": ("detector", "of", "ease", "fires when", "severity", "resolved as", "thresholds", "what to do next"),
    "facts": ("of", "fact", "shape", "tells"),
}


def detectors() -> Iterable[tuple[str, ...]]:
    """A row for each detector that comes with Pathline."""
    for name, file in sorted(detector_files.load().files.items()):
        severity = "; ".join(step_words(step) for step in file.severity)
        thresholds = ", ".join(f"`{key}` {value}" for key, value in file.thresholds.items()) or "-"
        words = ", ".join(f"`{word}`" for word in resolutions(file)) or "-"
        of = ", ".join(file.entity)
        yield (
            f"[`{name}`](detectors-builtin.md#{name})",
            of,
            file.ease,
            fires_when(name),
            severity,
            words,
            thresholds,
            file.advice,
        )


def facts() -> Iterable[tuple[str, ...]]:
    """A row for each fact that is offered."""
    for kind, offers in OFFERED.items():
        for name, offer in offers.items():
            yield f"`{kind}`", f"`{name}`", offer.shape, offer.words


def fires_when(name: str) -> str:
    """What a file says of itself: the lines of comment at its head."""
    lines = (BUILT_IN / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head = lines[: next(place for place, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("#").strip() for line in head)


def step_words(step: Step) -> str:
    """A severity and its condition."""
    conditions = [
        *([f"at {step.count} within {step.within}"] if step.count is not None else []),
        *([f"after {step.after}"] if step.after is not None else []),
        *([f"when `{step.when}`"] if step.when is not None else []),
        *([f"from the {step.begins.replace('_', ' ')}"] if step.begins is not None else []),
    ]
    return " ".join([step.level, *conditions])


def table(name: str) -> str:
    """One of the tables, in Markdown."""
    rows = {"detectors": detectors, "facts": facts}[name]()
    heads = HEADS[name]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def with_tables(page: str) -> str:
    """The page with its tables as they should be."""
    for name in HEADS:
        begin, end = f"<!-- table of {name} -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + table(name) + end + after
    return page


def examples_page() -> str:
    """What every built-in detector should do: the examples of its file, in words."""
    parts = [
        "# Examples of the built-in detectors",
        ABOUT_EXAMPLES,
    ]
    for name, file in sorted(detector_files.load().files.items()):
        parts += [f"## {name}", fires_when(name)]
        parts.append(
            "\n".join(f"- **{one.name}**: {given_words(one)} → {expected_words(one)}" for one in file.examples)
        )
    return "\n\n".join(parts) + "\n"


def given_words(example: Example) -> str:
    """`0d Shipment Created, 49h Shipment Scanned (status in_transit)`."""
    return ", ".join(touchpoint_words(one) for one in example.given)


def touchpoint_words(given: dict[str, Any]) -> str:
    """One touchpoint, without what only names the thing or the person."""
    traits = given.get("traits", {})
    told = {**traits, **{name: value for name, value in given.items() if name not in NAMES}}
    more = ", ".join(f"{name} {value}" for name, value in told.items())
    return f"{given['at']} {given.get('event', 'identify')}" + (f" ({more})" if more else "")


def expected_words(example: Example) -> str:
    """What comes of it, and when it was looked at."""
    at = f", seen at {example.until}" if example.until is not None else ""
    words = [episode_words(one) for one in example.expect]
    return ("; ".join(words) or "nothing") + at


def episode_words(expected: Expected) -> str:
    """`warning, opened at 48h, scanned at 49h`."""
    end = "still open" if expected.resolved is None else f"`{expected.resolved}` at {expected.at}"
    return f"{expected.severity}, opened at {expected.opened}, {end}"


def test_the_page_of_examples_has_every_example_as_it_is() -> None:
    assert EXAMPLES.read_text(encoding="utf-8") == examples_page()


def test_the_page_has_every_detector_and_every_fact_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- table of {name} -->" in page and f"<!-- end of {name} -->" in page for name in HEADS)
    assert page == with_tables(page)


def test_every_file_says_at_its_head_when_it_fires() -> None:
    for path in BUILT_IN.iterdir():
        assert len(fires_when(path.stem)) > len("It fires."), path


if __name__ == "__main__":
    EXAMPLES.write_text(examples_page(), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
