"""`pathline settings`: every variable, once, with its bounds and a word on what it is for."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from pathline.commands import settings

NAME = re.compile(r"\bPATHLINE_[A-Z_]*[A-Z]\b")


def test_every_setting_is_said_what_it_is_for_and_each_number_has_bounds() -> None:
    found = settings.all_settings()
    assert len({setting.variable for setting in found}) == len(found)
    for setting in found:
        assert setting.variable.startswith("PATHLINE_") and setting.description.endswith("."), setting
        if setting.default.isdigit():
            assert "from" in setting.bounds and "to" in setting.bounds, setting


def test_the_services_have_theirs() -> None:
    variables = {setting.variable for setting in settings.all_settings()}
    assert {"PATHLINE_HOME", "PATHLINE_KAFKA", "PATHLINE_COLLECTOR", "PATHLINE_STITCHER_BATCH"} <= variables


def test_every_variable_that_the_product_or_its_docs_name_is_listed() -> None:
    root = Path(__file__).parents[3]
    files = [
        *root.glob("pathline/**/*.py"),
        *root.glob("services/**/*.py"),
        *root.glob("docs/*.md"),
        root / "README.md",
    ]
    named = {name for file in files for name in NAME.findall(file.read_text("utf-8"))}
    assert named <= {setting.variable for setting in settings.all_settings()}


def test_a_bad_one_of_a_service_is_found_without_starting_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.check_all()
    monkeypatch.setenv("PATHLINE_STITCHER_BATCH", "0")
    with pytest.raises(ValidationError, match="stitcher_batch"):
        settings.check_all()


def test_a_mistyped_one_is_said_and_what_is_meant_by_it() -> None:
    names = ["HOME", "PATHLINE_COLECTOR", "pathline_home", "PATHLINE_QQQ", "PATHLINE_WRITE_KEY"]
    assert settings.unknown(names) == [
        "PATHLINE_COLECTOR is no setting; is it PATHLINE_COLLECTOR?",
        "PATHLINE_QQQ is no setting, see `pathline settings`",
    ]
