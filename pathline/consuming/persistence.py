"""Database work that is tried until it is done, whatever the database goes through meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger

if TYPE_CHECKING:
    from prometheus_client import Counter

    from pathline.kit.health import Health

log = get_logger(__name__)

RETRY_LEAST_SECONDS: Final = 0.05
RETRY_MOST_SECONDS: Final = 3.0

LOCK_WAIT_MS: Final = 4_000
"""How long a consumer's transaction waits for a row. Who sleeps with it locked is found by whoever takes the partitions
over, and that must not wait long behind a batch: a sleeper's session, this, and a second for taking are under 15 s."""

CONFLICTS: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.UniqueViolationError,
)
"""Another process was in the way: the same work will do on the next try."""

UNIQUE_TRIES: Final = 5
"""How often work is tried that meets rows which are there already: then no peer is in the way, the work is wrong."""

REFUSALS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""The database will never take this, unless it is one of CONFLICTS and was not tried UNIQUE_TRIES times."""

T = TypeVar("T")


class Persistence:
    """Runs database work, with jitter between the tries."""

    def __init__(self, health: Health, failures: Counter, part: str = "database") -> None:
        """Say to `health`, as the reason `part`, while it fails, and count in `failures` by reason."""
        self._health = health
        self._failures = failures
        self._part = part

    async def run(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work(*args)`, which opens its own transaction, until it is done.

        Raises:
            asyncpg.PostgresError: one of REFUSALS; no use in trying again.
        """
        pause = RETRY_LEAST_SECONDS
        violations = 0
        while True:
            try:
                result = await work(*args)
            except DATABASE_ERRORS as error:
                if _is_cancelled():
                    # The rollback met an error, which came out in the place of the cancellation.
                    raise asyncio.CancelledError from error
                conflict = isinstance(error, CONFLICTS)
                if isinstance(error, REFUSALS) and not conflict:
                    raise
                self._failures.labels("conflict" if conflict else "database").inc()
                if isinstance(error, asyncpg.UniqueViolationError):
                    violations += 1
                    if violations == UNIQUE_TRIES:
                        log.warning("rows are there already, however often it is tried", table=error.table_name)
                        raise
                if isinstance(error, asyncpg.LockNotAvailableError):
                    log.warning("rows are locked by another transaction, trying again", seconds=pause)
                if not conflict:
                    self._health.set(self._part, f"{type(error).__name__}: {error}"[:200])
                    log.warning("database failed, trying again", error=type(error).__name__, seconds=pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, RETRY_MOST_SECONDS)
            else:
                self._health.set(self._part, None)
                return result


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
