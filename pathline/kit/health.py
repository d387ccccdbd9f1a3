"""Is this process able to work, and if not, why: `/health/live`, `/health/ready`, `/metrics`."""

from collections.abc import Mapping
from types import MappingProxyType

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Health:
    """The reasons, by key, why this process is not ready; ready when there are none.

    A part that must come up first says so before it does: `health.set("kafka", "connecting")`, and later
    `health.set("kafka", None)`.
    """

    def __init__(self, **reasons: str) -> None:
        """Start with `reasons`, so that nothing is ready before its parts have said so."""
        self._reasons: dict[str, str] = dict(reasons)

    def set(self, key: str, reason: str | None) -> None:
        """Give the reason `key` stands in the way, or None when it no longer does."""
        if reason is None:
            self._reasons.pop(key, None)
        else:
            self._reasons[key] = reason

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self._reasons

    @property
    def reasons(self) -> Mapping[str, str]:
        """What stands in the way, by key."""
        return MappingProxyType(self._reasons)


def health_routes(health: Health, registry: CollectorRegistry) -> list[Route]:
    """`/health/live` (200 while the loop turns), `/health/ready` (200, or 503 with the reasons), `/metrics`."""

    async def live(_request: Request) -> Response:
        return _json({"live": True}, 200)

    async def ready(_request: Request) -> Response:
        body = {"ready": health.ready, "reasons": dict(health.reasons)}
        return _json(body, 200 if health.ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return [
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def _json(body: Mapping[str, object], status: int) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
