"""The singletons of a console process, and the database as requests borrow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from starlette.requests import Request

from pathline.consuming.patience import pause
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.stages import Stages
from pathline.kit.database import close_pool, create_pool
from pathline.kit.health import Health
from services.console.errors import ApiError
from services.console.hub import Hub
from services.console.metrics import ConsoleMetrics
from services.console.sessions import API_NAME, Session, Sessions
from services.console.settings import ConsoleSettings

if TYPE_CHECKING:
    from pathline.storage.connection import Db

DATABASE_ERRORS: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What the database, or the way to it, is met with while it is away or has no room; it passes by itself."""

ACQUIRE_SECONDS: Final = 5
MAX_REASON: Final = 200
"""Characters of why a process is not ready."""
CHECK_SECONDS: Final = 1.0
"""How often the database is asked whether it is there."""


class Database:
    """The pool, once it is there. Until then, and while PostgreSQL is away, requests are told to come again."""

    def __init__(self) -> None:
        """Without a pool."""
        self.pool: asyncpg.Pool[Any] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Db]:
        """A connection. Raises ApiError `unavailable`."""
        if self.pool is None:
            code = "unavailable"
            raise ApiError(code, "the database is not connected yet")
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as db:
            yield db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Db]:
        """A connection inside a transaction, committed at the end."""
        async with self.connection() as db, db.transaction():
            yield db

    async def keep(self, dsn: str, connections: int, health: Health, stop: asyncio.Event) -> None:
        """Connect, however long that takes, and tell `health` whether it answers, until `stop`."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(ACQUIRE_SECONDS):
                    if self.pool is None:
                        self.pool = await create_pool(dsn, max_size=connections, application_name="pathline console")
                    async with self.connection() as db:
                        await db.execute("SELECT 1")
            except (asyncpg.PostgresError, *DATABASE_ERRORS) as error:
                health.set("database", f"{type(error).__name__}: {error}"[:MAX_REASON])
            else:
                health.set("database", None)
            await pause(stop, CHECK_SECONDS)

    def cut(self) -> None:
        """Close the connections as they are, whatever they wait for."""
        if self.pool is not None:
            self.pool.terminate()

    async def close(self, seconds: float) -> None:
        """Give the connections back, those in use after at most `seconds`."""
        if self.pool is not None:
            await close_pool(self.pool, seconds)


class Context(msgspec.Struct, frozen=True):
    """What every request may use."""

    settings: ConsoleSettings
    database: Database
    metrics: ConsoleMetrics
    sessions: Sessions
    hub: Hub
    detectors: Detectors
    stages: Stages
    api_token: str
    wall_seconds: Callable[[], float]
    """Unix time, for sessions; alerts go by the database's clock."""

    @property
    def zone(self) -> ZoneInfo:
        """Where a day without a zone ends."""
        return ZoneInfo(self.settings.zone)

    def advice(self, detector: str) -> str | None:
        """What a detector says to do next."""
        file = self.detectors.files.get(detector)
        return None if file is None else file.advice


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a person with a session, or a program with the token (`session` None)."""

    name: str = API_NAME
    session: Session | None = None


def context_of(request: Request) -> Context:
    """The process's singletons."""
    context: Context = request.app.state.context
    return context


def caller_of(request: Request) -> Caller:
    """Who asks; the gate has let them in."""
    caller: Caller = request.scope["pathline.caller"]
    return caller
