"""What the demo measures."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

OUTCOMES: Final = ("sent", "refused")


class DemoMetrics:
    """The demo's metrics, on a registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""
        self.calls = Counter(
            "pathline_demo_calls", "Calls of the simulated customers, by outcome.", ["outcome"], registry=registry
        )
        self.retries = Counter("pathline_demo_retries", "Batches that had to be sent again.", registry=registry)
        self.crowds = Counter(
            "pathline_demo_crowds", "Crowds begun: one at the start, one each time the last was given up.",
            registry=registry,
        )  # fmt: skip
        self.behind_seconds = Gauge(
            "pathline_demo_behind_seconds", "How late the call sent last was.", registry=registry
        )
        self.visits = Gauge("pathline_demo_visits", "Visitors of the shop's page remembered.", registry=registry)
        for outcome in OUTCOMES:
            self.calls.labels(outcome)
