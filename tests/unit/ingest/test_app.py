"""A stop of the collector waits for every ack that may still come."""

from __future__ import annotations

import pytest

from services.ingest.app import drain_seconds
from services.ingest.settings import IngestSettings


@pytest.mark.parametrize("ack_seconds", [0.2, 5.0, 9.5, 30.0])
def test_a_stop_waits_longer_than_any_ack_takes(ack_seconds: float) -> None:
    waits = drain_seconds(IngestSettings(ack_seconds=ack_seconds))
    assert ack_seconds + 1 <= waits <= ack_seconds + 4


def test_the_acks_tried_are_at_the_bounds_of_the_setting() -> None:
    bounds = str(IngestSettings.model_fields["ack_seconds"].metadata)
    assert "ge=0.2" in bounds and "le=30.0" in bounds
