"""The door: what the HTTP parser leaves unbounded. Headers, half-sent requests and connections have limits here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from pathline.kit.connection import BoundedProtocol
from pathline.kit.exchange import Header, Reply, ShortCuts, encoded
from pathline.kit.refusal import TOO_SLOW

KIBIBYTE: Final = 1_024
MEBIBYTE: Final = 1_048_576

LOOKS_PER_LIMIT: Final = 8
"""How often within the time that a request has, the door looks for those that took it all."""

PIPELINED_MAX: Final = 100
"""Requests that are read before the one in front of them is answered; a line on which more wait ends behind them."""


class Limits(NamedTuple):
    """What a server takes. The defaults are for one that people and probes ask."""

    connections_max: int = 500
    """Open connections."""
    header_bytes_max: int = 16 * KIBIBYTE
    """Bytes of a request's line and headers."""
    headers_max: int = 100
    """Headers of a request."""
    request_seconds: float = 10.0
    """From a request's first byte, or from the connection's beginning, to its last byte."""
    pipelined_max: int = PIPELINED_MAX
    """Requests that wait behind one without an answer, on one connection."""
    idle_seconds: float = 20.0
    """From an answer to the next request, at least: it is looked at as often as the time of a request."""
    waiting_bytes_max: int = 8 * MEBIBYTE
    """Memory of the requests that wait behind one without an answer, on all connections together. The app does not
    know of them yet, so it cannot count them."""


def _count_nothing(_status: HTTPStatus, _code: str) -> None:
    pass


class Door:
    """The limits, and the connections that are held to them."""

    def __init__(
        self,
        limits: Limits | None = None,
        on_refusal: Callable[[HTTPStatus, str], None] = _count_nothing,
        short_cuts: ShortCuts | None = None,
    ) -> None:
        """Hold connections to `limits`; `on_refusal` hears status and code of each that is turned away with an answer.

        A POST to a path of `short_cuts` is answered there, and not by the ASGI app, where all of it comes at once.
        """
        self.limits = limits or Limits()
        self.on_refusal = on_refusal
        self.short_cuts: ShortCuts = short_cuts or {}
        self.open: set[BoundedProtocol] = set()
        self.waiting_bytes = 0
        self._usual: tuple[Reply, list[Header], bytes] | None = None

    def protocol(self, *args: Any, **more: Any) -> BoundedProtocol:
        """One connection, as uvicorn makes it."""
        return BoundedProtocol(*args, door=self, **more)

    def hold(self, count: int) -> bool:
        """Hold so many bytes more of requests that wait behind others, if that may be."""
        if self.waiting_bytes + count > self.limits.waiting_bytes_max:
            return False
        self.waiting_bytes += count
        return True

    def encoded(self, reply: Reply, dated: list[Header]) -> bytes:
        """The bytes of a reply that ends no connection. Nearly all are one and the same, encoded once a second."""
        usual = self._usual
        if usual is not None and usual[0] is reply and usual[1] is dated:
            return usual[2]
        whole = encoded(reply, dated, keep_alive=True)
        self._usual = reply, dated, whole
        return whole

    def leave(self) -> None:
        """The time to answer is over: who still waits on a short cut gets the answer that there is for that."""
        for connection in tuple(self.open):
            connection.leave()

    async def watch(self) -> None:
        """Look at all connections every so often, until cancelled.

        Turned away or closed are those whose request does not come to its end, who take no answer, or who ask nothing.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.request_seconds / LOOKS_PER_LIMIT)
            now = loop.time()
            before = now - self.limits.request_seconds
            for connection in tuple(self.open):
                if connection.is_late(before):
                    connection.turn_away(TOO_SLOW)
                elif connection.is_unread(now, before):
                    connection.transport.abort()
                elif connection.idle_since is not None and connection.idle_since < now - self.limits.idle_seconds:
                    connection.transport.close()
