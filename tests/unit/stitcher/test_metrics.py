"""What is observed at once counts as if it had been observed one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from services.stitcher.metrics import Ages

BUCKETS = (0.01, 0.1, 1.0, 10.0)


@given(st.lists(st.floats(0, 100) | st.sampled_from(BUCKETS)))
def test_many_at_once_are_each_in_its_bucket(amounts: list[float]) -> None:
    at_once, one_by_one = CollectorRegistry(), CollectorRegistry()
    ages = Ages("age_seconds", "Ages.", buckets=BUCKETS, registry=at_once)
    each = Histogram("age_seconds", "Ages.", buckets=BUCKETS, registry=one_by_one)
    ages.observe_all(amounts)
    for amount in amounts:
        each.observe(amount)
    for le in ("0.01", "0.1", "1.0", "10.0", "+Inf"):
        name, labels = "age_seconds_bucket", {"le": le}
        assert at_once.get_sample_value(name, labels) == one_by_one.get_sample_value(name, labels)
    assert at_once.get_sample_value("age_seconds_count") == len(amounts)
