"""A folder of detectors as it changes: a bad file stops neither the others nor what it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pathline.contracts.detector_folder import Folder

MINE = """\
name: {name}
title: Nobody fetched parcel {{value}}
ease: obtain
advice: Ask the warehouse.
entity: [parcel]
thresholds: {{patience: {patience}}}
deadline: {{at: created, after: patience}}
severity:
  - level: warning
"""
BUILT_IN = frozenset(Folder().load().detectors.files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "mine.yaml", MINE.format(name="mine", patience="48h"))
    write(tmp_path / "other.yaml", MINE.format(name="other", patience="1h"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_what_is_there_runs_beside_the_built_in_ones(folder: Path) -> None:
    loaded = Folder(folder).load()
    assert set(loaded.detectors.files) == BUILT_IN | {"mine", "other"}
    assert (loaded.files["mine"], loaded.files["late_vs_promise"], loaded.faults) == ("mine.yaml", None, ())


def test_a_file_that_became_bad_runs_on_as_it_was_and_the_fault_has_its_line(folder: Path) -> None:
    files = Folder(folder)
    before = files.load()
    write(folder / "mine.yaml", "name: mine\ntitle: [\n")
    after = files.load()
    assert after.detectors.files["mine"] == before.detectors.files["mine"]
    (fault,) = after.faults
    assert (fault.file, fault.code, fault.last_good) == ("mine.yaml", "not_yaml", True)
    assert fault.line > 1
    assert after.faulty == {"mine.yaml"}
    assert after.identity == before.identity


def test_a_file_that_is_bad_at_the_start_stops_no_other(folder: Path) -> None:
    write(folder / "mine.yaml", MINE.format(name="mine", patience="soon"))
    loaded = Folder(folder).load()
    assert set(loaded.detectors.files) == BUILT_IN | {"other"}
    assert [(fault.file, fault.last_good) for fault in loaded.faults] == [("mine.yaml", False)]


def test_a_bad_file_with_the_name_of_a_built_in_leaves_that_one_running(folder: Path) -> None:
    files = Folder(folder)
    own = files.load().detectors.files["late_vs_promise"]
    write(folder / "late_vs_promise.yaml", "name: late_vs_promise\n")
    loaded = files.load()
    assert loaded.detectors.files["late_vs_promise"] == own
    assert loaded.files["late_vs_promise"] is None


def test_a_file_that_is_taken_away_runs_no_more_and_comes_back_as_it_is_then(folder: Path) -> None:
    files = Folder(folder)
    files.load()
    (folder / "mine.yaml").unlink()
    assert set(files.load().detectors.files) == BUILT_IN | {"other"}
    write(folder / "mine.yaml", "nothing")
    assert "mine" not in files.load().detectors.files


def test_a_folder_that_went_away_runs_on(folder: Path, tmp_path: Path) -> None:
    files = Folder(folder)
    files.load()
    folder.rename(tmp_path.parent / f"{tmp_path.name}-gone")
    loaded = files.load()
    assert {"mine", "other"} <= set(loaded.detectors.files)
    assert ([fault.code for fault in loaded.faults], loaded.folder_known) == (["no_folder"], False)


def test_overrides_that_are_bad_leave_those_before_and_the_detectors_alone(folder: Path, tmp_path: Path) -> None:
    overrides = tmp_path / "overrides"
    write(overrides, "overrides: [{detector: mine, patience: 2h}]")
    files = Folder(folder, overrides)
    good = files.load()
    write(overrides, "overrides: [{detector: mine, patience: 3h, more: 1}]")
    kept = files.load()
    assert (kept.identity, [fault.last_good for fault in kept.faults]) == (good.identity, [True])
    write(overrides, "overrides: [{detector: mine, patience: 3h}]")
    assert files.load().identity != good.identity
    fresh = Folder(folder, tmp_path / "nowhere").load()
    assert [(fault.code, fault.last_good) for fault in fresh.faults] == [("no_file", False)]
    assert "mine" in fresh.detectors.files


def test_the_signature_changes_with_what_is_written_replaced_or_taken_away(folder: Path) -> None:
    files = Folder(folder)
    seen = [files.signature()]
    assert files.signature() == seen[-1]
    write(folder / "mine.yaml", MINE.format(name="mine", patience="72h"))
    os.utime(folder / "mine.yaml", ns=(1, 1))
    seen.append(files.signature())
    (folder / "next").write_text("x")
    (folder / "next").rename(folder / "mine.yaml")
    seen.append(files.signature())
    (folder / "mine.yaml").unlink()
    seen.append(files.signature())
    assert len(set(seen)) == len(seen)


def test_who_runs_the_same_rules_has_the_same_identity(folder: Path) -> None:
    assert Folder(folder).load().identity == Folder(folder).load().identity != Folder().load().identity
