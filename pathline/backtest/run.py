"""A backtest from files to episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest import report
from pathline.backtest.calls import PART, Accept, Bad, Calls
from pathline.backtest.report import Episode
from pathline.backtest.trials import Comparison, Trial, Trials
from pathline.backtest.work import Elsewhere, Here, Lived, Setting, Stumbled, few_collections
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.records import Record, Span

LINES_MOST: Final = 1_000_000
"""Lines held in memory unless more are asked for."""

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

    def stumbled(self, stumbled: Stumbled) -> None:
        """A detector breaks off; told once of each."""

    def read(self, lines: int) -> None:
        """So many lines were read so far."""

    def passed(self, touchpoints: int, of: int) -> None:
        """So many touchpoints have happened, with all that came of them to the end."""


def run(
    files: Sequence[str],
    detectors: Detectors,
    *,
    zone: ZoneInfo,
    accept: Accept,
    until: datetime | None = None,
    lines_most: int = LINES_MOST,
    processes: int = 1,
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
        processes: how many share the computing; what comes out is the same.
        agents: how many people share the work.
        trials: other values of thresholds, to be compared.
        namespace: the one whose thresholds are tried.
        listener: is told how it goes.

    Raises:
        OSError: a file cannot be read.
        TooManyLinesError: there are more than `lines_most` lines.
        BrokenProcessPool: one of several processes was killed.
        TrialError: a threshold cannot be tried so.
    """
    tried = Trials(detectors, trials, namespace)
    calls = Calls(most=lines_most, on_bad=listener.bad, on_read=listener.read)
    with few_collections(), Here() if processes == 1 else Elsewhere(processes) as workers:
        for file in files:
            calls.read(file, partial(workers.take, accept))
        end = calls.last if until is None else until
        lived = _live(workers, Setting(tried.detectors, zone, end), calls, listener)
    stumbles: Counter[str] = Counter()
    for one in (stumble for part in lived for stumble in part.stumbled):
        stumbles[one.detector] += one.times
    names = {alert.id: identifiers for one in lived for alert, identifiers in one.alerts}
    alerts = report.in_order(alert for one in lived for alert, _ in one.alerts)
    records = report.records(alerts, tried.detectors.files.values(), Span(_days(calls.first, end), agents))
    return Outcome(
        episodes=[report.episode(alert, names[alert.id]) for alert in alerts if alert.detector not in tried.names],
        records=[record for record in records if record.detector not in tried.names],
        comparisons=tried.comparisons(records),
        until=end,
        lines=calls.lines,
        touchpoints=sum(one.touchpoints for one in lived),
        duplicates=calls.duplicates,
        refused=calls.refused,
        after=sum(one.after for one in lived),
        stumbles=dict(stumbles),
    )


def _live(workers: Here, setting: Setting, calls: Calls, listener: Listener) -> list[Lived]:
    """Let all parts live, and tell what was wrong in them."""
    lived, passed, stumbled = [], 0, set()
    parts = calls.parts(PART)
    for part, one in zip(parts, workers.live(setting, parts), strict=True):
        lived.append(one)
        passed += len(part)
        listener.passed(passed, len(calls))
        for bad in one.refused:
            calls.refuse(bad)
        for stumble in one.stumbled:
            if stumble.detector not in stumbled:
                stumbled.add(stumble.detector)
                listener.stumbled(stumble)
    return lived


def _days(first: datetime | None, end: datetime | None) -> float:
    """For how many days the work is: less than one is one."""
    return 1.0 if first is None or end is None else max(1.0, (end - first) / DAY)
