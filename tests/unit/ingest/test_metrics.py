"""What the collector counts of its answers."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry

from pathline.kit import refusal
from pathline.kit.refusal import Refusal
from services.ingest.codes import CODES
from services.ingest.metrics import IngestMetrics

AT_THE_DOOR = [one for one in vars(refusal).values() if isinstance(one, Refusal)]


def counted(registry: CollectorRegistry, code: str) -> float | None:
    return registry.get_sample_value("pathline_ingest_refused_total", {"code": code})


@pytest.mark.parametrize("code", CODES)
def test_a_refused_request_counts_under_its_code(code: str) -> None:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry, "t")
    assert counted(registry, code) == 0, "it is there before the first"
    metrics.answered("batch", HTTPStatus.BAD_REQUEST, code)
    assert [one for one in CODES if counted(registry, one)] == [code]


def test_what_is_answered_with_200_is_no_refused_request() -> None:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry, "t")
    metrics.answered("webhook", HTTPStatus.OK, "none_accepted")
    metrics.answered("webhook", HTTPStatus.OK)
    assert [one for one in CODES if counted(registry, one)] == []
    assert registry.get_sample_value("pathline_ingest_requests_total", {"route": "webhook", "status": "200"}) == 2


def test_who_is_turned_away_at_the_door_counts_too() -> None:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry, "t")
    assert AT_THE_DOOR
    for one in AT_THE_DOOR:
        metrics.answered("other", one.status, one.code)
        assert counted(registry, one.code) == 1
