"""What a stitcher measures."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Outcome = Literal["stitched", "duplicate", "dead_letter"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("stitched", "duplicate", "dead_letter")
FAILURES: Final = ("fence_lost", "sleeper_ended", "conflict", "database", "kafka")
ACTS: Final = ("told", "failed")
LETTERS: Final = ("told", "kept", "pruned", "failed")
"""What became of dead letters: the topic was told of a row, a row was made of what the topic told, a row was too old;
and how often that failed and was put off."""

INTEREST: Final = ("kept", "lost")
PRUNED: Final = ("touchpoint_rest", "seen")
UPKEEP: Final = ("weeks", "touchpoints", "seen")
"""Partitions made ahead of time, old touchpoints dropped, old marks of what was counted deleted."""


class Ages(Histogram):
    """A histogram that takes all that a batch brings at once: one by one it is a fiftieth of a stitcher's time."""

    def observe_all(self, amounts: Iterable[float]) -> None:
        """Observe each of these."""
        ordered = sorted(amounts)
        within = 0
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            before, within = within, bisect_right(ordered, bound)
            if within > before:
                bucket.inc(within - before)
        self._sum.inc(sum(ordered))


class StitcherMetrics:
    """The stitcher's metrics, on a registry that is given."""

    def __init__(self, registry: CollectorRegistry, topic: str, letters_topic: str) -> None:
        """Register them; `topic` is the one consumed, `letters_topic` that of dead letters."""
        self.touchpoints = Counter(
            "pathline_stitcher_touchpoints", "Records read, by what became of them.", ["outcome"], registry=registry
        )
        self.failures = Counter(
            "pathline_stitcher_batch_failures", "Batches rolled back, by reason.", ["reason"], registry=registry
        )
        self.batch_size = Histogram(
            "pathline_stitcher_batch_size",
            "Records in a batch.",
            buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "pathline_stitcher_batch_seconds",
            "Seconds a transaction took.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.stored_seconds = Ages(
            "pathline_stitcher_stored_seconds",
            "Seconds from the collector's receipt of a touchpoint to its journey.",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
            registry=registry,
        )
        self.moved = Counter(
            "pathline_stitcher_identifiers_moved", "Identifiers whose parent or join changed.", registry=registry
        )
        self.visits = Counter(
            "pathline_visits",
            "Visits that told how they ended; lost ones were over at once and not engaged.",
            ["interest"],
            registry=registry,
        )
        self.silent = Gauge(
            "pathline_sources_silent",
            "Sources that are silent for longer than they ever are. Every stitcher gives the same: take the maximum.",
            registry=registry,
        )
        self.silent_seconds = Gauge(
            "pathline_sources_silent_seconds", "How long the first of them is silent; 0 where none is.",
            registry=registry,
        )  # fmt: skip
        self.known = Gauge(
            "pathline_stitcher_known_identifiers", "Identifiers remembered between batches.", registry=registry
        )
        self.paused = Gauge(
            "pathline_stitcher_sources_paused",
            "Sources whose records are set aside untried, as the database refused too many.",
            registry=registry,
        )
        self.partitions = Gauge("pathline_stitcher_partitions", "Partitions held.", registry=registry)
        self._lag = Gauge("pathline_consumer_lag", "Records not yet handled.", ["topic"], registry=registry)
        self.lag = self._lag.labels(topic)
        self.letters_lag = self._lag.labels(letters_topic)
        self.weeks_ready = Gauge(
            "pathline_touchpoint_weeks_ready",
            "This week and next ones for which the touchpoint table has a partition.",
            registry=registry,
        )
        self.weeks_dropped = Counter(
            "pathline_touchpoint_weeks_dropped", "Weeks of touchpoints dropped, as old as is kept.", registry=registry
        )
        self.rows_pruned = Counter(
            "pathline_rows_pruned", "Rows deleted, as old as is kept, by table.", ["table"], registry=registry
        )
        self.upkeep_failures = Counter(
            "pathline_upkeep_failures",
            "Steps of the upkeep of the tables that were put off, by step.",
            ["step"],
            registry=registry,
        )
        self.rebuilding = Gauge(
            "pathline_rebuild_unfinished", "Whether a rebuild of journeys is under way or was left.", registry=registry
        )
        self.rebuild_touchpoints = Gauge("pathline_rebuild_read", "Touchpoints that it has read.", registry=registry)
        self.rebuild_expected = Gauge("pathline_rebuild_expected", "Touchpoints it is to read.", registry=registry)
        self.rebuild_written = Gauge("pathline_rebuild_written", "Notes of states that it wrote.", registry=registry)
        self.rebuild_idle = Gauge(
            "pathline_rebuild_idle_seconds", "For how long an unfinished rebuild wrote nothing.", registry=registry
        )
        self.letters = Counter(
            "pathline_dead_letters", "Dead letters, by what became of them.", ["outcome"], registry=registry
        )
        self.acts = Counter(
            "pathline_stitcher_acts_told",
            "Operators' splits, merges and takings back of which the journeys topic was told, and failures to tell.",
            ["outcome"],
            registry=registry,
        )
        self.acts_waiting = Gauge(
            "pathline_stitcher_acts_waiting", "Operators' acts that wait to be told, 100 at most.", registry=registry
        )
        for interest in INTEREST:
            self.visits.labels(interest)
        for outcome in ACTS:
            self.acts.labels(outcome)
        for lag in (self.lag, self.letters_lag):
            lag.set(math.nan)  # Until it is measured: 0 would say that all is done.
        for table in PRUNED:
            self.rows_pruned.labels(table)
        for step in UPKEEP:
            self.upkeep_failures.labels(step)
        for outcome in LETTERS:
            self.letters.labels(outcome)
        for outcome in OUTCOMES:
            self.touchpoints.labels(outcome)
        for reason in FAILURES:
            self.failures.labels(reason)
