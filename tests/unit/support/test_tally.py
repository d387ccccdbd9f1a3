"""The table of faults: who is absent from it is named, and who is tried again takes his own place alone."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.chaos import tally


def said(number: str, fault: str) -> dict[str, str]:
    cells = [number, fault, "1,000", "1,000", "0", "0", ""]
    return {f"Faults/{number}": msgspec.json.encode(cells).decode()}


def shown(number: str, safeguard: str) -> dict[str, str]:
    return {f"Faults/{number} without {safeguard}": msgspec.json.encode([f"{safeguard}: 5 lost"]).decode()}


def page(tmp_path: Path, text: str = "") -> Path:
    written = tmp_path / "page.md"
    written.write_text(f"Before.\n\n{tally.BEGIN}{text}{tally.END}\nAfter.\n", encoding="utf-8")
    return written


def test_a_fault_and_what_is_found_without_a_safeguard_are_one_row() -> None:
    told = {**shown("2", "the fence"), **said("2", "frozen"), "Other": "a"}
    (row,) = tally.rows(told).values()
    assert row == ["2", "frozen", "1,000", "1,000", "0", "0", "", "the fence: 5 lost"]
    assert tally.rows(shown("2", "a") | shown("2", "b"))["2"][-1] == "a: 5 lost; b: 5 lost"


def test_whoever_is_absent_is_named() -> None:
    every = {key: one for number in tally.FAULTS for key, one in (said(number, "f") | shown(number, "s")).items()}
    assert tally.absent(tally.rows(every)) == []
    for number in tally.FAULTS:
        untried = {key: one for key, one in every.items() if key != f"Faults/{number}"}
        assert tally.absent(tally.rows(untried)) == [f"fault {number} was not tried"]
        untwinned = {key: one for key, one in every.items() if key != f"Faults/{number} without s"}
        assert tally.absent(tally.rows(untwinned)) == [f"fault {number} was not tried without a safeguard"]


def test_a_page_keeps_what_was_not_tried_again_and_a_whole_run_takes_all_of_it(tmp_path: Path) -> None:
    one = page(tmp_path)
    tally.write(tally.rows(said("10", "ten") | said("2b", "asleep") | shown("2b", "x")), one)
    tally.write(tally.rows(said("2", "two") | said("2b", "asleep once more")), one)
    found = tally.written(one.read_text(encoding="utf-8"))
    assert {number: (row[1], row[-1]) for number, row in found.items()} == {
        "2": ("two", ""), "2b": ("asleep once more", "x: 5 lost"), "10": ("ten", ""),
    }  # fmt: skip
    assert list(found) == ["2", "2b", "10"]
    tally.write(tally.rows(said("2", "two")), one, whole=True)
    assert list(tally.written(one.read_text(encoding="utf-8"))) == ["2"]
    assert one.read_text(encoding="utf-8").startswith("Before.") and one.read_text(encoding="utf-8").endswith(
        "After.\n"
    )


def test_a_page_of_before_the_last_column_is_read(tmp_path: Path) -> None:
    one = page(tmp_path, "| 7 | seven | 1 | 1 | 0 | 0 | |\n")
    assert tally.written(one.read_text(encoding="utf-8"))["7"] == ["7", "seven", "1", "1", "0", "0", "", ""]
