"""A backtest from files to episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest import report
from pathline.backtest.calls import Accept, Bad, Calls
from pathline.backtest.report import Episode
from pathline.backtest.simulation import Simulation
from pathline.backtest.trials import Comparison, Trial, Trials
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.judging import Stumble
from pathline.domain.people import MAX_JOINED
from pathline.domain.records import Record, Span

LINES_MOST: Final = 1_000_000
"""Lines held in memory unless more are asked for; with the state of their customers they take about 2 KB each."""

DAY: Final = timedelta(days=1)


class Outcome(msgspec.Struct, frozen=True):
    """What came of it."""

    episodes: list[Episode]
    records: list[Record]
    comparisons: list[Comparison]
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


class Listener:
    """Is told how a backtest goes. This one does not care."""

    def bad(self, bad: Bad) -> None:
        """A line cannot be used."""

    def stumbled(self, stumble: Stumble) -> None:
        """A detector breaks off; told once of each."""

    def read(self, lines: int) -> None:
        """So many lines were read so far."""

    def passed(self, touchpoints: int, of: int, at: datetime) -> None:
        """So many touchpoints have happened, and it is this time."""


def run(
    files: Sequence[str],
    detectors: Detectors,
    *,
    zone: ZoneInfo,
    accept: Accept,
    until: datetime | None = None,
    lines_most: int = LINES_MOST,
    agents: int | None = None,
    trials: Iterable[Trial] = (),
    namespace: str = "default",
    listener: Listener,
) -> Outcome:
    """Run the detectors over the files in event time.

    Args:
        files: NDJSON of Segment calls, plain or zipped; `-` is standard input.
        detectors: all of them.
        zone: where a date ends when the order does not say where it goes.
        accept: what the collector would store of a line.
        until: deadlines up to then pass and later touchpoints are left out; None: the last touchpoint's time.
        lines_most: lines read, at most.
        agents: how many people share the work.
        trials: other values of thresholds, to be compared.
        namespace: the one whose thresholds are tried.
        listener: is told how it goes.

    Raises:
        OSError: a file cannot be read.
        TooManyLinesError: there are more than `lines_most` lines.
        TrialError: a threshold cannot be tried so.
    """
    tried = Trials(detectors, trials, namespace)
    calls = Calls(accept, most=lines_most, on_bad=listener.bad, on_read=listener.read)
    for file in files:
        calls.read(file)
    stumbles: Counter[str] = Counter()

    def stumble(one: Stumble) -> None:
        stumbles[one.detector] += 1
        if stumbles[one.detector] == 1:
            listener.stumbled(one)

    simulation = Simulation(tried.detectors, zone, on_stumble=stumble)
    end = calls.last if until is None else until
    touchpoints, after = _happen(simulation, calls, end, listener)
    if end is not None:
        simulation.sleep_until(end)
    alerts = report.in_order(simulation.alerts())
    records = report.records(alerts, tried.detectors.files.values(), Span(_days(calls.first, end), agents))
    return Outcome(
        episodes=[
            report.episode(alert, simulation.world.identifiers(alert.entity_id))
            for alert in alerts
            if alert.detector not in tried.names
        ],
        records=[record for record in records if record.detector not in tried.names],
        comparisons=tried.comparisons(records),
        until=end,
        lines=calls.lines,
        touchpoints=touchpoints,
        duplicates=calls.duplicates,
        refused=calls.refused,
        after=after,
        stumbles=dict(stumbles),
    )


def _happen(simulation: Simulation, calls: Calls, end: datetime | None, listener: Listener) -> tuple[int, int]:
    """Let all touchpoints happen. Returns how many did, and how many came after the end."""
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
        listener.passed(touchpoints, len(calls), at)
    return touchpoints, after


def _days(first: datetime | None, end: datetime | None) -> float:
    """For how many days the work is: less than one is one."""
    return 1.0 if first is None or end is None else max(1.0, (end - first) / DAY)
