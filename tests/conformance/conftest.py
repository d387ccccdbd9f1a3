"""All SDKs are run once, at the same time; the tests look at what came of each."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from tests.conformance.outcome import Outcome
from tests.conformance.rig import Rig, fresh_database, installed, run_all
from tests.conformance.sdks import LOSING, SDKS, WEBHOOKS
from tests.conformance.table import tables
from tests.conftest import Stack, say


@pytest.fixture(scope="session")
def outcomes(
    stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Outcome]:
    """What came of each SDK, by its name."""

    async def run(folder: Path) -> dict[str, Outcome]:
        unique = uuid.uuid4().hex[:12]
        async with fresh_database(stack, template, f"conformance_{unique}") as dsn:
            return await run_all(Rig(stack, dsn, f"c{unique}", folder, installed()), (*SDKS, *LOSING, *WEBHOOKS))

    found = asyncio.run(run(tmp_path_factory.mktemp("conformance")))
    say(request.config, "conformance", tables(found))
    return found
