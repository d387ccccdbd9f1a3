"""The collector as a process: its parts put together, and the order in which it ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from math import ceil
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pathline.kit import kafka, lifecycle, logging
from pathline.kit.door import Door, Limits
from pathline.kit.health import Health, health_routes
from services.ingest.codes import Refused, refusal
from services.ingest.collector import Collector, HotRoutes
from services.ingest.document import document
from services.ingest.keyring import Keyring
from services.ingest.lanes import GROUP_BYTES
from services.ingest.metrics import IngestMetrics
from services.ingest.script import Script
from services.ingest.sdk_settings import PATHS, SdkSettings
from services.ingest.settings import IngestSettings
from services.ingest.store import Store

log = logging.get_logger(__name__)

DRAIN_MORE_SECONDS: Final = 3
"""What running requests get to end in beyond the wait for an ack, which all of them wait for."""

WAITING_PART: Final = 8
"""Requests behind others on their connection, which nobody has looked at yet, get such a part of the room beside it."""

TRACE_LENGTH: Final = 64
PATH_LENGTH: Final = 100
"""Characters kept of what a sender chose, in the log."""

_NOT_FOUND: Final = Refused("not_found", "there is no such address")
_NO_METHOD: Final = Refused("method_not_allowed", "the address does not take this method")
_BROKEN: Final = Refused("internal", "something is wrong with Pathline; the log has it")


async def main(stop: asyncio.Event) -> None:
    """Run a collector until `stop`: then it says that it is not ready, takes no more, stores what it took, and ends."""
    settings = IngestSettings.load()
    logging.configure("ingest", settings.log_level)
    topics = kafka.topics(settings.topic_prefix)
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry, topics.touchpoints)
    health = Health(kafka="not connected yet", keys="not read yet")
    make = partial(kafka.make_producer, settings.bootstrap(), client_id="pathline-ingest", max_batch_size=GROUP_BYTES)
    seconds = settings.ack_seconds
    store = Store(make, topics.touchpoints, topics.dead_letters, ack_seconds=seconds, metrics=metrics, health=health)
    keyring = Keyring(metrics, settings.key_room)
    collector, told = Collector(settings, keyring, store, metrics), SdkSettings(keyring, settings.public_collector)
    door = _door(settings, metrics, collector)
    app = create_app(collector, Script(), told, health, registry)
    leave, served = asyncio.Event(), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.run(served))
            tasks.create_task(keyring.keep(settings.dsn(), settings.keys_seconds, health, served))
            tasks.create_task(_leave(stop, leave, health, settings.leave_seconds))
            try:
                await lifecycle.serve(
                    app,
                    settings.collector,
                    stop=leave,
                    drain_seconds=drain_seconds(settings),
                    door=door,
                    proxy_headers=False,
                    shared=settings.collector_shared,
                )
            finally:
                stop.set()
                served.set()
    except* lifecycle.AddressTakenError as taken:
        raise taken.exceptions[0] from None


def _door(settings: IngestSettings, metrics: IngestMetrics, collector: Collector) -> Door:
    limits = Limits(
        settings.connections_max,
        settings.header_bytes_max,
        settings.headers_max,
        settings.request_seconds,
        waiting_bytes_max=settings.bytes_in_flight_max // WAITING_PART,
    )
    door = Door(limits, partial(metrics.answered, "other"), collector.short_cuts())
    metrics.connections.set_function(lambda: len(door.open))
    return door


def drain_seconds(settings: IngestSettings) -> int:
    """How long a stop waits for requests: nobody is told to send again whose ack may still come."""
    return ceil(settings.ack_seconds) + DRAIN_MORE_SECONDS


async def _leave(stop: asyncio.Event, leave: asyncio.Event, health: Health, seconds: float) -> None:
    """Say first that this process is not ready; let go of its address when those who ask had time to hear it."""
    await stop.wait()
    health.set("stopping", "the collector is stopping")
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(seconds)
    leave.set()


def create_app(
    collector: Collector, script: Script, sdk_settings: SdkSettings, health: Health, registry: CollectorRegistry
) -> HotRoutes:
    """Everything a collector answers: the hot routes at once, the others by FastAPI behind them."""
    app = FastAPI(title="Pathline collector", docs_url=None, redoc_url=None)
    app.router.routes.append(Route("/pathline.js", script.get, methods=["GET"]))
    app.router.routes.extend(Route(path, sdk_settings) for path in PATHS)
    app.router.routes.extend(health_routes(health, registry))
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _broken)
    app.openapi = document  # type: ignore[method-assign]
    return HotRoutes(app, collector)


async def _unrouted(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = _NO_METHOD if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else _NOT_FOUND
    return Response(refusal(refused), refused.status, error.headers, "application/json")


async def _broken(request: Request, error: Exception) -> Response:
    # The server logs the traceback, and knows no trace: Starlette raises the error again after the answer.
    trace = request.headers.get("traceparent", "")[:TRACE_LENGTH]
    log.error("a request failed", path=request.url.path[:PATH_LENGTH], error=type(error).__name__, traceparent=trace)
    return Response(refusal(_BROKEN), _BROKEN.status, media_type="application/json")
