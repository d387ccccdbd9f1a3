"""What is of different families can happen apart: in parts, and in processes of their own."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner, Result

from pathline.backtest.families import Families, names_in
from pathline.backtest.simulation import Simulation
from pathline.backtest.work import Elsewhere
from pathline.cli import make_app
from pathline.contracts import detector_files
from pathline.demo.history import history
from pathline.domain.alerts import Alert
from pathline.domain.identifiers import Identifier
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import START, painful_logs, touchpoint

APP = make_app(["backtest"])
DETECTORS = detector_files.load()
END = START + timedelta(days=10)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(APP, ["backtest", *map(str, arguments)])


def lived(log: Sequence[Touchpoint]) -> dict[UUID, tuple[Alert, list[Identifier]]]:
    simulation = Simulation(DETECTORS, ZoneInfo("UTC"))
    for at, together in groupby(sorted(log, key=lambda t: t.occurred_at), key=lambda t: t.occurred_at):
        simulation.happen(at, together)
    simulation.sleep_until(END)
    return {alert.id: (alert, simulation.world.identifiers(alert.entity_id)) for alert in simulation.alerts()}


def parted(log: Sequence[Touchpoint]) -> list[list[Touchpoint]]:
    families = Families()
    members = [families.join(names_in(one)) for one in log]
    parts: dict[int, list[Touchpoint]] = {}
    for one, member in zip(log, members, strict=True):
        parts.setdefault(families.of(member), []).append(one)
    return list(parts.values())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(painful_logs(most=15))
def test_families_apart_live_as_they_do_together(log: list[Touchpoint]) -> None:
    apart = [lived(part) for part in parted(log)]
    assert {one: told for part in apart for one, told in part.items()} == lived(log)


def test_those_who_are_named_together_are_one_family() -> None:
    families = Families()
    a, b, c = families.join(["a", "b"]), families.join(["c"]), families.join(["d", "e"])
    assert len({families.of(one) for one in (a, b, c)}) == 3
    families.join(["e", "c"])
    families.join(["b", "e"])
    assert families.of(a) == families.of(b) == families.of(c)


def test_whoever_an_alias_means_is_one_family_with_them() -> None:
    names = names_in(touchpoint(1, type="alias", people={"user_id": "ann"}, previous_id="x"))
    assert {"user_id:ann", "user_id:x", "anonymous_id:x"} <= set(names)


def test_a_couriers_invented_visitor_makes_no_family_of_all_parcels() -> None:
    scan = touchpoint(1, event="Shipment Scanned", people={"anonymous_id": "courier"}, things={"order": "o"})
    assert names_in(scan) == ("order:o",)


@pytest.fixture
def month(tmp_path: Path) -> list[Path]:
    lines = list(history(7, customers=60, start=datetime(2026, 3, 1, tzinfo=UTC), days=20))
    paths = [tmp_path / "ordered.ndjson", tmp_path / "shuffled.ndjson"]
    paths[0].write_bytes(b"".join(lines))
    nameless = [json.dumps({**json.loads(line), "messageId": ""}).encode() + b"\n" for line in lines[:50]]
    mixed = [*lines, *lines[::3], b"nonsense\n"]
    random.Random(1).shuffle(mixed)
    paths[1].write_bytes(b"".join([*mixed, *nameless, *nameless[::2]]))
    return paths


def test_processes_change_nothing(month: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathline.backtest.run.PART", 50)
    told = [tmp_path / "one", tmp_path / "two"]
    one = run(month[1], "--records", told[0])
    two = run(month[1], "--records", told[1], "--processes", "2")
    assert (one.exit_code, two.exit_code) == (1, 1)
    assert one.stdout == two.stdout != ""
    assert told[0].read_bytes() == told[1].read_bytes()
    assert one.stderr == two.stderr


def test_of_any_order_two_processes_make_the_same(month: list[Path], tmp_path: Path) -> None:
    lines = month[0].read_bytes().splitlines(keepends=True)
    random.Random(2).shuffle(lines)
    shuffled = tmp_path / "again.ndjson"
    shuffled.write_bytes(b"".join(lines))
    results = [run(month[0]), run(shuffled, "--processes", "2")]
    assert results[0].stdout == results[1].stdout != ""


def test_a_process_that_is_killed_ends_the_run(month: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathline.backtest.calls.take", die)
    result = run(month[0], "--processes", "2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "process" in result.stderr


def die(*_: Any) -> Any:
    os._exit(9)


def test_what_is_under_way_is_ended_with_the_run() -> None:
    with pytest.raises(BrokenProcessPool), Elsewhere(1) as workers:
        list(workers._each(die, 1, [1]))
