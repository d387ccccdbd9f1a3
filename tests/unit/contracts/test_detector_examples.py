"""What is wrong with how an example is written is found by `check`, at its line and with its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathline.contracts import detector_files

FILE = """\
name: mine
title: X
ease: obtain
advice: Y
entity: [parcel]
deadline: {at: created, after: 48h, until: [{fact: delivered, as: delivered}]}
severity: [{level: warning}]
examples:
"""
GIVEN = "{at: 0d, event: Shipment Created, tracking_number: p}"


def faults(tmp_path: Path, example: str) -> list[tuple[int, int, str]]:
    path = tmp_path / "mine.yaml"
    path.write_text(FILE + f"  - {example}\n", encoding="utf-8")
    return [(one.line, one.column, one.code) for one in detector_files.check(path).problems]


def test_a_good_example_is_no_fault(tmp_path: Path) -> None:
    expect = "{of: {parcel: p}, opened: 48h, severity: warning, resolved: delivered, at: 3d}"
    assert faults(tmp_path, f"{{name: it waits, given: [{GIVEN}], until: 9d, expect: [{expect}]}}") == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{event: E}", "missing_field"),
        ("{at: 0d}", "missing_field"),
        ("{at: soon, event: E}", "bad_span"),
        ("{at: 1wd, event: E}", "bad_span"),
        ("{at: 5, event: E}", "bad_span"),
        ("{at: 3d, received: 2d, event: E}", "bad_example"),
        ("{at: 10d, event: E}", "bad_example"),
        ("{at: 0d, event: 5}", "wrong_type"),
        ("{at: 0d, event: E, user: 5}", "wrong_type"),
        ("{at: 0d, user: u, traits: x}", "wrong_type"),
        ("{at: 0d, event: E, historical: 'yes'}", "wrong_type"),
        ("{at: 0d, user: u, traits: {a: b}, order_id: o}", "bad_example"),
    ],
)
def test_a_touchpoint_that_cannot_be_one_is_a_fault(tmp_path: Path, given: str, code: str) -> None:
    ((line, _, found),) = faults(tmp_path, f"{{given: [{GIVEN}, {given}], until: 9d, expect: []}}")
    assert (line, found) == (9, code)


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ("{of: {order: o}}", "unknown_kind"),
        ("{of: {user: u}}", "unknown_kind"),
        ("{opened: soon}", "bad_span"),
        ("{severity: wary}", "not_one_of"),
        ("{severity: high}", "not_one_of"),
        ("{resolved: delivred}", "not_one_of"),
        ("{at: 3d}", "goes_together"),
        ("{open: 3d}", "unknown_field"),
        ("open", "wrong_type"),
    ],
)
def test_what_can_never_come_is_a_fault(tmp_path: Path, expected: str, code: str) -> None:
    ((line, _, found),) = faults(tmp_path, f"{{given: [{GIVEN}], expect: [{expected}]}}")
    assert (line, found) == (9, code)


@pytest.mark.parametrize(
    ("example", "code"),
    [
        (f"{{given: [{GIVEN}], expect: [], zone: Nowhere/City}}", "bad_example"),
        (f"{{given: [{GIVEN}], expect: [], until: 1wd}}", "bad_span"),
        ("{given: [], expect: []}", "empty_list"),
        (f"{{given: [{GIVEN}]}}", "missing_field"),
    ],
)
def test_an_example_needs_what_it_needs(tmp_path: Path, example: str, code: str) -> None:
    assert [found for _, _, found in faults(tmp_path, example)] == [code]
