"""`pathline detectors`: what is wrong with files, each fault at its place, and which detectors there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.contracts import detector_files
from pathline.contracts.detector_files import BUILT_IN

PROGRAM = cli.make_app(["detectors"])
GOOD = """\
name: mine
title: Nobody fetched parcel {value}
ease: obtain
advice: Ask the warehouse.
entity: [parcel]
thresholds: {patience: 48h}
deadline: {at: created, after: patience}
severity: [{level: warning}]
"""
BAD = """\
name: Bad Name
title: X {foo}
ease: obtain
advice: Do something.
entity: [parcel]
when: thing.status == "lost" && thing.statis == "x"
deadline:
  at: creatd
  after: soon
severity: [{level: warning}]
"""


def ran(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(PROGRAM, ["detectors", *arguments], **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "good.yaml", GOOD)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_all_faults_of_all_files_are_lines_with_their_place_and_code(folder: Path) -> None:
    write(folder / "bad.yaml", BAD)
    write(folder / "torn.yml", "name: [\n")
    ended = ran("check", str(folder))
    bad, torn = folder / "bad.yaml", folder / "torn.yml"
    lines = ended.stdout.splitlines()
    told = [(line.split(": ")[0], line.rsplit("[")[-1].rstrip("]")) for line in lines]
    assert ended.exit_code == 1
    assert told[:5] == [
        (f"{bad}:1:7", "bad_name"), (f"{bad}:2:8", "bad_title"), (f"{bad}:6:39", "unknown_name"),
        (f"{bad}:8:7", "unknown_fact"), (f"{bad}:9:10", "bad_span"),
    ]  # fmt: skip
    assert lines[5] == f"{folder / 'good.yaml'}: mine, version 1, of parcel, by a deadline"
    assert told[6] == (f"{torn}:2:1", "not_yaml")


def test_the_built_in_ones_pass() -> None:
    ended = ran("check", str(BUILT_IN))
    assert ended.exit_code == 0
    assert len(ended.stdout.splitlines()) == len(detector_files.load().files)


def test_a_program_reads_every_part_of_a_problem_from_standard_input() -> None:
    ended = ran("check", "-", "--json", input=BAD)
    told = json.loads(ended.stdout)
    assert ended.exit_code == 1 and told["file"] == "-" and not told["usable"] and "name" not in told
    assert told["problems"][0] == {
        "line": 1, "column": 7, "code": "bad_name", "warning": False,
        "message": "name: 'Bad Name' is not lower case letters, digits and underscores",
    }  # fmt: skip
    good = json.loads(ran("check", "-", "--json", input=GOOD).stdout)
    assert (good["usable"], good["name"], good["problems"]) == (True, "mine", [])


def test_a_detector_that_warns_of_none_that_is_there_is_a_fault(folder: Path) -> None:
    write(folder / "early.yaml", GOOD.replace("name: mine", "name: early\nwarns_of: mime"))
    ended = ran("check", str(folder))
    assert ended.exit_code == 1
    assert f"{folder / 'early.yaml'}:2:11: " in ended.stdout and "is it 'mine'? [unknown_detector]" in ended.stdout
    write(folder / "early.yaml", GOOD.replace("name: mine", "name: early\nwarns_of: mine"))
    assert ran("check", str(folder)).exit_code == 0


def test_of_two_files_with_one_name_the_first_is_warned_of(folder: Path) -> None:
    write(folder / "hidden.yaml", GOOD)
    ended = ran("check", str(folder))
    (warning,) = (line for line in ended.stdout.splitlines() if "warning" in line)
    assert warning.startswith(f"{folder / 'good.yaml'}:1:7: warning: ") and warning.endswith("[duplicate_detector]")
    assert "hidden.yaml names 'mine' too" in warning and ended.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["check", "/nowhere"], 1, "/nowhere: No such file or directory [no_file]"),
        (["check"], 2, "DIR|FILE"),
    ],
)
def test_what_cannot_be_checked_is_said(arguments: list[str], status: int, said: str) -> None:
    ended = ran(*arguments)
    assert ended.exit_code == status and said in ended.stdout + ended.stderr


def test_a_folder_without_files_was_not_checked(tmp_path: Path) -> None:
    ended = ran("check", str(tmp_path))
    assert ended.exit_code == 1 and ended.stdout == f"{tmp_path}: there is no *.yaml in the folder [no_file]\n"


def test_what_a_file_says_obeys_no_terminal() -> None:
    ended = ran("check", "-", input='name: "\\e[31m"\n')
    assert ended.exit_code == 1 and "\x1b" not in ended.stdout


def test_the_list_has_every_detector_with_thresholds_as_they_count(folder: Path) -> None:
    overrides = folder / "overrides.txt"
    given = "{detector: mine, patience: 5h}, {detector: mine, namespace: luxury, segment: vip, patience: 1h}"
    write(overrides, f"overrides: [{given}, {{detector: mine, namespace: downloads, runs: false}}]\n")
    ended = ran("list", str(folder), env={"PATHLINE_DETECTOR_OVERRIDES": str(overrides)})
    lines = [line.split(maxsplit=4) for line in ended.stdout.splitlines()[1:]]
    (mine,) = (line for line in lines if line[0] == "mine")
    assert ended.exit_code == 0
    assert {line[0] for line in lines} == {"mine", *detector_files.load().files}
    assert mine[1:4] == ["1", "obtain", "parcel"]
    assert mine[4].split("  ")[0] == "patience 5h; in downloads: runs false; in luxury for vip: patience 1h" and mine[
        4
    ].endswith("good.yaml")


def test_the_list_says_which_files_cannot_be_used(folder: Path) -> None:
    write(folder / "bad.yaml", BAD)
    ended = ran("list", "--json", env={"PATHLINE_DETECTORS": str(folder)})
    told = json.loads(ended.stdout)
    assert ended.exit_code == 1 and "bad.yaml:1: " in ended.stderr and "[bad_name]" in ended.stderr
    assert [fault["file"] for fault in told["faults"]] == ["bad.yaml"]
    assert {one["name"]: one["file"] for one in told["detectors"]}["mine"] == "good.yaml"


EXAMPLES = """\
examples:
  - name: nobody came
    given:
      - {at: 0d, event: Shipment Created, order_id: o, tracking_number: p}
    expect:
      - {of: {parcel: p}, opened: HOURSh}
"""


def test_examples_that_hold_are_counted_and_one_that_fails_says_what_came(folder: Path) -> None:
    good, bad = folder / "good.yaml", folder / "later.yaml"
    write(good, GOOD + EXAMPLES.replace("HOURS", "48"))
    ended = ran("test", str(good))
    assert (ended.exit_code, ended.stdout) == (0, f"{good}: mine, 1 example as expected\n".replace("mine,", "mine:"))
    write(bad, GOOD.replace("name: mine", "name: later") + EXAMPLES.replace("HOURS", "47"))
    ended = ran("test", str(folder))
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[1:] == [
        f"{bad}:10:5: nobody came: failed",
        "    expected {of: {parcel: p}, opened: 47h}",
        "    came     {of: {parcel: p}, opened: 48h, severity: warning}",
        f"{bad}: later: 1 of 1 examples failed",
    ]


def test_what_the_collector_would_refuse_is_a_fault_at_its_place(folder: Path) -> None:
    write(folder / "good.yaml", GOOD + EXAMPLES.replace(", tracking_number: p}", "}").replace("HOURS", "48"))
    ended = ran("test", str(folder))
    assert ended.exit_code == 1
    assert ended.stdout.startswith(f"{folder / 'good.yaml'}:12:9: examples[0].given[0]: ")
    assert "[missing_property]" in ended.stdout


def test_a_file_without_examples_and_one_that_cannot_be_used_are_said(folder: Path) -> None:
    ended = ran("test", str(folder))
    assert (ended.exit_code, ended.stdout) == (0, f"{folder / 'good.yaml'}: mine: no examples\n")
    write(folder / "bad.yaml", BAD)
    ended = ran("test", str(folder))
    assert ended.exit_code == 1 and "[bad_name]" in ended.stdout


def test_a_program_reads_what_came_of_each_example() -> None:
    ended = ran("test", "-", "--json", input=GOOD + EXAMPLES.replace("HOURS", "47"))
    told = json.loads(ended.stdout)
    (one,) = told["examples"]
    assert ended.exit_code == 1 and told["name"] == "mine" and not told["holds"]
    assert (one["name"], one["line"], one["holds"]) == ("nobody came", 10, False)
    assert one["expected"] == ["{of: {parcel: p}, opened: 47h}"]


def test_without_a_path_the_built_in_ones_and_those_of_the_deployment_are_run(folder: Path) -> None:
    write(folder / "good.yaml", GOOD + EXAMPLES.replace("HOURS", "48"))
    ended = ran("test", env={"PATHLINE_DETECTORS": str(folder)})
    lines = ended.stdout.splitlines()
    assert ended.exit_code == 0 and all(line.endswith("as expected") for line in lines)
    assert len(lines) == len(detector_files.load().files) + 1


def test_a_file_that_a_later_one_of_its_name_hides_is_run_all_the_same(folder: Path) -> None:
    write(folder / "good.yaml", GOOD + EXAMPLES.replace("HOURS", "48"))
    write(folder / "other.yaml", GOOD.replace("48h", "24h") + EXAMPLES.replace("HOURS", "24"))
    assert ran("test", str(folder)).exit_code == 0
