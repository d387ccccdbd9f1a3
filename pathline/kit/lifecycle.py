"""How a process starts, serves and ends: our event loop, our signals, a listening socket we opened ourselves."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import uvicorn
import uvloop

from pathline.kit.door import Door
from pathline.kit.settings import split_address

_SECOND_SIGNAL_STATUS = 130

Main = Callable[[asyncio.Event], Awaitable[None]]


class AddressTakenError(Exception):
    """The address to listen on is not free."""

    def __init__(self, address: str, reason: str) -> None:
        """Name the `address` and the system's `reason`."""
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address


def bind(address: str, *, backlog: int = 2_048, shared: bool = False) -> socket.socket:
    """A socket that listens on `host:port` (port 0: a free one), `shared` with others that say so, too.

    Raises AddressTakenError.
    """
    host, port = split_address(address)
    try:
        family, _kind, _protocol, _name, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Only of a socket that is named TCP does asyncio send a small answer at once (TCP_NODELAY).
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as unknown:
        raise AddressTakenError(address, unknown.strerror or str(unknown)) from unknown
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(where)
        listener.listen(backlog)
        listener.settimeout(0)
    except OSError as taken:
        listener.close()
        raise AddressTakenError(address, taken.strerror or str(taken)) from taken
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers (`run` has them), and with a word once it takes connections."""

    def __init__(self, config: uvicorn.Config, taking: asyncio.Event) -> None:
        super().__init__(config)
        self._taking = taking

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._taking.set()


async def serve(
    app: Callable[..., Any],
    address: str,
    *,
    stop: asyncio.Event,
    drain_seconds: int = 10,
    started: asyncio.Event | None = None,
    door: Door | None = None,
    proxy_headers: bool = True,
    shared: bool = False,
) -> None:
    """Serve the ASGI `app` on `address` in this loop until `stop`, then let running requests end.

    `drain_seconds` bounds that end. `started` is set once connections are taken. `door` has the limits of connections,
    the defaults where none is given. Without `proxy_headers` the peer is who it is, whatever X-Forwarded-For says.
    A `shared` address is that of several processes: the system spreads connections over them.
    Raises AddressTakenError.
    """
    door = door or Door()
    listener = bind(address, shared=shared)
    config = uvicorn.Config(
        app,
        http=door.protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxy_headers,
        date_header=True,
        timeout_graceful_shutdown=drain_seconds,
    )
    server = _Server(config, started or asyncio.Event())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(door.watch())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        server.should_exit = True
        door.leave()
        stopping.cancel()
        watching.cancel()
        listener.close()
        if not serving.done():
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


def run(main: Main) -> None:
    """Run `main(stop)` under uvloop. SIGTERM or SIGINT sets `stop`; a second one ends the process at once.

    Whatever `main` opened it closes itself, in reverse order, with an AsyncExitStack.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(main))


async def _until_signalled(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(_SECOND_SIGNAL_STATUS)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    await main(stop)
