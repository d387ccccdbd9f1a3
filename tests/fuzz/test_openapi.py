"""The collector holds to its OpenAPI document whatever is made of it (Schemathesis), and never says 5xx but 503."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.ingest.document import document
from tests.conftest import Stack
from tests.support.attacked import Target, attacked

pytestmark = pytest.mark.integration

EXAMPLES: Final = 5
"""Requests made of each operation by chance, besides those that cover its schema."""

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KEY: Final = {"authorization": "Bearer demo"}
NEEDED: Final[dict[str, Any]] = {
    "type": "track", "event": "A", "userId": "ann", "messageId": None,
    "timestamp": None, "originalTimestamp": None, "sentAt": None,
}  # fmt: skip
ALIKE: Final = re.compile(r"/v1/([a-z]|page|screen|group|import)")
"""Addresses that are described as others are."""

schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def target(stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from attacked(stack, database, tmp_path_factory, "openapi")


def check(case: schemathesis.Case[Any], target: Target) -> None:
    """Send what was made up, and look at the answer."""
    where = f"http://{target.program.address}"
    case.call_and_validate(base_url=where, headers=KEY, checks=CHECKS)
    # Nearly all that is made up names nobody: the same once more with what a call needs, so that some are stored.
    if isinstance(case.body, dict):
        case.body = _completed(case.body)
        case.call_and_validate(base_url=where, headers=KEY, checks=CHECKS)


def _completed(body: dict[str, Any]) -> dict[str, Any]:
    if isinstance(calls := body.get("batch"), list):
        return {**body, **NEEDED, "batch": [_completed(call) if isinstance(call, dict) else call for call in calls]}
    return {**body, **NEEDED}


def _tests_of(path: str, method: str) -> Callable[..., None]:
    @schema.include(path=path, method=method.upper()).parametrize()
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    def test(case: schemathesis.Case[Any], target: Target) -> None:
        check(case, target)

    made: Callable[..., None] = test
    return made


for path, methods in document()["paths"].items():
    for method in methods:
        if not ALIKE.fullmatch(path):
            # A name for each: those that run at a time know a test by its name alone.
            globals()[f"test_{method}{re.sub(r'[^a-z0-9]+', '_', path)}"] = _tests_of(path, method)
