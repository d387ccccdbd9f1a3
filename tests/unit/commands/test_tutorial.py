"""docs/tutorial-detector.md is followed to the letter: its files are written, its commands run, what they print compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pathline import cli

PAGE = Path(__file__).parents[3] / "docs" / "tutorial-detector.md"
PROGRAM = cli.make_app(["detectors", "demo", "backtest"])


def test_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "detectors" / "case_unsettled.yaml"
    file.parent.mkdir()
    text = PAGE.read_text(encoding="utf-8")
    ended = []
    for kind, block in re.findall(r"```(yaml|console)\n(.*?)```", text, re.DOTALL):
        if kind == "yaml" and block.startswith("examples:"):
            mended = file.read_text(encoding="utf-8").replace("at: openend", "at: opened")
            file.write_text(mended + block, encoding="utf-8")
        elif kind == "yaml":
            file.write_text(block, encoding="utf-8")
        else:
            for command, printed in re.findall(r"^\$ pathline (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                ended.append(CliRunner().invoke(PROGRAM, command.split()))
                assert ended[-1].stdout == printed, command
    assert [one.exit_code for one in ended] == [1, 1, 0, 0, 0, 0]
    assert row(ended[-1].stderr) == row(text)


def row(text: str) -> list[str]:
    """The detector's line of the backtest's table."""
    (line,) = (line for line in text.splitlines() if re.match(r"\s*case_unsettled +\d", line))
    return line.split()
