"""A console's application without a database: what the gate, sessions and routes do by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.routing import BaseRoute

from pathline.kit.health import Health
from services.console.app import create_app, make_context
from services.console.context import Context
from services.console.metrics import ConsoleMetrics
from services.console.sessions import Session
from services.console.settings import ConsoleSettings

TOKEN = "a-token-for-tests-only"
ANY_ID = "00000000-0000-4000-8000-000000000000"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class Guarded:
    """An application and what belongs to it."""

    def __init__(self, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        given = ConsoleSettings(api_token=SecretStr(TOKEN), **settings)
        self.context: Context = make_context(given, ConsoleMetrics(self.registry, ("alerts", "journeys")))
        self.app = create_app(self.context, Health(), self.registry)

    def client(self) -> httpx.AsyncClient:
        """A client that follows no redirect and has no credentials."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://console")

    def cookie(self, session: Session) -> dict[str, str]:
        """The header of a browser with this session."""
        sessions = self.context.sessions
        return {"cookie": f"{sessions.cookie}={sessions.seal(session)}"}

    def _routes(self) -> Sequence[BaseRoute]:
        inside = self.app.app
        assert isinstance(inside, FastAPI)
        return inside.routes

    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) the application answers, with an id where the path takes one."""
        return [(method, _filled(path)) for method, path in self.templates()]

    def templates(self) -> list[tuple[str, str]]:
        """Every (method, path) the application answers, as the routes are written."""
        return sorted(
            (method, str(one.path))
            for one in iter_route_contexts(self._routes())
            for method in METHODS & set(one.methods or ())
        )


def _filled(path: str) -> str:
    return "/".join(ANY_ID if part.startswith("{") else part for part in path.split("/"))
