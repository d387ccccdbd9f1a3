"""The console as a process: its routes put together, what runs beside them, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pathline.contracts import stage_files
from pathline.contracts.detector_folder import Folder
from pathline.kit import draining, kafka, lifecycle, logging
from pathline.kit.door import KIBIBYTE, Door, Limits
from pathline.kit.health import Health, health_routes
from services.console.api import router as api_router
from services.console.context import DATABASE_ERRORS, Context, Database
from services.console.errors import ApiError
from services.console.gate import API, Gate
from services.console.hub import Hub
from services.console.maps import Maps
from services.console.metrics import ConsoleMetrics
from services.console.pages.routes import error_page, static_app
from services.console.pages.routes import router as pages_router
from services.console.reader import Reader
from services.console.sessions import Sessions
from services.console.settings import ConsoleSettings

log = logging.get_logger(__name__)

HEADER_BYTES_MAX: Final = 64 * KIBIBYTE
"""Of a request's line and headers: the id that a stream resumes from names every partition."""

OTHER_CONNECTIONS_MAX: Final = 1_000
"""Open connections besides those of live streams."""

REQUESTS_SECONDS: Final = 6
"""How long requests under way may take at the end."""

DRAIN_SECONDS: Final = 8
"""How long all of it may take, where the database or Kafka does not answer; then connections are cut."""

CLOSE_SECONDS: Final = 5
"""How long connections to the database are waited for at the end."""

_SAID: Final = {
    HTTPStatus.NOT_FOUND: ("not_found", "there is no such address"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "the address does not take this method"),
}


async def main(stop: asyncio.Event) -> None:
    """Run a console until `stop`."""
    settings = ConsoleSettings.load()
    logging.configure("console", settings.log_level)
    dsn, bootstrap = settings.dsn(), settings.bootstrap()
    topics = kafka.topics(settings.topic_prefix)
    registry = CollectorRegistry()
    health = Health(database="not connected yet", kafka="nothing is read yet")
    context = make_context(settings, ConsoleMetrics(registry, (topics.alerts, topics.journeys)))
    reader = Reader(bootstrap, topics, context.database, context.hub, context.metrics, health)
    work = _together(
        stop,
        lifecycle.serve(
            create_app(context, health, registry),
            settings.console,
            stop=stop,
            drain_seconds=REQUESTS_SECONDS,
            door=Door(Limits(settings.console_streams + OTHER_CONNECTIONS_MAX, HEADER_BYTES_MAX)),
        ),
        context.database.keep(dsn, settings.console_connections, health, stop),
        reader.run(stop),
        _end_streams(context.hub, stop),
    )
    try:
        await draining.drain(work, stop, seconds=DRAIN_SECONDS, cut=context.database.cut)
    finally:
        await context.database.close(CLOSE_SECONDS)


def make_context(settings: ConsoleSettings, metrics: ConsoleMetrics) -> Context:
    """The singletons of a process.

    Raises:
        NoTokenError: no API token is known.
        StageError: the stage file cannot be used.
        OSError: one of them cannot be read.
    """
    token = settings.token()
    return Context(
        settings=settings,
        database=Database(),
        metrics=metrics,
        sessions=Sessions(token, seconds=settings.console_session_hours * 3_600, https=settings.https),
        hub=Hub(
            metrics,
            streams=settings.console_streams,
            queue=settings.console_stream_queue,
            memory=settings.console_stream_memory,
        ),
        detectors=Folder(settings.detectors, region=settings.holidays).load().detectors,
        stages=stage_files.load(settings.stages),
        api_token=token,
        wall_seconds=time.time,
    )


def create_app(context: Context, health: Health, registry: CollectorRegistry) -> Gate:
    """Everything a console answers, behind the gate."""
    app = FastAPI(title="Pathline", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.context = context
    app.state.maps = Maps()
    app.include_router(api_router)
    app.include_router(pages_router, include_in_schema=False)
    app.mount("/static", static_app, name="static")
    app.router.routes.extend(health_routes(health, registry))
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _away)
    app.add_exception_handler(Exception, _broken)
    return Gate(app, context)


def _said(request: Request, error: ApiError) -> Response:
    """The error as the asker reads it: JSON for a program, a page for a person."""
    if request.url.path.startswith(API):
        return error.response()
    return error_page(request, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _said(request, error)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _SAID.get(HTTPStatus(error.status_code), ("bad_parameter", str(error.detail)))
    return _said(request, ApiError(code, message))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    return _said(request, ApiError("bad_parameter", said))


async def _away(request: Request, error: Exception) -> Response:
    log.warning("the database cannot be reached", error=type(error).__name__)
    return _said(request, ApiError("unavailable", "the database cannot be reached now; try again"))


async def _broken(request: Request, _error: Exception) -> Response:
    # The server logs the traceback: Starlette raises the error again after the answer.
    return _said(request, ApiError("internal", "something is wrong with Pathline; the log has it"))


async def _end_streams(hub: Hub, stop: asyncio.Event) -> None:
    """End the streams when the process is told to stop; the server would wait for them."""
    await stop.wait()
    hub.close()


async def _together(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run these until `stop`. When one ends the others are told to stop, and its error is raised as it is."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        task.result()
