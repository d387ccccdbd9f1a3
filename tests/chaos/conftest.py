"""What the faults are tried on: services as processes, on the run's Kafka and PostgreSQL and a database of the test's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from pathline.kit.kafka import Topics
from tests.chaos.trial import Trial
from tests.conftest import Stack
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
def trial(stack: Stack, dsn: str, topics: Topics) -> Trial:
    """The load and the checker of this test."""
    return Trial(stack, dsn, topics)
