"""A process serves until it is told to stop, lets running requests end, and says who has its port."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pathline.embedded.ports import free_port
from pathline.kit import lifecycle
from pathline.kit.health import Health, health_routes

WAITING = """
import asyncio, sys
from pathline.kit import lifecycle
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("draining", flush=True)
    if len(sys.argv) > 1:
        await asyncio.sleep(60)
lifecycle.run(main)
"""


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., object]]:
    """Serve an app on a free address; ended with the test."""
    stop = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def start(app: Starlette) -> tuple[str, asyncio.Event, asyncio.Task[None]]:
        address = f"127.0.0.1:{free_port()}"
        started = asyncio.Event()
        tasks.append(asyncio.create_task(lifecycle.serve(app, address, stop=stop, started=started)))
        await asyncio.wait_for(started.wait(), 10)
        return f"http://{address}", stop, tasks[-1]

    yield start
    stop.set()
    await asyncio.gather(*tasks)


async def test_health_says_why_not_and_then_that_it_is(serving: Callable[..., object]) -> None:
    health = Health(kafka="connecting")
    base, _stop, _task = await serving(Starlette(routes=health_routes(health, CollectorRegistry())))  # type: ignore[misc]
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        assert (await client.get("/health/live")).status_code == 200
        waiting = await client.get("/health/ready")
        assert waiting.status_code == 503
        assert waiting.json() == {"ready": False, "reasons": {"kafka": "connecting"}}
        health.set("kafka", None)
        assert (await client.get("/health/ready")).json() == {"ready": True, "reasons": {}}
        metrics = await client.get("/metrics")
        assert metrics.status_code == 200 and metrics.headers["content-type"].startswith("text/plain")


async def test_a_running_request_ends_before_the_process_does(serving: Callable[..., object]) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> PlainTextResponse:
        entered.set()
        await go_on.wait()
        return PlainTextResponse("done")

    base, stop, task = await serving(Starlette(routes=[Route("/", slow)]))  # type: ignore[misc]
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        asked = asyncio.create_task(client.get("/"))
        await asyncio.wait_for(entered.wait(), 10)
        stop.set()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        assert (await asked).text == "done"
    await asyncio.wait_for(asyncio.shield(task), 10)


def test_a_taken_address_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(lifecycle.AddressTakenError, match=address):
            lifecycle.bind(address)
    with pytest.raises(lifecycle.AddressTakenError, match=r"nowhere\.invalid:80"):
        lifecycle.bind("nowhere.invalid:80")


def test_an_address_is_shared_only_by_those_who_say_so() -> None:
    with lifecycle.bind("127.0.0.1:0", shared=True) as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with lifecycle.bind(address, shared=True) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(lifecycle.AddressTakenError):
            lifecycle.bind(address)


@pytest.mark.parametrize(("arguments", "signals", "status"), [([], 1, 0), (["slow"], 2, 130)])
def test_one_signal_drains_and_a_second_ends_at_once(arguments: list[str], signals: int, status: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.stdout.readline() == b"draining\n"
        if signals > 1:
            process.terminate()
        assert process.wait(10) == status
