"""What a scorer measures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pathline.domain.alerts import SEVERITIES

HINTS: Final = ("judged", "nothing_to_judge", "unreadable")
FAILURES: Final = ("fence_lost", "sleeper_ended", "conflict", "database", "kafka", "story")
CHANGES: Final = ("opened", "expired", "raised", "lowered", "updated", "woken", "reopened", "resolved")
LOADS: Final = ("changed", "unchanged", "faulty")
DELIVERIES: Final = ("delivered", "retried", "failed")
ENDPOINTS: Final = ("console", "webhook")
_SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60, 600)


class ScorerMetrics:
    """The scorer's metrics, on a registry that is given."""

    def __init__(self, registry: CollectorRegistry, topic: str, detectors: Iterable[str]) -> None:
        """Register them.

        Args:
            registry: where.
            topic: the one consumed.
            detectors: names of all detectors.
        """
        names = tuple(detectors)
        self.detectors: Collection[str] = ()
        self.endpoints = ENDPOINTS
        self.hints = Counter("pathline_scorer_hints", "Hints read, by outcome.", ["outcome"], registry=registry)
        self.stories = Counter("pathline_scorer_stories", "Stories judged, by reason.", ["reason"], registry=registry)
        self.failures = Counter(
            "pathline_scorer_failures", "Transactions rolled back and stories left out, by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.changes = Counter(
            "pathline_alert_changes", "What became of alerts, by facts and deadlines.",
            ["change", "detector", "severity"], registry=registry,
        )  # fmt: skip
        self.alive = Gauge("pathline_alerts_open", "Alerts not resolved.", ["detector"], registry=registry)
        self.shadows = Gauge(
            "pathline_alerts_shadow", "Episodes not over of detectors on trial.", ["detector"], registry=registry
        )
        self.shadow_changes = Counter(
            "pathline_shadow_changes", "What became of episodes that nobody is told of.", ["change", "detector"],
            registry=registry,
        )  # fmt: skip
        self.guard_errors = Counter(
            "pathline_detector_guard_errors", "Times a guard could not be worked out, which counts as false.",
            ["detector"], registry=registry,
        )  # fmt: skip
        self.files_bad = Gauge(
            "pathline_detector_files_bad", "Files of detectors and overrides that cannot be used.", registry=registry
        )
        self.loads = Counter(
            "pathline_detector_loads", "Times the files of detectors were read, by outcome.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.out_of_step = Gauge(
            "pathline_detectors_out_of_step", "1 while another scorer's files are the ones that count.",
            registry=registry,
        )  # fmt: skip
        self.rejudged = Counter(
            "pathline_scorer_rejudged", "Stories judged again because detectors changed.", registry=registry
        )
        self.rejudged_share = Gauge(
            "pathline_scorer_rejudged_share", "Part of all stories judged by the detectors as they are.",
            registry=registry,
        )  # fmt: skip
        self.blind = Counter(
            "pathline_alerts_blind", "Alerts that fired before everything received was read.", registry=registry
        )
        self.pending = Gauge("pathline_deadlines_pending", "Stories that wait for a deadline.", registry=registry)
        self.late = Gauge("pathline_deadlines_late", "Stories whose deadline passed by the clock.", registry=registry)
        self.late_seconds = Gauge(
            "pathline_deadlines_late_seconds", "How long the first of the passed deadlines waits.", registry=registry
        )
        self.cut = Counter(
            "pathline_scorer_neighbours_cut", "Hints after which not all stories of the customers were judged again.",
            registry=registry,
        )  # fmt: skip
        self.batch_seconds = Histogram(
            "pathline_scorer_batch_seconds", "Seconds a transaction took.", buckets=_SECONDS, registry=registry
        )
        self.alerted_seconds = Histogram(
            "pathline_scorer_alerted_seconds",
            "Seconds from the collector's receipt of a touchpoint to its alert.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.outbox = Gauge("pathline_outbox_depth", "Notices not yet delivered.", ["endpoint"], registry=registry)
        self.outbox_failed = Gauge(
            "pathline_outbox_failed", "Notices that were given up.", ["endpoint"], registry=registry
        )
        self.disabled = Gauge(
            "pathline_endpoint_disabled", "1 where an endpoint is switched off, because it said so.", ["endpoint"],
            registry=registry,
        )  # fmt: skip
        self.deliveries = Counter(
            "pathline_deliveries", "Attempts to deliver a notice.", ["endpoint", "outcome"], registry=registry
        )
        self.delivered_seconds = Histogram(
            "pathline_delivered_seconds", "Seconds from a change of an alert to its delivery.", ["endpoint"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.partitions = Gauge("pathline_scorer_partitions", "Partitions held.", registry=registry)
        self._lag = Gauge("pathline_consumer_lag", "Records not yet handled.", ["topic"], registry=registry)
        self.lag = self._lag.labels(topic)
        self.lag.set(math.nan)  # Until it is measured: 0 would say that all is done.
        self._initialise()
        self.know(names)

    def know(self, detectors: Collection[str]) -> None:
        """Have a value for each of these from now on."""
        for detector in detectors:
            self.alive.labels(detector)
            self.shadows.labels(detector)
            self.guard_errors.labels(detector)
            for change in CHANGES:
                self.shadow_changes.labels(change, detector)
                for severity in SEVERITIES:
                    self.changes.labels(change, detector, severity)
        self.detectors = frozenset(detectors)

    def _initialise(self) -> None:
        for outcome in LOADS:
            self.loads.labels(outcome)
        for outcome in HINTS:
            self.hints.labels(outcome)
        for reason in FAILURES:
            self.failures.labels(reason)
        for reason in ("hint", "deadline", "risk"):
            self.stories.labels(reason)
        for endpoint in ENDPOINTS:
            self.outbox.labels(endpoint)
            self.outbox_failed.labels(endpoint)
            self.disabled.labels(endpoint)
            self.delivered_seconds.labels(endpoint)
            for outcome in DELIVERIES:
                self.deliveries.labels(endpoint, outcome)
