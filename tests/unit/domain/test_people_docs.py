"""docs/people.md names a test for each scenario, and each scenario of the tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCENARIOS = [ROOT / "tests" / "integration" / f"test_{name}.py" for name in ("people", "ownership", "accounts")]


def test_every_scenario_has_its_line_and_every_line_its_scenario() -> None:
    page = (ROOT / "docs" / "people.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| .+ \| `(test_\w+)` \|$", page, re.MULTILINE)
    tests = [
        name for file in SCENARIOS for name in re.findall(r"^async def (test_\w+)", file.read_text(), re.MULTILINE)
    ]
    assert told == tests
