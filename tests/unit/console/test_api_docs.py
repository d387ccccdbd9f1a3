"""docs/api.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pathline.contracts.api import CODES
from services.console.errors import ApiError
from services.console.gate import PREFIX
from services.console.metrics import EVENTS
from tests.support.guarded import Guarded

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_code_stands_there_with_its_status_and_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(code, str(int(ApiError(code, "").status)), words) for code, words in CODES.items()]


def test_every_call_stands_there() -> None:
    rows = re.findall(r"^\| `(GET|POST) ([^`?]+)", PAGE, re.MULTILINE)
    told = {(method, f"{PREFIX}{path}") for method, path in rows} | {("GET", f"{PREFIX}/openapi.json")}
    assert told == {(method, path) for method, path in Guarded().templates() if path.startswith(PREFIX)}


def test_every_event_of_the_stream_stands_there() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:\w+Event|`)", PAGE, re.MULTILINE)
    assert rows == [*EVENTS, "heartbeat", "reset"]
