"""What `status` and `sign-in` say where nothing runs."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pathline.cli import make_app
from pathline.embedded import home as homes
from pathline.kit.settings import DATABASE_URL_RECORD
from pathline.supervisor import up as supervisor

NOWHERE = "127.0.0.1:1"
"""Nothing listens on this port; to connect is refused at once."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_KAFKA", NOWHERE)
    for name in ("COLLECTOR", "CONSOLE", "STITCHER", "SCORER"):
        monkeypatch.setenv(f"PATHLINE_{name}", NOWHERE)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(("platform",)), arguments)


def test_status_says_first_that_nothing_runs(home: Path) -> None:
    told = run("status")
    first, _columns, *parts = told.stdout.splitlines()
    assert told.exit_code == 1
    assert first == f"Pathline is not running on {home}; start it with `pathline up`."
    assert len(parts) == 6 and all("not ready: " in line and len(line) < 80 for line in parts)


def test_what_a_killed_one_left_does_not_answer(home: Path) -> None:
    (home / "run").mkdir()
    (home / DATABASE_URL_RECORD).write_text(f"postgresql://x@/x?host={home}/run/gone")
    assert "Errno" not in run("status").stdout
    told = run("status", "--json")
    seen = json.loads(told.stdout)
    assert told.exit_code == 1 and seen["supervisor"] is None and not seen["ready"]
    assert {part["reason"] for part in seen["parts"]} == {"does not answer"}


def test_a_database_of_ones_own_needs_no_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_DATABASE_URL", f"postgresql://x@{NOWHERE}/x")
    assert home.exists() and "is not running" not in run("status").stdout


def test_a_link_is_printed_also_before_the_console_runs_and_that_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = run("sign-in")
    assert early.exit_code == 0 and early.stdout.startswith(f"http://{NOWHERE}/sign-in?ticket=")
    assert f"no `pathline up` runs on {home}" in early.stderr
    monkeypatch.setattr(homes, "holder", lambda _home: os.getpid())
    assert run("sign-in").stderr == ""


def test_up_warns_of_a_variable_that_is_no_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    monkeypatch.setattr(supervisor, "up", lambda settings, *, demo: started.append(settings.home) if not demo else None)
    monkeypatch.setenv("PATHLINE_HOM", "x")
    told = run("up")
    assert started == [home] and told.stderr == "pathline: PATHLINE_HOM is no setting; is it PATHLINE_HOME?\n"
