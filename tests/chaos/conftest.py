"""What the faults are tried on: services as processes, on the run's Kafka and PostgreSQL and a database of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from pathline.kit.kafka import Topics
from tests.chaos import tally
from tests.chaos.trial import Trial
from tests.conftest import SAID, Stack
from tests.support import checker
from tests.support.programs import Program

_numbers = itertools.count(1)


@pytest.fixture
async def dsn(stack: Stack, template: str) -> AsyncIterator[str]:
    """The URL of a fresh migrated database for this test alone."""
    name = f"chaos_{next(_numbers)}"
    await _execute(stack, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await checker.watch_the_fence(stack.dsn(name))
    yield stack.dsn(name)
    await _execute(stack, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


Make = Callable[..., Program]


@pytest.fixture
async def make(stack: Stack, dsn: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Make]:
    """`make("stitcher", without="dedupe", PATHLINE_...=...)`: a program that ends with the test."""
    made: list[Program] = []

    def program(name: str, *, without: str | None = None, **env: str) -> Program:
        given = {
            "PATHLINE_KAFKA": stack.bootstrap,
            "PATHLINE_DATABASE_URL": dsn,
            "PATHLINE_TOPIC_PREFIX": topic_prefix,
            "PATHLINE_HOME": str(tmp_path),
            "PATHLINE_TICK_MS": "100",
            "PATHLINE_API_TOKEN": "a token for these tests",
        }
        one = Program(name, given | env, tmp_path, without=without)
        made.append(one)
        return one

    yield program
    await asyncio.gather(*(one.__aexit__() for one in made))


@pytest.fixture
def trial(stack: Stack, dsn: str, topics: Topics, pytestconfig: pytest.Config) -> Trial:
    """The load and the checker of this test."""
    return Trial(stack, dsn, topics, pytestconfig)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests the time that they take in full."""
    if tally.FULL:
        for item in items:
            item.add_marker(pytest.mark.timeout(3_600))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make one table of what was found, keep it where that is asked for, and fail where a fault is absent from it."""
    said, kept = session.config.stash[SAID], os.environ.get("CHAOS_TABLE")
    found = tally.rows(said)
    if hasattr(session.config, "workeroutput") or not (found or kept == "whole"):
        return
    for key in [key for key in said if key.startswith(f"{tally.HEADING}/")]:
        del said[key]
    missing = tally.absent(found) if kept == "whole" else []
    said[tally.HEADING] = tally.table(found) + "".join(f"{one}\n" for one in missing)
    if kept and not missing:
        tally.write(found, whole=kept == "whole")
    elif missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
