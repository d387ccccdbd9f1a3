from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pathline.cli import make_app
from pathline.demo.history import history
from pathline.domain.detectors.compiled import Detector
from pathline.domain.detectors.evaluate import Verdict, evaluate
from pathline.domain.detectors.view import View

APP = make_app(["backtest"])
START = datetime(2026, 3, 1, tzinfo=UTC)


def call(event: str, number: int, at: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": f"m{number}",
        "timestamp": at,
        "properties": properties,
        **more,
    }


PLACED = call(
    "Order Completed",
    1,
    "2026-03-02T09:00:00Z",
    {"order_id": "A1", "promised_at": "2026-03-04", "delivery_zone": "Europe/Berlin"},
    userId="ann",
    anonymousId="browser",
)
SCANNED = call("Shipment Scanned", 2, "2026-03-05T11:00:00Z", {"order_id": "A1", "status": "delivered"})
STORY = [PLACED, SCANNED]

LATE = {
    "detector": "late_vs_promise",
    "severity": "high",
    "entity": {"kind": "order", "value": "A1"},
    "identifiers": [{"kind": "user_id", "value": "ann"}, {"kind": "anonymous_id", "value": "browser"}],
    "opened_at": "2026-03-04T23:00:00Z",
    "resolved_at": "2026-03-05T11:00:00Z",
    "resolution": "delivered",
    "why": ["m1"],
}


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(APP, ["backtest", *map(str, arguments)], input=stdin)


def ndjson(calls: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in calls)


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.ndjson"
    path.write_bytes(ndjson(STORY))
    return path


def episodes(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_episode_is_a_line_as_the_interface_says(story: Path) -> None:
    result = run(story)
    assert result.exit_code == 0
    assert LATE in episodes(result)
    assert all(one.keys() == LATE.keys() for one in episodes(result))
    assert "late_vs_promise" in result.stderr and "delivered 1" in result.stderr


def test_an_open_episode_has_no_end(tmp_path: Path) -> None:
    result = run("-", "--until", "2026-03-06T00:00:00Z", stdin=ndjson([PLACED]))
    (late,) = [one for one in episodes(result) if one["detector"] == "late_vs_promise"]
    assert (late["resolved_at"], late["resolution"], late["severity"]) == (None, None, "critical")


def test_without_an_end_no_deadline_after_the_last_touchpoint_passes() -> None:
    assert episodes(run("-", stdin=ndjson([PLACED]))) == []


def test_what_happened_after_the_end_is_left_out(story: Path) -> None:
    result = run(story, "--until", "2026-03-04T12:00:00Z")
    found = [(one["detector"], one["resolution"]) for one in episodes(result)]
    assert found == [("delivery_at_risk", None), ("delayed_dispatch", None)]
    assert "1 happened after the end" in result.stderr


def test_a_date_ends_in_the_zone_of_the_settings(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_ZONE", "America/New_York")
    result = run(story, "--until", "2026-03-04")
    assert "until 2026-03-05T05:00:00+00:00" in result.stderr


def test_files_may_be_zipped_and_several_and_standard_input(tmp_path: Path) -> None:
    zipped = tmp_path / "placed.gz"
    zipped.write_bytes(gzip.compress(ndjson([PLACED])))
    result = run(zipped, "-", stdin=ndjson([SCANNED]))
    assert LATE in episodes(result)


def test_episodes_go_to_the_file_asked_for(story: Path, tmp_path: Path) -> None:
    result = run(story, "--out", tmp_path / "out")
    assert result.stdout == ""
    assert LATE in [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]


def test_bad_lines_are_told_and_counted_and_stop_nobody() -> None:
    undated = {**SCANNED, "messageId": "m3"}
    del undated["timestamp"]
    bad = [
        b"nonsense\n",
        b"[]\n",
        ndjson([{**PLACED, "type": "shout", "messageId": "m4"}]),
        ndjson([undated]),
        ndjson([call("Order Completed", 5, "2026-03-02T09:00:00Z", {}, userId="ann")]),
        ndjson([call("Product Viewed", 6, "yesterday", {}, userId="ann")]),
        ndjson([call("Product Viewed", 7, "2026-03-02T09:00:00Z", {}, userId="null")]),
        ndjson([{**PLACED, "messageId": {"a": 1}}]),
    ]
    result = run("-", stdin=b"".join(bad) + ndjson(STORY))
    assert result.exit_code == 1
    assert LATE in episodes(result)
    told = [line.split(": ")[:2] for line in result.stderr.splitlines() if line.startswith("-:")]
    assert told == [
        ["-:1", "not_json"],
        ["-:2", "not_an_object"],
        ["-:3", "unknown_type"],
        ["-:4", "no_timestamp"],
        ["-:5", "missing_property"],
        ["-:6", "bad_timestamp"],
        ["-:7", "no_subject"],
        ["-:8", "bad_message_id"],
    ]
    assert "10 lines, 2 touchpoints, 8 could not be used" in result.stderr


def test_a_doubled_line_counts_once() -> None:
    failed = call("Payment Failed", 1, "2026-03-02T09:00:00Z", {"order_id": "A1"})
    result = run("-", stdin=ndjson([failed, failed]))
    assert [one["severity"] for one in episodes(result)] == ["warning"]
    assert "1 were duplicates" in result.stderr


def test_calls_without_a_message_id_are_all_counted_whatever_their_place() -> None:
    failed = call("Payment Failed", 1, "2026-03-02T09:00:00Z", {"order_id": "A1"})
    del failed["messageId"]
    viewed = call("Product Viewed", 2, "2026-03-02T09:00:00Z", {}, userId="ann")
    first, second = (run("-", stdin=ndjson(lines)) for lines in ([failed, failed, viewed], [viewed, failed, failed]))
    assert first.stdout == second.stdout
    (alert,) = episodes(first)
    assert alert["severity"] == "high" and len(alert["why"]) == 2


def test_of_two_calls_with_one_message_id_the_same_one_counts_in_any_order() -> None:
    other = {**PLACED, "properties": {**PLACED["properties"], "promised_at": "2026-03-03"}}
    results = [run("-", stdin=ndjson(lines)).stdout for lines in ([PLACED, other, SCANNED], [SCANNED, other, PLACED])]
    assert results[0] == results[1] != ""


def test_any_order_of_the_lines_gives_the_same_output(tmp_path: Path) -> None:
    lines = list(history(7, customers=60, start=START, days=20))
    inputs = [lines, [*lines, *lines[::3]]]
    random.Random(1).shuffle(inputs[1])
    results = [run("-", stdin=b"".join(one)) for one in inputs]
    assert results[0].stdout == results[1].stdout
    assert {one["detector"] for one in episodes(results[0])} >= {"late_vs_promise", "payment_failed", "detractor"}


def test_detectors_of_a_folder_are_used_too(story: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "{name: unpaid, title: Order {value}, ease: buy, advice: Ask., entity: [order], thresholds: {wait: 1h},"
        " deadline: {at: placed, after: wait}, severity: [{level: info}]}".replace("Order {value}", "Unpaid")
    )
    result = run(story, "--detectors", tmp_path)
    (mine,) = [one for one in episodes(result) if one["detector"] == "unpaid"]
    assert (mine["opened_at"], mine["resolution"]) == ("2026-03-02T10:00:00Z", None)


def test_thresholds_are_those_of_the_namespace() -> None:
    left = [
        call("Checkout Started", 1, "2026-03-02T09:00:00Z", {"checkout_id": "c"}, userId="ann"),
        call("Product Viewed", 2, "2026-03-02T09:30:00Z", {}, userId="ann"),
    ]
    assert episodes(run("-", stdin=ndjson(left))) == []
    (one,) = episodes(run("-", "--namespace", "demo-shop", stdin=ndjson(left)))
    assert one["opened_at"] == "2026-03-02T09:01:00Z"


def test_thresholds_come_from_standard_input_too(tmp_path: Path) -> None:
    file = tmp_path / "calls.ndjson"
    left = [
        call("Checkout Started", 1, "2026-03-02T09:00:00Z", {"checkout_id": "c"}, userId="ann"),
        call("Product Viewed", 2, "2026-03-02T09:30:00Z", {}, userId="ann"),
    ]
    file.write_bytes(ndjson(left))
    assert episodes(run(file)) == []
    thresholds = b"overrides: [{detector: checkout_abandoned, namespace: default, idle: 5m}]"
    (one,) = episodes(run(file, "--overrides", "-", stdin=thresholds))
    assert one["opened_at"] == "2026-03-02T09:05:00Z"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-", "--overrides", "-"], "standard input holds"),
        (["/nowhere/at/all"], "No such file"),
        (["-", "--detectors", "/nowhere/at/all"], "/nowhere/at/all"),
        (["-", "--until", "soon"], "neither a date nor a time"),
        (["-", "--lines-most", "1"], "more than 1 lines"),
    ],
)
def test_what_stands_in_the_way_is_said(arguments: list[str], word: str) -> None:
    result = run(*arguments, stdin=ndjson(STORY))
    assert result.exit_code == 2
    assert word in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_broken_zip_has_no_output(tmp_path: Path, harm: str) -> None:
    whole = bytearray(gzip.compress(ndjson(STORY)))
    whole[20] ^= harm == "flipped" and 0xFF
    (tmp_path / "broken.gz").write_bytes(whole[:-12] if harm == "cut" else whole)
    result = run(tmp_path / "broken.gz")
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_lines_may_be_as_many_as_allowed() -> None:
    assert run("-", "--lines-most", "2", stdin=ndjson(STORY)).exit_code == 0


def test_an_empty_file_has_no_episodes() -> None:
    result = run("-", stdin=b"\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "0 lines, 0 touchpoints" in result.stderr


def test_a_detector_that_stumbles_is_named_once_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(detector: Detector, view: View, now: datetime, *, alerted: bool) -> Verdict:
        if detector.name == "delivery_at_risk":
            raise OverflowError
        return evaluate(detector, view, now, alerted=alerted)

    monkeypatch.setattr("pathline.domain.assessing.evaluate", broken)
    result = run("-", stdin=ndjson(STORY))
    assert result.exit_code == 1
    assert result.stderr.count("delivery_at_risk stumbled over order A1: OverflowError()") == 1
    found = {one["detector"]: one for one in episodes(result)}
    assert found.keys() == {"delayed_dispatch", "late_vs_promise", "journey_risk"} and found["late_vs_promise"] == LATE
