"""What `pathline detectors test` says of a file: its examples, run by the live code under a simulated clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pathline.backtest import examples
from pathline.backtest.examples import Verdict
from pathline.commands.backtest import collector
from pathline.contracts import detector_files, yaml_files
from pathline.contracts.detector_files import Checked, Settings
from pathline.contracts.yaml_files import Problem
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import DetectorFile


class Proven(msgspec.Struct, frozen=True):
    """What came of the examples of a file."""

    path: Path
    file: DetectorFile
    verdicts: tuple[Verdict, ...]
    places: tuple[tuple[int, int], ...]
    """Where each example stands."""
    problems: tuple[Problem, ...]
    """Touchpoints that the collector would refuse."""

    @property
    def holds(self) -> bool:
        """Whether all examples do."""
        return all(one.holds for one in self.verdicts)

    def lines(self) -> Iterator[str]:
        """The same for people."""
        for problem in self.problems:
            yield yaml_files.said(self.path, problem)
        for (line, column), one in zip(self.places, self.verdicts, strict=True):
            if one.holds or one.bad:
                continue
            yield f"{self.path}:{line}:{column}: {one.name or 'example'}: failed"
            yield from (f"    expected {words}" for words in one.expected or ("nothing more",))
            yield from (f"    came     {words}" for words in one.came or ("nothing more",))
            yield from (f"    stumbled {words}" for words in one.stumbles)
        good = sum(one.holds for one in self.verdicts)
        if not self.verdicts:
            yield f"{self.path}: {self.file.name}: no examples"
        elif self.holds:
            yield f"{self.path}: {self.file.name}: {good} example{'s' if good > 1 else ''} as expected"
        else:
            yield f"{self.path}: {self.file.name}: {len(self.verdicts) - good} of {len(self.verdicts)} examples failed"

    def told(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "file": str(self.path),
            "usable": True,
            "name": self.file.name,
            "holds": self.holds,
            "problems": msgspec.to_builtins(self.problems),
            "examples": [
                {"line": line, "holds": one.holds, **msgspec.to_builtins(one)}
                for (line, _), one in zip(self.places, self.verdicts, strict=True)
            ],
        }


def among(files: Iterable[DetectorFile]) -> Detectors:
    """The built-in detectors and these, of which the last of a name counts, by the thresholds of the files alone.

    What a deployment overrides counts in none: an example says what the file means.
    """
    used = {one.name: one for one in (*detector_files.built_in(), *files)}
    return detector_files.compiled(used.values(), Settings())


def prove(path: Path, checked: Checked, file: DetectorFile, detectors: Detectors) -> Proven:
    """Run every example of a file that was checked, among all `detectors`."""
    verdicts = [examples.run(file.name, one, detectors, collector) for one in file.examples]
    problems = [
        Problem(*checked.places[field], bad.code, f"{field}: {bad.message}")
        for place, one in enumerate(verdicts)
        for bad in one.bad
        if (field := f"examples[{place}].given[{bad.place}]")
    ]
    places = tuple(checked.places[f"examples[{place}]"] for place in range(len(verdicts)))
    return Proven(path, file, tuple(verdicts), places, tuple(problems))
