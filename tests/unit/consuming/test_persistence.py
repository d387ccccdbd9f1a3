"""Database work that is tried until it is done, or until it is plain that it never will be."""

from __future__ import annotations

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, Counter

from pathline.consuming import persistence
from pathline.consuming.persistence import REFUSALS, UNIQUE_TRIES, Persistence
from pathline.kit.health import Health


class Work:
    """Fails with these, in turn, then is done."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def trying(monkeypatch: pytest.MonkeyPatch) -> Persistence:
    monkeypatch.setattr(persistence, "RETRY_LEAST_SECONDS", 0)
    return Persistence(Health(), Counter("failures", "f", ["reason"], registry=CollectorRegistry()))


async def test_a_row_that_a_peer_wrote_first_is_met_by_another_try(trying: Persistence) -> None:
    work = Work(*(asyncpg.UniqueViolationError("taken") for _ in range(UNIQUE_TRIES - 1)))
    assert await trying.run(work) == "done"
    assert work.tries == UNIQUE_TRIES


async def test_a_row_that_is_there_at_every_try_is_a_refusal(trying: Persistence) -> None:
    work = Work(*(asyncpg.UniqueViolationError("taken") for _ in range(UNIQUE_TRIES + 1)))
    with pytest.raises(REFUSALS):
        await trying.run(work)
    assert work.tries == UNIQUE_TRIES


async def test_a_deadlock_is_tried_for_as_long_as_it_takes(trying: Persistence) -> None:
    work = Work(*(asyncpg.DeadlockDetectedError("d") for _ in range(3 * UNIQUE_TRIES)))
    assert await trying.run(work) == "done"
