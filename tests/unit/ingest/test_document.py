"""The OpenAPI document says all that an address may answer, and when to try again."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.document import document
from services.ingest.routes import ROUTES, SDK_METRICS

DOCUMENT = document()
OPERATIONS = [
    pytest.param(path, operation, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize(("path", "operation"), OPERATIONS)
def test_what_a_key_sends_may_be_more_than_its_rate(path: str, operation: dict[str, Any]) -> None:
    takes_calls = path in ROUTES and ROUTES[path] is not SDK_METRICS
    assert ("429" in operation["responses"]) is takes_calls


@pytest.mark.parametrize(("path", "operation"), OPERATIONS)
def test_an_answer_that_asks_to_try_again_says_when(path: str, operation: dict[str, Any]) -> None:
    asking = {status for status, said in operation["responses"].items() if "retry-after" in said.get("headers", {})}
    assert asking == {"429", "503"} & operation["responses"].keys(), path
    for status in asking:
        _, part, kind, name = operation["responses"][status]["headers"]["retry-after"]["$ref"].split("/")
        assert DOCUMENT[part][kind][name]["required"]
