"""The document that describes the console's API, as it is served."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.console import Running

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def test_the_document_describes_every_route_and_schema(here: Running) -> None:
    async with httpx.AsyncClient(base_url=f"http://{here.address}", trust_env=False) as stranger:
        document = (await stranger.get("/api/v1/openapi.json")).json()
    assert set(document["paths"]) == {
        "/api/v1/customers/lookup", "/api/v1/customers/{customer_id}", "/api/v1/customers/{customer_id}/touchpoints",
        "/api/v1/alerts", "/api/v1/alerts/{alert_id}", "/api/v1/map", "/api/v1/stream",
        *(f"/api/v1/alerts/{{alert_id}}/{m}" for m in ("acknowledge", "assign", "snooze", "resolve", "note")),
        *(f"/api/v1/customers/{{customer_id}}/{m}" for m in ("history", "split", "merge", "take-back")),
        "/api/v1/accounts/lookup", "/api/v1/sources", "/api/v1/detectors", "/api/v1/detectors/{name}",
        *(f"/api/v1/detectors/{{name}}/{m}" for m in ("live", "shadow")),
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas and "Customer" in schemas
    for where in _references(document):
        assert where.removeprefix("#/components/schemas/") in schemas


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [one for value in node.values() for one in _references(value)]
    return [one for value in node for one in _references(value)] if isinstance(node, list) else []
