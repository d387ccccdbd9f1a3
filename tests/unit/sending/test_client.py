from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from pathline.sending.client import (
    PAUSE_MOST_SECONDS,
    RETRY_AFTER_MOST_SECONDS,
    Collector,
    Refusal,
    RefusedError,
    UnreachableError,
)

Answer = Callable[[httpx.Request], httpx.Response]
CALLS = [b'{"messageId":"%d"}' % n for n in range(4)]


class Far:
    """A collector that answers by a list, then says yes."""

    def __init__(self, *answers: httpx.Response | Exception | Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.told: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.answers.pop(0) if self.answers else httpx.Response(200, json={"success": True})
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, httpx.Response) else given(request)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def client(self, patience: float | None = None) -> Collector:
        return Collector(
            "http://far",
            patience_seconds=patience,
            on_retry=lambda why, _seconds: self.told.append(why),
            transport=httpx.MockTransport(self.answer),
            sleep=self.sleep,
        )

    async def send(self, calls: Sequence[bytes] = CALLS, patience: float | None = None) -> list[Refusal]:
        async with self.client(patience) as collector:
            return await collector.send("key", calls, historical=True)

    def batch(self, number: int) -> Any:
        return json.loads(self.asked[number].content)


def refused(status: int, code: str, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"success": False, "code": code, "message": "no", **more})


async def test_a_batch_is_one_request() -> None:
    far = Far()
    assert await far.send() == []
    assert far.asked[0].url.path == "/v1/batch"
    assert far.asked[0].headers["authorization"] == f"Basic {base64.b64encode(b'key:').decode()}"
    assert far.batch(0) == {"historical": True, "batch": [{"messageId": str(n)} for n in range(4)]}
    assert await far.send([]) == [] and len(far.asked) == 1


async def test_what_says_nothing_about_the_batch_is_tried_again() -> None:
    far = Far(httpx.ConnectError("no"), refused(503, "unavailable"), httpx.Response(429, headers={"retry-after": "7"}))
    assert await far.send() == []
    assert len(far.asked) == 4 and far.batch(0) == far.batch(3)
    assert far.told[0] == "the collector does not answer (ConnectError)"
    assert far.pauses[2] == 7 and far.pauses[0] < far.pauses[1]


@pytest.mark.parametrize("said", ["soon", "nan", "", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_retry_after_without_a_number_is_nothing(said: str) -> None:
    far = Far(httpx.Response(503, headers={"retry-after": said}))
    await far.send()
    assert 0 < far.pauses[0] < 1


async def test_pauses_are_bounded() -> None:
    far = Far(*[httpx.Response(503)] * 20, httpx.Response(503, headers={"retry-after": "1e9"}))
    await far.send()
    assert max(far.pauses[:20]) <= PAUSE_MOST_SECONDS * 1.25
    assert far.pauses[20] == RETRY_AFTER_MOST_SECONDS


async def test_patience_ends() -> None:
    far = Far(*[httpx.Response(503)] * 100)
    with pytest.raises(UnreachableError, match="answers 503"):
        await far.send(patience=3)
    assert sum(far.pauses) <= 3


@pytest.mark.parametrize("status", [200, 400])
async def test_refused_items_are_told(status: int) -> None:
    items = [{"index": 2, "code": "no_subject", "message": "who?"}]
    far = Far(httpx.Response(status, json={"success": status == 200, "code": "x", "message": "", "rejected": items}))
    assert await far.send() == [Refusal(2, "no_subject", "who?")]


async def test_a_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    def small_only(request: httpx.Request) -> httpx.Response:
        batch = json.loads(request.content)["batch"]
        return refused(413, "too_large") if {"messageId": "2"} in batch else httpx.Response(200, json={"success": True})

    far = Far(*[small_only] * 20)
    assert await far.send() == [Refusal(2, "too_large", "no")]
    assert [len(far.batch(n)["batch"]) for n in range(5)] == [4, 2, 2, 1, 1]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_key_is_an_error(status: int) -> None:
    with pytest.raises(RefusedError, match="unknown_key") as caught:
        await Far(refused(status, "unknown_key")).send()
    assert caught.value.code == "unknown_key" and caught.value.status == status


@pytest.mark.parametrize(("base", "reads"), [("http://far", 0), ("https://far", 1), ("HTTPS://far", 1)])
async def test_certificates_are_read_where_they_are_looked_at(
    base: str, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    loaded = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(
        ssl.SSLContext, "load_verify_locations", lambda self, *given, **more: read.append(loaded(self, *given, **more))
    )
    async with Collector(base) as collector:
        mounted: Any = collector._client._transport
        assert mounted._pool._ssl_context.verify_mode == (ssl.CERT_REQUIRED if reads else ssl.CERT_NONE)
    assert len(read) == reads


async def test_an_answer_of_something_else_is_told() -> None:
    with pytest.raises(RefusedError, match="unreadable_answer"):
        await Far(httpx.Response(302, text="<html>")).send()
