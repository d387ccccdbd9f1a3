"""docs/running.md is held to the code: each code has its line, each variable exists."""

import re
from pathlib import Path

from pathline.commands.settings import all_settings
from pathline.embedded.home import FREE_BYTES_MIN
from pathline.embedded.processes import LOG_BYTES_MAX
from pathline.embedded.trouble import Code
from pathline.storage import migrate
from pathline.supervisor.backoff import LONGEST_SECONDS

PAGE = (Path(__file__).parents[3] / "docs" / "running.md").read_text(encoding="utf-8")
OF_THE_CACHE = "PATHLINE_CACHE"
"""Read before any setting, because downloads are for every home."""


def test_every_code_has_its_line() -> None:
    told = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert told == [code.word for code in Code]


def test_every_variable_exists() -> None:
    known = {setting.variable for setting in all_settings()} | {OF_THE_CACHE}
    assert set(re.findall(r"PATHLINE_[A-Z_]+", PAGE)) <= known


def test_its_numbers_are_the_code_s() -> None:
    assert f"past {LOG_BYTES_MAX // 1_048_576} MB" in PAGE
    assert f"{FREE_BYTES_MIN // 1_048_576} MB are wanted" in PAGE
    assert f"at most {LONGEST_SECONDS:g} seconds" in PAGE


def test_its_version_of_the_database_is_one_there_was() -> None:
    """What a start says is shown as an example: the page need not change with every migration."""
    (version,) = re.findall(r"database: at version (\d+)", PAGE)
    assert list((Path(migrate.__file__).parent / "migrations" / "versions").glob(f"v{version}_*.py"))
