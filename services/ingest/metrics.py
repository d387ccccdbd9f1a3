"""What a collector measures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.ingest import routes
from services.ingest.codes import CALL_CODES, CODES
from services.ingest.providers import PROVIDERS

ACCEPTED: Final = "accepted"
UNSTORED: Final = "not_stored"
"""A good call that Kafka did not acknowledge in time: its sender was told to send it again."""

LETTERS: Final = ("stored", "dropped", "not_stored")
"""What became of refused calls of a known key: a dead letter, only counted as its key had its share, or lost."""
OUTCOMES: Final = (ACCEPTED, UNSTORED, *CALL_CODES)
ROUTES: Final = (*dict.fromkeys(route.name for route in routes.ROUTES.values()), "webhook", "other")
STATUSES: Final = ("200", "400", "401", "403", "404", "405", "408", "413", "415", "429", "431", "500", "503")
DELIVERIES: Final = (
    "known", "unknown", "privacy", "nothing", "unreadable", "fault", "missing_signature", "bad_signature",
    "stale_signature", "not_stored",
)  # fmt: skip
"""What becomes of a webhook's delivery. `unknown`: kept, of a topic or with a status that no mapping has.
`nothing`: it tells nothing that another does not. `fault`: its mapping failed, and it is a dead letter."""
LATENCIES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class IngestMetrics:
    """The collector's metrics, on a registry that is given. No label holds anything that a sender chose."""

    def __init__(self, registry: CollectorRegistry, topic: str) -> None:
        """Register them; `topic` is the one written."""
        self.touchpoints = Counter(
            "pathline_ingest_touchpoints", "Calls received, by what became of them.", ["outcome"], registry=registry
        )
        self.requests = Counter(
            "pathline_ingest_requests",
            "Requests answered, by route and status.",
            ["route", "status"],
            registry=registry,
        )
        refused = Counter(
            "pathline_ingest_refused",
            "Requests that were refused as a whole, by the code they were answered with.",
            ["code"],
            registry=registry,
        )
        self._refused = {code: refused.labels(code) for code in CODES}
        self.acked_seconds = Histogram(
            "pathline_ingest_acked_seconds",
            "Seconds from the last byte of a request to Kafka's ack of all its calls.",
            buckets=LATENCIES,
            registry=registry,
        )
        self.sent_seconds = Histogram(
            "pathline_ingest_sent_seconds",
            "Seconds from `sentAt` to receipt, by the sender's clock and ours.",
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 600, 3_600, 86_400),
            registry=registry,
        )
        self.group_size = Histogram(
            "pathline_ingest_group_size",
            "Records that shared one write to a partition.",
            buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000),
            registry=registry,
        )
        self.group_failures = Counter(
            "pathline_ingest_group_failures", "Groups that were not acknowledged.", registry=registry
        )
        letters = Counter(
            "pathline_dead_letters", "Dead letters, by what became of them.", ["outcome"], registry=registry
        )
        self.letters_stored, self.letters_dropped, self.letters_lost = (letters.labels(one) for one in LETTERS)
        self.clamped = Counter(
            "pathline_ingest_clamped", "Times of browsers out of bounds, replaced by the receipt's.", registry=registry
        )
        self.bytes_in_flight = Gauge(
            "pathline_ingest_bytes_in_flight", "Bytes received and not yet answered.", registry=registry
        )
        self.connections = Gauge("pathline_ingest_connections", "Open connections.", registry=registry)
        self.keys = Gauge("pathline_ingest_keys", "Write keys that may be used.", registry=registry)
        self.keys_unreadable = Gauge(
            "pathline_ingest_keys_unreadable",
            "Write keys with a policy that this version cannot read; their calls are 503.",
            registry=registry,
        )
        self.keys_failures = Counter(
            "pathline_ingest_keys_failures", "Times the write keys could not be read.", registry=registry
        )
        self.producers = Counter(
            "pathline_ingest_producers", "Producers made; more than one: the last could not go on.", registry=registry
        )
        self.webhooks = Counter(
            "pathline_webhooks",
            "Deliveries of webhooks, by provider and what became of them.",
            ["provider", "outcome"],
            registry=registry,
        )
        for provider in PROVIDERS:
            for outcome in DELIVERIES:
                self.webhooks.labels(provider, outcome)
        self.stuck = Gauge(
            "pathline_ingest_stuck_partitions",
            "Partitions that give no ack; calls for them are 503.",
            registry=registry,
        )
        lag = Gauge("pathline_consumer_lag", "Records not yet handled.", ["topic"], registry=registry)
        self.lag = lag.labels(topic)
        self._outcomes = {outcome: self.touchpoints.labels(outcome) for outcome in OUTCOMES}
        self._answers = {
            (route, int(status)): self.requests.labels(route, status) for route in ROUTES for status in STATUSES
        }
        self.accepted = self._outcomes[ACCEPTED]
        self.unstored = self._outcomes[UNSTORED]

    def refused(self, code: str) -> None:
        """Count a call that is not taken, by its code."""
        (self._outcomes.get(code) or self.touchpoints.labels(code)).inc()

    def answered(self, route: str, status: int, code: str | None = None) -> None:
        """Count an answer; `code` where it refuses the request."""
        # A webhook's delivery with nothing good in it has a code, and is answered with 200.
        if code is not None and status != HTTPStatus.OK:
            self._refused[code].inc()
        child = self._answers.get((route, status)) or self._answers["other", 500]
        child.inc()

    def delivered(self, provider: str, outcome: str) -> None:
        """Count a delivery of a webhook."""
        self.webhooks.labels(provider, outcome).inc()
