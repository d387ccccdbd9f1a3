"""The commands around sending: which collector an import goes to, and the demo's file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from pathline.cli import make_app
from pathline.commands import importing
from pathline.commands.importing import collector_of
from pathline.embedded import home as homes
from pathline.kit.settings import Settings
from pathline.supervisor import state


def leave_state(home: Path, address: str) -> None:
    (home / "run").mkdir(parents=True, exist_ok=True)
    part = state.PartState("ingest", address, 1, "ready", None, None)
    state.write(home, state.Snapshot(supervisor=1, ready=True, parts=(part,)))


@pytest.mark.parametrize(
    ("holder", "address", "base"),
    [
        (1, "127.0.0.1:4711", "http://127.0.0.1:4711"),
        (1, "0.0.0.0:4711", "http://127.0.0.1:4711"),
        (1, "[::]:4711", "http://[::1]:4711"),
        (None, "127.0.0.1:4711", "http://127.0.0.1:8080"),
    ],
    ids=["running", "everywhere", "everywhere by v6", "what a killed one left"],
)
def test_an_import_goes_to_the_collector_that_runs_here(
    holder: int | None, address: str, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "holder", lambda _home: holder)
    leave_state(tmp_path, address)
    assert collector_of(Settings(home=tmp_path)) == base


def test_without_one_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="no collector runs"):
        collector_of(Settings(home=tmp_path, collector="127.0.0.1:0"))


def test_the_same_trouble_of_several_batches_is_said_once() -> None:
    times, said = iter((0.0, 0.1, 0.9, 1.0, 1.5)), io.StringIO()
    retries = importing._Retries(Console(file=said), clock=lambda: next(times))
    for _ in range(5):
        retries("away", 1.0)
    assert said.getvalue() == "away; again in 1.0 s\n" * 2


def test_the_demos_file_goes_to_a_file_or_to_standard_output(tmp_path: Path) -> None:
    wanted = ["demo-file", "--customers", "3", "--start", "2026-01-05"]
    printed = CliRunner().invoke(make_app(("demo",)), [*wanted, "--out", "-"])
    assert printed.exit_code == 0 and printed.stdout_bytes.count(b"\n") > 3
    file = tmp_path / "file"
    assert CliRunner().invoke(make_app(("demo",)), [*wanted, "--out", str(file)]).exit_code == 0
    assert file.read_bytes() == printed.stdout_bytes
    # Without a first day the last one was yesterday.
    assert CliRunner().invoke(make_app(("demo",)), ["demo-file", "--customers", "1", "--out", str(file)]).exit_code == 0
    assert CliRunner().invoke(make_app(("demo",)), ["demo-file", "--customers", "0"]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "{0}/no"], "cannot read {0}/no: No such file or directory"),
        (["import", "{0}"], "cannot read {0}: Is a directory"),
        (["import", "{0}/no", "--rejects", "{0}/no/x"], "cannot write {0}/no/x: No such file or directory"),
        (["demo-file", "--customers", "1", "--out", "{0}/no/x"], "cannot write {0}/no/x: No such file or directory"),
        (["backtest", "{0}"], "cannot read {0}: Is a directory"),
        (["backtest", "{0}/calls", "--out", "{0}/no/x"], "cannot write {0}/no/x: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_file_that_cannot_be_used_is_said_in_words(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "home"))
    (tmp_path / "calls").touch()
    ended = CliRunner().invoke(make_app(("importing", "demo", "backtest")), [one.format(tmp_path) for one in arguments])
    assert ended.exit_code == 2 and ended.stderr == f"pathline: {said.format(tmp_path)}\n"
