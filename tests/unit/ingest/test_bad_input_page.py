"""docs/bad-input.md is made of the list that is sent to a running collector: what hostile or broken senders get."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from services.ingest.codes import CODES, Refused
from tests.support.hostile import CALLS, STORED
from tests.support.hostile_requests import REQUESTS

PAGE = Path(__file__).parents[3] / "docs" / "bad-input.md"
FIRST = "## "


def answer(code: str) -> str:
    """The cells of an answer."""
    return f"{int(HTTPStatus.OK)} | stored" if code == STORED else f"{int(Refused(code, '').status)} | `{code}`"


LIST: dict[str, dict[str, str]] = {
    **{heading: {name: case.code for name, case in cases.items()} for heading, cases in CALLS.items()},
    **{heading: {name: wire.code for name, wire in wires.items()} for heading, wires in REQUESTS.items()},
}
"""The code of each input, by heading."""


def tables() -> str:
    """The tables of the page."""
    parts = []
    for heading, codes in LIST.items():
        rows = [f"| {name} | {answer(code)} |" for name, code in codes.items()]
        parts.append("\n".join([f"## {heading}", "", "| input | status | code |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def test_the_page_shows_the_list() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert told[told.index(FIRST) :] == tables()


def test_every_answer_is_one_that_is_told() -> None:
    codes = {code for one in LIST.values() for code in one.values()}
    assert codes - {STORED} <= set(CODES)
    assert "internal" not in codes


if __name__ == "__main__":  # python -m tests.unit.ingest.test_bad_input_page: write the tables anew
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(FIRST)
    PAGE.write_text(head + tables(), encoding="utf-8")
