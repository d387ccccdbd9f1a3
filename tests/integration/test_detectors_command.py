"""`pathline detectors live|shadow` on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.storage import detectors

pytestmark = pytest.mark.integration

Run = Callable[..., Result]


def asked(database: str, work: Callable[[Any], Any]) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(database)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def run(database: str) -> Run:
    told = {"title": "T", "ease": "use", "advice": "A", "version": 1}
    asked(database, lambda db: detectors.meet(db, {"mine": told}, {"mine": "mine.yaml"}, {"mine": "shadow"}))
    program, env = cli.make_app(["detectors"]), {"PATHLINE_DATABASE_URL": database}
    return lambda *arguments: CliRunner().invoke(program, ["detectors", *arguments], env=env)


def test_a_detector_goes_live_and_back_and_who_did_it_is_kept(run: Run, database: str) -> None:
    assert run("live", "mine", "--as", "Uma").stdout == "mine is live\n"
    assert asked(database, detectors.on_trial) == frozenset()
    assert run("live", "mine").stdout == "mine is live already\n"
    assert run("shadow", "mine", "--as", "Ann").stdout == "mine is in shadow\n"
    assert asked(database, detectors.on_trial) == {"mine"}
    acts = asked(database, lambda db: detectors.acts(db, "mine"))
    assert [(act.kind, act.actor, act.origin) for act in acts[:2]] == [
        ("shadow", "Ann", "command"),
        ("live", "Uma", "command"),
    ]


def test_one_that_no_scorer_has_met_cannot_be_switched(run: Run) -> None:
    ended = run("live", "mime")
    assert ended.exit_code == 1
    assert ended.stderr == "pathline: no scorer has met a detector 'mime'; is it 'mine'? [unknown_detector]\n"
