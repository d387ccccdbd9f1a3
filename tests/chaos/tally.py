"""How much of a fault is tried, and the table of what came of each.

`make test` tries a little of each fault, `make chaos` as much as is promised (CHAOS=full), and keeps the table in
docs/faults.md: of CHAOS_TABLE=whole each fault must have its row, and beside it what a safeguard less came to; with
CHAOS_TABLE=write the rows of the faults that were tried take the place of theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.conftest import SAID
from tests.support.checker import Report

FULL: Final = os.environ.get("CHAOS") == "full"
HEADING: Final = "Faults"
PAGE: Final = Path(__file__).parents[2] / "docs/faults.md"
BEGIN: Final = "<!-- table of make chaos: begin -->\n"
END: Final = "<!-- table of make chaos: end -->"
FAULTS: Final = (
    "1", "2", "2b", "3", "7", "8", "9", "10", "11", "12", "12b", "13", "13b", "13c", "14", "15", "20",
)  # fmt: skip
"""Each has a row, and what the checker found with a safeguard switched off."""
COLUMNS: Final = ("#", "fault", "acked", "stored", "dead letters with an id", "findings", "measured")
TWIN: Final = "shown to fail without"
_LONGEST: Final = 160

Rows = dict[str, list[str]]
"""The cells of a fault, by its number; the last one is the twin's."""


def of(some: int, full: int) -> int:
    """So many in `make test`, so many in `make chaos`."""
    return full if FULL else some


def tell(config: pytest.Config, number: str, fault: str, report: Report, measured: str = "") -> None:
    """Put a row in the table, and fail where the checker found anything."""
    cells = [
        number, fault, f"{report.sent['ok']:,}", f"{report.stored:,}", f"{report.letters:,}",
        str(len(report.findings)), measured,
    ]  # fmt: skip
    _say(config, f"{HEADING}/{number}", cells)
    assert report.findings == [], report.table


def shown(config: pytest.Config, number: str, safeguard: str, findings: Sequence[str]) -> None:
    """Say in the row of this fault what was found without a safeguard, and fail where nothing was."""
    assert findings, f"without {safeguard} nothing is found"
    first = findings[0].replace("|", "/")
    said = first if len(findings) == 1 else f"{len(findings):,} findings, as: {first}"
    _say(config, f"{HEADING}/{number} without {safeguard}", [f"{safeguard}: {said[:_LONGEST]}"])


def _say(config: pytest.Config, key: str, cells: Sequence[str]) -> None:
    config.stash[SAID][key] = msgspec.json.encode(cells).decode()
    if hasattr(config, "workeroutput"):
        config.workeroutput["said"] = config.stash[SAID]


def rows(said: Mapping[str, str]) -> Rows:
    """The rows of this run; a cell is empty that it has nothing for."""
    found: Rows = {}
    for key in sorted(said):
        number, _, safeguard = key.removeprefix(f"{HEADING}/").partition(" without ")
        if key.startswith(f"{HEADING}/"):
            cells = msgspec.json.decode(said[key], type=list[str])
            row = found.setdefault(number, [number, *[""] * len(COLUMNS)])
            if safeguard:
                row[-1] = "; ".join(filter(None, (row[-1], *cells)))
            else:
                row[: len(COLUMNS)] = cells
    return found


def absent(found: Rows) -> list[str]:
    """What a whole run must have and has not."""
    missing = [f"fault {number} was not tried" for number in FAULTS if not found.get(number, ["", ""])[1]]
    untwinned = [number for number in FAULTS if not found.get(number, [""])[-1]]
    return missing + [f"fault {number} was not tried without a safeguard" for number in untwinned]


def table(found: Rows) -> str:
    """All rows, in the order of the faults' numbers."""
    heads = (*COLUMNS, TWIN)
    lines = [heads, ["---"] * len(heads), *(found[number] for number in sorted(found, key=_place))]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _place(number: str) -> tuple[int, str]:
    digits = number.rstrip("abcdefgh")
    return int(digits), number[len(digits) :]


def written(page: str) -> Rows:
    """The rows that a page has."""
    _, _, rest = page.partition(BEGIN)
    old, _, _ = rest.partition(END)
    lines = re.findall(r"^\|( \d+\w? \|.*)\|$", old, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {row[0]: [*row, *[""] * (len(COLUMNS) + 1 - len(row))] for row in cells}


def write(found: Rows, page: Path = PAGE, *, whole: bool = False) -> None:
    """Put these rows in the page: instead of all that it has, or each cell in the place of the same fault's."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    held = {} if whole else written(text)
    for number, row in found.items():
        old = held.get(number, row)
        held[number] = [new or was for new, was in zip(row, old, strict=True)]
    page.write_text(f"{before}{BEGIN}{table(held)}{END}{after}", "utf-8")
