"""Deadlines on nights where the clock changes, and two scorers that run other versions of the detectors' files."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.conftest import Make
from tests.chaos.tally import of
from tests.chaos.trial import SECONDS, Trial
from tests.chaos.without import NOT_AGAIN
from tests.support.records import record, until
from tests.support.scoring import SLOW

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

NIGHTS = (
    # A night an hour shorter, and one an hour longer, east and west of Greenwich.
    ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00+00:00"),
    ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00+00:00"),
    ("2026-03-08", "America/New_York", "2026-03-09T04:00:00+00:00"),
    ("2026-11-01", "America/New_York", "2026-11-02T05:00:00+00:00"),
    # Nights without a midnight: the clock goes from 0:00 to 1:00.
    ("2026-03-28", "Asia/Beirut", "2026-03-28T22:00:00+00:00"),
    ("2026-04-23", "Africa/Cairo", "2026-04-23T22:00:00+00:00"),
    ("2026-09-05", "America/Santiago", "2026-09-06T04:00:00+00:00"),
)
"""A promised day, where the parcel goes, and the instant at which the day is over, worked out by hand."""
COPIES = of(5, 100)

_OPENED = """
SELECT e.value AS name, a.opened_at FROM alert a JOIN entity e ON e.id = a.entity_id
WHERE a.detector = 'late_vs_promise'
"""


async def _promises_end_in_these_nights(trial: Trial, make: Make, without: str | None) -> list[str]:
    """What is wrong with the alerts of orders that were promised for the days before these nights."""
    await make("stitcher").start()
    await make("scorer", without=without).start()
    ends: dict[str, datetime] = {}
    log: list[tuple[str, bytes]] = []
    for copy in range(COPIES):
        for day, zone, end in NIGHTS:
            name = f"{zone} {day} {copy}"
            ends[name] = datetime.fromisoformat(end)
            properties = {"order_id": name, "promised_at": day, "delivery_zone": zone}
            call = {"event": "Order Completed", "userId": f"u{len(log)}", "properties": properties}
            log.append((name, record(call, message_id=name)))
    await trial.send(log)
    await trial.judged()
    enough = "SELECT count(*) >= $1 FROM alert WHERE detector = 'late_vs_promise'"
    await until(lambda: trial.value(enough, len(log)), SECONDS)
    async with trial.db() as db:
        opened = [(row["name"], row["opened_at"]) for row in await db.fetch(_OPENED)]
    often = Counter(name for name, _ in opened)
    wrong = [f"{name} fired {often[name]} times" for name in ends if often[name] != 1]
    return wrong + [f"{name} fired at {at.astimezone(UTC):%d %b %H:%M} UTC" for name, at in opened if at != ends[name]]


async def test_a_promise_of_a_day_ends_with_it_on_nights_where_the_clock_changes(trial: Trial, make: Make) -> None:
    assert await _promises_end_in_these_nights(trial, make, None) == []
    measured = f"{len(NIGHTS)} nights, 3 of them without a midnight; each fired once, at its instant"
    await trial.tell("12b", f"{COPIES * len(NIGHTS)} promises of a day that ends where the clock changes", measured)


async def test_without_the_zone_of_the_delivery_promises_end_at_other_instants(trial: Trial, make: Make) -> None:
    trial.wrong("12b", "the zone of the delivery", await _promises_end_in_these_nights(trial, make, "zone"))


ORDERS = of(60, 600)
_TAKEN = "SELECT bool_and(epoch > 1) AND count(*) > 1 FROM fence WHERE topic = $1"
_QUIET = """
UPDATE detector_sweep SET disturbed_at = disturbed_at - interval '10 minutes', started_at = started_at - interval '11 minutes'
"""
"""As if the old one had gone long ago."""


async def _old_and_new_files_side_by_side(trial: Trial, make: Make, tmp_path: Path, without: str | None) -> list[str]:
    """What is wrong once a scorer of an older version of a detector has run beside one of a newer, and has gone."""
    scorers = []
    await make("stitcher").start()
    for version, patience in ((1, "1d"), (2, "1h")):
        folder = tmp_path / f"detectors {version}"
        folder.mkdir()
        (folder / "slow.yaml").write_text(SLOW.format(version=version, patience=patience), encoding="utf-8")
        env = {"PATHLINE_DETECTORS": str(folder), "PATHLINE_NEW_DETECTORS": "live"}
        scorers.append(await make("scorer", without=without if version > 1 else None, **env).start())
    old, new = scorers
    await until(lambda: trial.value(_TAKEN, trial.topics.journeys), SECONDS)
    await until(lambda: trial.value("SELECT finished_at IS NOT NULL FROM detector_sweep"), SECONDS)
    log = []
    for number in range(ORDERS):
        properties = {"order_id": f"o{number}", "promised_at": "2199-01-01", "ship_by": "2198-01-01T00:00:00Z"}
        call = {"event": "Order Completed", "userId": f"u{number}", "properties": properties}
        at = datetime.now(UTC) - timedelta(hours=2)
        log.append((f"o{number}", record(call, message_id=f"o{number}", at=at)))
        call = {"event": "Payment Failed", "properties": {"checkout_id": f"c{number}"}}
        log.append((f"p{number}", record(call, message_id=f"p{number}")))
    await trial.send(log)
    await trial.judged()
    assert 0 < await trial.value("SELECT count(*) FROM alert WHERE detector = 'slow'") < ORDERS, "both had some"
    assert await old.end() == 0
    asked = new.log.read_text(errors="replace").count(NOT_AGAIN)
    await trial.value("UPDATE detector_sweep SET disturbed_at = coalesce(disturbed_at, clock_timestamp())")
    await trial.value(_QUIET)

    async def judged_again() -> bool:
        if without:
            return new.log.read_text(errors="replace").count(NOT_AGAIN) > asked + 1
        return bool(await trial.value("SELECT count(*) >= $1 FROM alert WHERE detector = 'slow'", ORDERS))

    await until(judged_again, SECONDS)
    async with trial.db() as db:
        found = await db.fetch("SELECT detector, entity_id, count(*) AS n FROM alert GROUP BY detector, entity_id")
        events = await db.fetch("SELECT alert_id FROM alert_event WHERE kind = 'resolved'")
    wrong = [f"{row['detector']} alerted {row['n']} times of one thing" for row in found if row["n"] > 1]
    wrong += [f"alert {row['alert_id']} was resolved" for row in events]
    for detector in ("slow", "payment_failed"):
        lost = ORDERS - sum(row["detector"] == detector for row in found)
        wrong += [f"{lost} alerts of {detector} are lost"] * bool(lost)
    return wrong


async def test_scorers_of_an_old_and_a_new_file_side_by_side_lose_and_double_no_alert(
    trial: Trial, make: Make, tmp_path: Path
) -> None:
    assert await _old_and_new_files_side_by_side(trial, make, tmp_path, None) == []
    measured = f"{2 * ORDERS:,} alerts, each once, by the new version in the end"
    await trial.tell("13c", "two scorers side by side, of an old and a new version of a detector's file", measured)


async def test_without_judging_again_what_the_old_one_judged_is_lost(trial: Trial, make: Make, tmp_path: Path) -> None:
    wrong = await _old_and_new_files_side_by_side(trial, make, tmp_path, "sweeping")
    trial.wrong("13c", "judging again", wrong)
