"""The benches themselves run, at a size that measures nothing. No figure is asserted: a busy machine is no mistake."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
import pytest_asyncio

from pathline.commands import bench
from pathline.embedded.ports import free_port
from pathline.embedded.trouble import TroubleError
from tests.bench import __main__ as program
from tests.bench import (
    backtesting,
    collector,
    deadlines,
    importing,
    ingest_memory,
    load,
    overload,
    rebuilding,
    report,
    scorer,
    scorer_profile,
    stitcher,
    stitcher_profile,
    storage,
    whole,
)
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.platform import ROOT, Platform, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    async with running() as started:
        yield started


def held(figures: list[Figure]) -> list[str]:
    """The goals that were judged, and that each figure could be measured."""
    assert all(figure.value > 0 for figure in figures)
    return [figure.goal for figure in figures if figure.met is not None]


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_collector_and_stitcher_are_measured_against_their_baselines(platform: Platform) -> None:
    # So many that a batch takes some ticks of the clock by which the system counts processor time.
    figures = await collector.run(platform, events=4_000, rounds=1)
    assert held(figures) == [
        "at most 1.4 times the bare collector",
        "at most 1.67 times, or it is no limit",
        "at most 1.5 times the bare collector",
        "at most 1.67 times, or it is no limit",
        "at most 1.5 times plain",
        "at most 1 times accepted",
        "at most 1 times accepted",
        "at most 1 times 64",
        "at most 1.1 times one with as many",
        "at most 20 ms",
        "at most 1.1 times what the bare one's rises by",
    ]
    figures = await stitcher.run(platform, records_a_round=3_000, rounds=1)
    assert held(figures) == ["at least 0.45 of a bare insert + upsert of the same rows", "at least 10000 a second"]
    assert held(await scorer.run(platform, hints_a_round=3_000, rounds=1)) == [
        "at least 25000 a second", "at least 5000 a second",
    ]  # fmt: skip
    assert held(await ingest_memory.run(platform, count=500)) == [
        "at most 1.02 times, after a warm-up", "at most 120 MiB", "at most 120 MiB",
    ]  # fmt: skip
    assert held(await importing.run(platform, count=1_000, rounds=1)) == []


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_an_overload_is_measured_and_drawn(platform: Platform, tmp_path: Path) -> None:
    figures = {one.name: one for one in await overload.run(platform, seconds=2, around=1, out=tmp_path)}
    assert sum(one.met is not None for one in figures.values()) == 4
    assert figures["overload: answered 503"].value > 0
    wrong = figures["overload: 503s without Retry-After, answers that are neither 200 nor 503"]
    assert wrong.value == 0, "whatever the machine has to do beside"
    course = msgspec.json.decode((tmp_path / "overload.json").read_bytes())
    assert [row["phase"] for row in course["seconds"]] == ["before", "overload", "overload", "after"]
    drawn = ET.fromstring((tmp_path / "overload.svg").read_bytes())  # noqa: S314 - we drew it
    assert len(drawn.findall(".//{*}polyline")) == 6


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_storage_is_measured_and_drawn(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "WARM_BATCHES", 1)
    figures = await storage.run(
        platform, populations=(10_000, 12_000, 10**15), rounds=1, heavy=1_000, batches=2, out=tmp_path
    )
    assert sum(one.met is not None for one in figures) == 3
    assert [one.name for one in figures if one.value <= 0 and "HOT" not in one.name] == []
    course = msgspec.json.decode((tmp_path / "customers.json").read_bytes())
    assert [one["customers"] for one in course["populations"]] == [10_000, 12_000]
    drawn = ET.fromstring((tmp_path / "customers.svg").read_bytes())  # noqa: S314 - we drew it
    assert len(drawn.findall(".//{*}polyline")) == 2


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_deadlines_are_measured(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LEAD_SECONDS", 2)
    figures = await deadlines.run(platform, waiting=1_000, due=20, pace=50, spread=timedelta(seconds=1))
    assert held(figures) == ["at most 3 s", "at most 1.1 times what it was at the first alert"]


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_a_rebuild_is_measured(platform: Platform) -> None:
    assert held(await rebuilding.run(platform, touchpoints=2_500)) == [
        "at least 5556 touchpoints/s: a million in three minutes",
    ] * 2  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
async def test_a_backtest_is_measured() -> None:
    assert held(await backtesting.run(customers=60, rounds=1)) == [
        "at least 15000 a second",
        "at least 1.7 times one process",
    ]  # fmt: skip


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_a_profile_names_the_modules_of_the_stitcher(platform: Platform) -> None:
    told, busy = await stitcher_profile.shares(platform.dsn, batches=1, size=200)
    assert {"contracts/reading.py", "domain/fold.py"} <= {name for name, _ in told}
    assert 0 < sum(share for _, share in told) <= 1 + 1e-9
    assert busy > 0


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
async def test_a_profile_names_the_modules_and_statements_of_the_scorer(platform: Platform) -> None:
    told, costs, statements = await scorer_profile.shares(platform.dsn, scorer_profile.BATCH)
    assert {"scorer/judgement.py", "detectors/evaluate.py"} <= {name for name, _ in told}
    assert any("FROM watch" in line for line in statements)
    assert costs.process > 0


@pytest.mark.e2e
async def test_all_services_are_measured() -> None:
    figures = await whole.run(seconds=1, warm_seconds=0.5, step_seconds=0.5)
    assert len([one for one in figures if one.met is not None]) == 4 + len(("ingest", "stitcher", "scorer", "console"))


async def test_an_answer_that_is_no_success_ends_the_bench() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 17\r\n\r\n{"success":false}')
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(load.LoadError, match="503"):
            await load.closed(port, [load.request("track", b"{}", "k")] * 3, connections=1)


def test_a_collector_that_ends_at_once_is_said_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bare_collector", f"127.0.0.1:{free_port()}", "t", "0"],
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert b"KafkaConnectionError" in done.stderr


def test_figures_go_between_their_markers_and_nothing_else_changes() -> None:
    page = "one\n<!-- a: begin -->\nold\n<!-- a: end -->\ntwo\n<!-- b: begin -->\n<!-- b: end -->\n"
    changed = report.between(page, "a", "new\n")
    assert changed == "one\n<!-- a: begin -->\n\nnew\n\n<!-- a: end -->\ntwo\n<!-- b: begin -->\n<!-- b: end -->\n"
    assert report.between(changed, "a", "new\n") == changed
    with pytest.raises(ValueError, match="no markers"):
        report.between(page, "c", "new")


def test_the_page_has_the_markers_of_every_bench() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    for name in program.NAMES:
        assert report.between(page, name, "x") != page
    assert [one.value for one in bench.Bench] == list(program.NAMES)


def test_a_figure_has_the_names_that_are_promised() -> None:
    figure = Figure(name="n", value=1.5, unit="ms", limit=1.0, ratio=1.5, **at_most(1.5, 2, "times"))
    assert msgspec.to_builtins(figure) == {
        "name": "n", "value": 1.5, "unit": "ms", "limit": 1.0, "ratio": 1.5, "goal": "at most 2 times", "met": True,
    }  # fmt: skip
    assert at_least(1, 2, "x")["met"] is False
    assert msgspec.json.decode(msgspec.json.encode(Figure(name="n", value=1, unit="ms")))["met"] is None
    assert "**no**" in report.table([Figure(name="n", value=1, unit="x", **at_least(1, 2, "y"))])


def test_without_a_checkout_the_command_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    with pytest.raises(TroubleError, match="checkout"):
        bench.bench()
