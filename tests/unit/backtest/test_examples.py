"""Examples in detectors' files are run by the live code: what came is compared with what was expected."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pathline.backtest import examples
from pathline.backtest.examples import Verdict, span_of
from pathline.commands.backtest import collector
from pathline.contracts import detector_files
from pathline.contracts.detector_files import BUILT_IN, Settings
from pathline.domain.detectors.rules import Example

FILES = [detector_files.read(path) for path in detector_files.paths(BUILT_IN)]
DETECTORS = detector_files.compiled(FILES, Settings())

CREATED = {"at": "0d", "event": "Shipment Created", "tracking_number": "p", "order_id": "o"}
SCANNED = {"at": "49h", "event": "Shipment Scanned", "tracking_number": "p", "status": "in_transit"}
OPENED = {"at": "0d", "event": "Contact Opened", "case_id": "c", "user": "u", "channel": "email"}


def run(detector: str, given: list[dict[str, Any]], expect: list[dict[str, Any]], **more: Any) -> Verdict:
    example = msgspec.convert({"given": given, "expect": expect, **more}, Example)
    return examples.run(detector, example, DETECTORS, collector)


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"of": {"parcel": "p"}, "opened": "2d", "severity": "warning", "at": "49h"},
        {"opened": "48h"},
    ],
)
def test_as_much_as_is_said_is_compared(expected: dict[str, Any]) -> None:
    assert run("forgotten_label", [SCANNED, CREATED], [{"resolved": "scanned"} | expected]).holds


@pytest.mark.parametrize(
    "expected",
    [
        {"resolved": "delivered"},
        {"of": {"parcel": "q"}},
        {"opened": "47h"},
        {"severity": "high"},
        {"at": "50h"},
        {"expired": True},
        {"resolved": None},
    ],
)
def test_whatever_differs_is_said_with_what_came(expected: dict[str, Any]) -> None:
    verdict = run("forgotten_label", [CREATED, SCANNED], [{"resolved": "scanned"} | expected])
    assert len(verdict.expected) == 1
    assert verdict.came == ("{of: {parcel: p}, opened: 2d, severity: warning, resolved: scanned, at: 49h}",) or (
        expected.keys() & {"opened", "at"} and "opened: 48h" in verdict.came[0]
    )


def test_an_episode_too_many_and_one_that_is_missing_are_said() -> None:
    assert run("forgotten_label", [CREATED], []).came == ("{of: {parcel: p}, opened: 2d, severity: warning}",)
    verdict = run("forgotten_label", [CREATED], [{"opened": "48h"}, {}])
    assert (verdict.expected, verdict.came) == (("{}",), ())


def test_what_is_received_late_is_judged_when_it_comes() -> None:
    late = SCANNED | {"at": "1d", "received": "50h"}
    assert run("forgotten_label", [CREATED, late], [{"opened": "48h", "resolved": "late_event", "at": "50h"}]).holds


def test_history_alerts_nobody() -> None:
    given = [CREATED | {"historical": True, "received": "9d"}]
    assert run("forgotten_label", given, [{"opened": "2d", "expired": True}]).holds
    assert run("forgotten_label", given, [{}]).came == (
        "{of: {parcel: p}, opened: 2d, severity: warning, expired: true}",
    )


def test_it_is_looked_at_until_it_is_said() -> None:
    assert run("forgotten_label", [CREATED], [], until="47h").holds
    assert run("forgotten_label", [CREATED], [{"opened": "48h"}], until="48h").holds


def test_who_the_customer_is_counts() -> None:
    business = {"at": "0d", "user": "u", "traits": {"customer_type": "business"}}
    assert run("response_overdue", [OPENED], [{"of": {"case": "c"}, "opened": "4h"}], until="4h").holds
    assert run("response_overdue", [OPENED], [], until="239m").holds
    assert run("response_overdue", [business, OPENED], [{"opened": "2h"}], until="2h").holds


def test_the_start_is_midnight_where_the_zone_is() -> None:
    promised = {"at": "0d", "event": "Order Completed", "order_id": "o", "promised_at": "2026-01-01"}
    late = [{"opened": "24h"}]
    assert run("late_vs_promise", [promised], late, zone="America/New_York").holds
    assert run("late_vs_promise", [promised], late).holds


def test_persons_are_named_as_the_example_names_them() -> None:
    clicked = {"at": "0s", "event": "Rage Clicked", "visitor": "v", "count": 9}
    assert run("rage_click", [clicked], [{"of": {"visitor": "v"}, "resolved": "session_over"}]).holds
    assert run("rage_click", [clicked], [], until="1s").came == ("{of: {visitor: v}, opened: 0d, severity: info}",)


def test_what_the_collector_refuses_is_said_with_its_code() -> None:
    (bad,) = run("forgotten_label", [CREATED, {"at": "0d", "event": ""}], []).bad
    assert (bad.place, bad.code) == (1, "missing_event")


def test_a_property_may_have_the_name_of_a_reserved_word() -> None:
    given = {"at": "0d", "event": "Shipment Created", "order_id": "o", "properties": {"at": "p"}} | {
        "tracking_number": "p"
    }
    assert run("forgotten_label", [given], [{"of": {"parcel": "p"}}]).holds


@pytest.mark.parametrize(
    ("time", "units", "said"),
    [
        (timedelta(hours=48), [], "2d"),
        (timedelta(hours=48), ["h"], "48h"),
        (timedelta(minutes=90), ["h"], "90m"),
        (timedelta(milliseconds=1500), [], "1500ms"),
        (timedelta(0), [], "0d"),
    ],
)
def test_spans_are_said_in_the_units_that_were_expected(time: timedelta, units: list[str], said: str) -> None:
    assert span_of(time, units) == said
