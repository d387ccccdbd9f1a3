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

from pathline.domain.detectors.compiled import Detectors
from services.console.errors import ApiError
from services.console.hub import Hub
from services.console.metrics import ConsoleMetrics
from services.console.sessions import API_NAME, Session, Sessions
from services.console.settings import ConsoleSettings

if TYPE_CHECKING:
    from pathline.storage.connection import Db

DATABASE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
ACQUIRE_SECONDS: Final = 5


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

    async def answers(self) -> str | None:
        """Why it can't be used, or None."""
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS), self.connection() as db:
                await db.execute("SELECT 1")
        except (ApiError, *DATABASE_ERRORS) as error:
            return f"{type(error).__name__}: {error}"[:200]
        return None


class Context(msgspec.Struct, frozen=True):
    """What every request may use."""

    settings: ConsoleSettings
    database: Database
    metrics: ConsoleMetrics
    sessions: Sessions
    hub: Hub
    detectors: Detectors
    stages: tuple[str, ...]
    """Names of the stages, in their order."""
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
