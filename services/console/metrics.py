"""What a console measures."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pathline.domain.words import ACT_KINDS

EVENTS: Final = ("touchpoint", "journey", "alert")
DROPS: Final = ("slow", "too_many")
DETECTOR_MOVES: Final = ("detector_live", "detector_shadow")
MOVES: Final = ("acknowledge", "assign", "snooze", "resolve", "note")
OUTCOMES: Final = ("done", "repeated", "conflict", "refused", "not_found")
RECORDS: Final = ("read", "unreadable")
_SECONDS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class ConsoleMetrics:
    """The console's metrics, on a registry that is given."""

    def __init__(self, registry: CollectorRegistry, topics: Iterable[str]) -> None:
        """Register them; `topics` are those that are read for the stream."""
        self.requests = Counter(
            "pathline_console_requests", "Requests answered, by route and status.", ["route", "status"],
            registry=registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "pathline_console_request_seconds", "Seconds to an answer; streams are not counted.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.moves = Counter(
            "pathline_console_moves", "What people did to alerts and detectors, by outcome.", ["kind", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.words = Counter(
            "pathline_console_words", "What operators said of who is whom, by outcome.", ["kind", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.streams = Gauge("pathline_console_streams", "Live streams open now.", registry=registry)
        self.sent = Counter(
            "pathline_console_stream_events", "Events put into live streams.", ["event"], registry=registry
        )
        self.dropped = Counter(
            "pathline_console_streams_dropped", "Live streams ended or refused, by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.resumed = Counter(
            "pathline_console_streams_resumed", "Streams that came back: from memory, or too late for it.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.remembered = Gauge(
            "pathline_console_stream_memory", "Events remembered for streams that come back.", registry=registry
        )
        self.records = Counter(
            "pathline_console_records", "Records read from Kafka, by outcome.", ["outcome"], registry=registry
        )
        self.lag = Gauge("pathline_consumer_lag", "Records not yet handled.", ["topic"], registry=registry)
        for move, outcome in (*product(MOVES, OUTCOMES), *product(DETECTOR_MOVES, ("done", "repeated"))):
            self.moves.labels(move, outcome)
        for kind in ACT_KINDS:
            for outcome in OUTCOMES:
                self.words.labels(kind, outcome)
        for topic in topics:
            self.lag.labels(topic)
        for event in EVENTS:
            self.sent.labels(event)
        for reason in DROPS:
            self.dropped.labels(reason)
        for outcome in RECORDS:
            self.records.labels(outcome)
        for outcome in ("resumed", "too_late"):
            self.resumed.labels(outcome)
