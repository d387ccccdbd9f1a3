"""Guards that cannot be worked out are counted, and told of once a detector and interval."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.scorer.guard_errors import SAID_EVERY, GuardErrors
from services.scorer.metrics import ScorerMetrics


def test_each_counts_and_one_line_an_interval_says_how_many() -> None:
    registry, now = CollectorRegistry(), [0.0]
    errors = GuardErrors(ScorerMetrics(registry, "t", ["mine", "other"]).guard_errors, lambda: now[0])
    with capture_logs() as said:
        errors.count({"mine": 2})
        errors.count({"mine": 3, "other": 1})
        now[0] = SAID_EVERY
        errors.count({"mine": 1})
        errors.count({})
    assert [(one["detector"], one["times"]) for one in said] == [("mine", 2), ("other", 1), ("mine", 4)]
    counted = {
        name: registry.get_sample_value("pathline_detector_guard_errors_total", {"detector": name})
        for name in ("mine", "other")
    }
    assert counted == {"mine": 6.0, "other": 1.0}
