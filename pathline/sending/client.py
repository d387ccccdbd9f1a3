"""A client of the collector: batches, tried again until they are acked or refused. Nothing is dropped in silence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

TIMEOUT_SECONDS: Final = 30.0
PAUSE_LEAST_SECONDS: Final = 0.25
PAUSE_MOST_SECONDS: Final = 15.0
RETRY_AFTER_MOST_SECONDS: Final = 120.0
"""No server makes us wait for longer than this at a time."""

AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that say nothing about the batch: it is sent again."""

TOO_LARGE: Final = 413
BAD: Final = 400


class Refusal(msgspec.Struct, frozen=True):
    """An item that the collector will not take."""

    index: int
    code: str
    message: str


class _Answer(msgspec.Struct):
    success: bool = False
    code: str = "unknown"
    message: str = ""
    rejected: list[Refusal] | None = None


class RefusedError(Exception):
    """The collector refuses everything: the key is unknown, revoked, or may not send this."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Give the answer's own words."""
        super().__init__(f"the collector answers {status} {code}: {message}")
        self.status = status
        self.code = code


class UnreachableError(Exception):
    """The collector did not take a batch in the time that was given."""


_answer: Final = msgspec.json.Decoder(_Answer)


class Collector:
    """Sends batches to one collector. Use it as a context manager."""

    def __init__(
        self,
        base: str,
        *,
        patience_seconds: float | None = None,
        on_retry: Callable[[str, float], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """Speak to the collector at `base`, `http://host:port`.

        Args:
            base: its address.
            patience_seconds: how long one batch is tried again, at most; None: for ever.
            on_retry: is told why a batch is sent again, and the pause before it in seconds.
            transport: in place of the network.
            sleep: how to pause.
        """
        self._client = httpx.AsyncClient(
            base_url=base,
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            # The certificates of the world take longer to read than some files of history; plain HTTP asks for none.
            verify=not base.startswith("http://"),
        )
        self._patience = patience_seconds
        self._on_retry = on_retry
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, key: str, calls: Sequence[bytes], *, historical: bool = False) -> list[Refusal]:
        """Send calls, each a JSON object, and wait until all are acked or refused; returns those refused, in order.

        Raises:
            RefusedError: the key or the whole request is refused.
            UnreachableError: patience ran out; some may have been stored.
        """
        if not calls:
            return []
        head = b'{"historical":true,"batch":[' if historical else b'{"batch":['
        status, answer = await self._post(key, head + b",".join(calls) + b"]}")
        if status == httpx.codes.OK:
            return answer.rejected or []
        if status == BAD and answer.rejected:
            return answer.rejected
        if status in {BAD, TOO_LARGE}:
            return await self._halves(key, calls, answer, historical=historical)
        raise RefusedError(status, answer.code, answer.message)

    async def _halves(
        self, key: str, calls: Sequence[bytes], answer: _Answer, *, historical: bool
    ) -> list[Refusal]:  # fmt: skip
        """A batch was refused as a whole: find the calls that it was refused for."""
        if len(calls) == 1:
            return [Refusal(0, answer.code, answer.message)]
        middle = len(calls) // 2
        first = await self.send(key, calls[:middle], historical=historical)
        second = await self.send(key, calls[middle:], historical=historical)
        return [*first, *(msgspec.structs.replace(one, index=one.index + middle) for one in second)]

    async def _post(self, key: str, body: bytes) -> tuple[int, _Answer]:
        pause, waited = PAUSE_LEAST_SECONDS, 0.0
        while True:
            asked: float | None = None
            try:
                got = await self._client.post(
                    "/v1/batch", content=body, auth=(key, ""), headers={"content-type": "application/json"}
                )
            except httpx.TransportError as problem:
                why = f"the collector does not answer ({type(problem).__name__})"
            else:
                if got.status_code not in AGAIN:
                    return got.status_code, _read(got.content)
                why = f"the collector answers {got.status_code}"
                asked = _retry_after(got.headers.get("retry-after"))
            wait = asked if asked is not None else pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries
            if self._patience is not None and waited + wait > self._patience:
                raise UnreachableError(why)
            if self._on_retry is not None:
                self._on_retry(why, wait)
            await self._sleep(wait)
            waited += wait
            pause = min(pause * 2, PAUSE_MOST_SECONDS)


def _read(content: bytes) -> _Answer:
    try:
        return _answer.decode(content)
    except msgspec.DecodeError:
        return _Answer(code="unreadable_answer", message="the answer is no JSON of a collector")


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, as the server says; a date is not understood and counts as nothing."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MOST_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - NaN
