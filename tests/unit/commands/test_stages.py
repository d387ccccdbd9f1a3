"""`pathline stages`: what is wrong with a file, what it says, and one to begin with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pathline import cli
from pathline.config import STAGE_EXAMPLES
from pathline.contracts import stage_files
from tests.unit.contracts.test_stage_files import GOOD

PROGRAM = cli.make_app(["stages"])
BAD = "stages:\n  - name: a\n    enter:\n      - event: [Foo]\n        canal: [web]\n  - name: a\n    enter: []\n"


def test_every_fault_of_a_file_is_a_line_with_its_place_and_code(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(BAD, encoding="utf-8")
    good.write_text(GOOD, encoding="utf-8")
    ended = CliRunner().invoke(PROGRAM, ["stages", "check", str(bad), str(good)])
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert [line.removeprefix(str(bad)).split(": ")[0] for line in lines[:3]] == [":5:9", ":6:11", ":7:12"]
    assert [line.rsplit("[")[-1] for line in lines[:3]] == ["unknown_field]", "duplicate_stage]", "no_condition]"]
    assert lines[3] == f"{good}: 1 stage, 1 event, 1 action; identity {stage_files.load(good).identity}"


@pytest.mark.parametrize("name", STAGE_EXAMPLES)
def test_an_example_can_be_checked_from_standard_input(name: str) -> None:
    printed = CliRunner().invoke(PROGRAM, ["stages", "example", name])
    assert printed.exit_code == 0
    ended = CliRunner().invoke(PROGRAM, ["stages", "check", "-", "--json"], input=printed.stdout)
    told = json.loads(ended.stdout)
    assert ended.exit_code == 0 and told["usable"] and told["problems"] == []
    assert told["identity"] == stage_files.load(STAGE_EXAMPLES[name]).identity


def test_what_a_program_reads_has_every_part_of_a_problem() -> None:
    ended = CliRunner().invoke(PROGRAM, ["stages", "check", "-", "--json"], input=BAD)
    told = json.loads(ended.stdout)
    assert ended.exit_code == 1 and not told["usable"] and "identity" not in told
    assert told["problems"][1] == {
        "line": 6, "column": 11, "code": "duplicate_stage",
        "message": "'a' is the name of another, in line 2", "warning": False,
    }  # fmt: skip


def test_the_stages_in_use_are_shown(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(GOOD, encoding="utf-8")
    default = CliRunner().invoke(PROGRAM, ["stages", "show"])
    own = CliRunner().invoke(PROGRAM, ["stages", "show"], env={"PATHLINE_STAGES": str(mine)})
    assert "awareness" in default.stdout and "where status is delivered" in default.stdout
    assert "wanted: paid" in own.stdout and "awareness" not in own.stdout
    as_json = json.loads(CliRunner().invoke(PROGRAM, ["stages", "show", str(mine), "--json"]).stdout)
    assert as_json["stages"][0]["actions"][0]["name"] == "paid"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["show", "/nowhere/stages.yaml"], 1, "[no_file]"),
        (["example", "six"], 2, "[unknown_example]"),
        (["check"], 2, "FILE"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], status: int, said: str) -> None:
    ended = CliRunner().invoke(PROGRAM, ["stages", *arguments])
    assert ended.exit_code == status and said in ended.stderr


def test_what_a_file_says_obeys_no_terminal() -> None:
    ended = CliRunner().invoke(PROGRAM, ["stages", "check", "-"], input='stages: [{name: "\\e[31m"}]\n')
    assert "\x1b" not in ended.stdout and ended.exit_code == 1
