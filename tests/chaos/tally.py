"""How much of a fault is tried, and the table of what came of each.

`make test` tries a little of each fault, `make chaos` as much as is promised (CHAOS=full), and keeps the table in
docs/faults.md (CHAOS_TABLE=write); a row is replaced when its fault is tried again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import SAID
from tests.support.checker import Report

FULL: Final = os.environ.get("CHAOS") == "full"
HEADING: Final = "Faults"
PAGE: Final = Path(__file__).parents[2] / "docs/faults.md"
BEGIN: Final = "<!-- table of make chaos: begin -->\n"
END: Final = "<!-- table of make chaos: end -->"
_HEAD: Final = (
    "| # | fault | acked | stored | dead letters with an id | findings | measured |\n|---|---|---|---|---|---|---|\n"
)


def of(some: int, full: int) -> int:
    """So many in `make test`, so many in `make chaos`."""
    return full if FULL else some


def tell(config: pytest.Config, number: str, fault: str, report: Report, measured: str = "") -> None:
    """Put a row in the table, and fail where the checker found anything."""
    cells = (
        number, fault, f"{report.sent['ok']:,}", f"{report.stored:,}", f"{report.letters:,}",
        str(len(report.findings)), measured,
    )  # fmt: skip
    config.stash[SAID][f"{HEADING}/{_key(number)}"] = f"| {' | '.join(cells)} |\n"
    if hasattr(config, "workeroutput"):
        config.workeroutput["said"] = config.stash[SAID]
    assert report.findings == [], report.table


def _key(number: str) -> str:
    return number.rstrip("b").zfill(3) + number[len(number.rstrip("b")) :]


def rows(said: Mapping[str, str]) -> dict[str, str]:
    """The rows of this run, by their key."""
    return {key.partition("/")[2]: row for key, row in said.items() if key.startswith(f"{HEADING}/")}


def table(found: Mapping[str, str]) -> str:
    """All rows, in the order of the faults' numbers."""
    return _HEAD + "".join(found[key] for key in sorted(found))


def write(found: Mapping[str, str], page: Path = PAGE) -> None:
    """Put these rows in the page, in the place of those of the same faults."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    held = {_key(match[1]): match[0] for match in re.finditer(r"^\| (\d+\w?) \|.*\n", old, re.MULTILINE)}
    page.write_text(f"{before}{BEGIN}{table({**held, **found})}{END}{after}", "utf-8")
