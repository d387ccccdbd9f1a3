"""A backtest from files to episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest import report
from pathline.backtest.calls import Accept, Bad, Calls
from pathline.backtest.report import Episode, Row
from pathline.backtest.simulation import Simulation
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.judging import Stumble
from pathline.domain.people import MAX_JOINED

LINES_MOST: Final = 1_000_000
"""Lines held in memory unless more are asked for; with the state of their customers they take about 2 KB each."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of it."""

    episodes: list[Episode]
    rows: list[Row]
    until: datetime | None
    """The end of the simulation; None where there was no touchpoint and no end was given."""
    lines: int
    touchpoints: int
    """Those that took effect."""
    duplicates: int
    refused: int
    after: int
    """Touchpoints left out because they happened after the end."""
    stumbles: dict[str, int]
    """By detector, how often it broke off; what it would have said of those things is missing."""


def run(
    files: Sequence[str],
    detectors: Detectors,
    *,
    zone: ZoneInfo,
    accept: Accept,
    until: datetime | None = None,
    lines_most: int = LINES_MOST,
    on_bad: Callable[[Bad], None],
    on_stumble: Callable[[Stumble], None],
) -> Outcome:
    """Run the detectors over the files in event time.

    Args:
        files: NDJSON of Segment calls, plain or zipped; `-` is standard input.
        detectors: all of them.
        zone: where a date ends when the order does not say where it goes.
        accept: what the collector would store of a line.
        until: deadlines up to then pass and later touchpoints are left out; None: the last touchpoint's time.
        lines_most: lines read, at most.
        on_bad: is told of each line that cannot be used.
        on_stumble: is told of each detector that breaks off, once.

    Raises:
        OSError: a file cannot be read.
        TooManyLinesError: there are more than `lines_most` lines.
    """
    calls = Calls(accept, most=lines_most, on_bad=on_bad)
    for file in files:
        calls.read(file)
    stumbles: Counter[str] = Counter()

    def stumble(one: Stumble) -> None:
        stumbles[one.detector] += 1
        if stumbles[one.detector] == 1:
            on_stumble(one)

    simulation = Simulation(detectors, zone, on_stumble=stumble)
    end = calls.last if until is None else until
    touchpoints = after = 0
    for at, group in calls.instants():
        if end is not None and at > end:
            after += len(group)
            continue
        refused = {one.id for one in simulation.happen(at, [touchpoint for _, touchpoint in group])}
        for kept, touchpoint in group:
            if touchpoint.id in refused:
                words = f"the join would make more than {MAX_JOINED} user_ids one"
                calls.refuse(Bad(kept.file, kept.line, "join_too_large", words))
        touchpoints += len(group) - len(refused)
    if end is not None:
        simulation.sleep_until(end)
    alerts = report.in_order(simulation.alerts())
    return Outcome(
        episodes=[report.episode(alert, simulation.world.identifiers(alert.entity_id)) for alert in alerts],
        rows=report.rows(alerts, detectors.files),
        until=end,
        lines=calls.lines,
        touchpoints=touchpoints,
        duplicates=calls.duplicates,
        refused=calls.refused,
        after=after,
        stumbles=dict(stumbles),
    )
