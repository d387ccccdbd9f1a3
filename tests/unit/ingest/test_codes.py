"""The codes are stable and told: docs/errors.md is held to the code."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from pathline.contracts import api
from pathline.embedded.trouble import Code
from pathline.kit.refusal import BAD_REQUEST, HEADERS_TOO_LARGE, RETRY_AFTER_SECONDS, TOO_MANY, TOO_SLOW
from services.ingest import codes
from services.ingest.metrics import STATUSES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
WRITTEN = re.compile(r'Refus(?:ed|al)\(\s*"(\w+)"')


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip("`") if place == 0 else cell for place, cell in enumerate(line)] for line in lines]


def test_the_page_tells_the_collector_s_codes() -> None:
    expected = [[code, str(int(codes.Refused(code, "").status)), means] for code, means in codes.CODES.items()]
    assert rows("The collector") == expected


def test_the_page_tells_the_console_s_codes() -> None:
    assert rows("The console's API") == [[code, means] for code, means in api.CODES.items()]


def test_the_page_tells_the_commands_codes() -> None:
    assert [row[:2] for row in rows("Commands")] == [[code.word, str(int(code))] for code in Code]


def test_every_code_is_given_somewhere_and_none_is_given_that_is_not_told() -> None:
    written = {
        code
        for file in (*(ROOT / "services" / "ingest").rglob("*.py"), ROOT / "pathline" / "kit" / "refusal.py")
        for code in WRITTEN.findall(file.read_text("utf-8"))
    }
    assert written == set(codes.CODES)


def test_a_status_of_a_code_is_one_of_the_metric_s() -> None:
    assert set(codes.STATUS) <= set(codes.CODES)
    assert {str(int(status)) for status in codes.STATUS.values()} <= set(STATUSES)
    assert codes.Refused("bad_gzip", "").status == HTTPStatus.BAD_REQUEST


def test_the_door_says_what_the_collector_says_of_a_code() -> None:
    for refusal in (BAD_REQUEST, TOO_SLOW, HEADERS_TOO_LARGE, TOO_MANY):
        assert refusal.status == codes.Refused(refusal.code, "").status
    assert RETRY_AFTER_SECONDS == codes.RETRY_AFTER_SECONDS
