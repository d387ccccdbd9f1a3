"""A visitor's own journey, read from the console's API: what the shop's page shows beside itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

TIMEOUT_SECONDS: Final = 3.0
CONNECTIONS_MAX: Final = 16
TOUCHPOINTS_MAX: Final = 1_000
"""Read of a journey; the API gives no more at a time."""
SHOWN_MAX: Final = 60
"""Touchpoints shown, the newest."""
ALERTS_MAX: Final = 20
CREDENTIAL_FILE: Final = "api-token"


class UnavailableError(Exception):
    """The console does not answer."""


class Journey(msgspec.Struct):
    """What the page shows: all of it as the API says it. Nobody is known yet where `customer` is None."""

    customer: dict[str, Any] | None = None
    touchpoints: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Newest first."""
    alerts: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Journeys:
    """Reads journeys of one console. Close it at the end."""

    def __init__(self, console: str, home: Path, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Ask the console at `console` (host:port) with the token kept under `home`."""
        self._home = home
        self._client = httpx.AsyncClient(
            base_url=f"http://{console}/api/v1",
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def token(self) -> str:
        """The console's. Raises UnavailableError while there is none."""
        try:
            return (self._home / CREDENTIAL_FILE).read_text(encoding="utf-8").strip()
        except OSError as problem:
            raise UnavailableError(type(problem).__name__) from problem

    async def of(self, anonymous_id: str) -> Journey:
        """The journey of the customer met under that anonymous id. Raises UnavailableError."""
        customer = await self._get("/customers/lookup", kind="anonymous_id", value=anonymous_id)
        if customer is None:
            return Journey()
        told = await self._get(f"/customers/{customer['id']}/touchpoints", limit=TOUCHPOINTS_MAX) or {}
        raised = await self._get("/alerts", customer=customer["id"], limit=ALERTS_MAX) or {}
        newest = list(reversed(told.get("items", [])))[:SHOWN_MAX]
        return Journey(customer, newest, raised.get("items", []))

    async def _get(self, path: str, **query: str | int) -> dict[str, Any] | None:
        """The answer, or None for a 404."""
        token = self.token()
        try:
            answer = await self._client.get(path, params=query, headers={"authorization": f"Bearer {token}"})
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            found: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
        except (httpx.HTTPError, msgspec.DecodeError) as problem:
            raise UnavailableError(type(problem).__name__) from problem
        return found
