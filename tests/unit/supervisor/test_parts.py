"""How a service is reached and asked, and what may be shown of an address."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pathline.embedded import ports
from pathline.kit.settings import join_address
from pathline.supervisor import parts
from pathline.supervisor.parts import ServicePart, loopback_of, probe_postgres, probe_service, without_password


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.7", "10.0.0.7"), ("here", "here")],
)
def test_a_server_on_every_address_is_asked_on_loopback(host: str, reached: str) -> None:
    assert loopback_of(host) == reached


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://:p%40ss@db/x", "postgresql://:***@db/x"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.fixture
async def answering(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, body = request.param
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield join_address(*server.sockets[0].getsockname()[:2])


@pytest.mark.parametrize(
    ("answering", "reason"),
    [
        ((200, '{"ready":true,"reasons":{}}'), None),
        ((503, '{"ready":false,"reasons":{"kafka":"away"}}'), "kafka: away"),
        ((503, "{}"), "HTTP 503"),
        ((503, "[]"), "answers something else than health"),
        ((404, "<html>"), "answers something else than health"),
    ],
    indirect=["answering"],
)
async def test_what_health_says(answering: str, reason: str | None) -> None:
    assert await probe_service(answering) == reason


async def test_nobody_there() -> None:
    nowhere = f"127.0.0.1:{ports.free_port()}"
    assert await probe_service(nowhere) == "does not answer"
    assert await probe_postgres(f"postgresql://me@{nowhere}/x")


async def test_a_server_of_somebody_else_is_watched_and_its_changes_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, None, "away", "away", None])
    seen: list[str] = []

    async def probe(_url: str) -> str | None:
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr(parts, "probe_postgres", probe)
    monkeypatch.setattr(parts, "WATCH_SECONDS", 0)
    part = parts.RemotePart("postgres", "postgresql://me:s3cret@db/x")
    assert not part.ready
    with pytest.raises(asyncio.CancelledError):
        await part.watch(seen.append)
    assert seen == [
        "postgres: ready on postgresql://me:***@db/x",
        "postgres: postgresql://me:***@db/x cannot be used: away",
        "postgres: ready on postgresql://me:***@db/x",
    ]
    assert part.state().state == "ready"


@pytest.mark.parametrize(("said", "given"), [(None, "0"), ("3", "3")])
def test_a_service_waits_for_no_balancer_at_its_end_unless_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None, given: str
) -> None:
    monkeypatch.delenv("PATHLINE_LEAVE_SECONDS", raising=False)
    if said is not None:
        monkeypatch.setenv("PATHLINE_LEAVE_SECONDS", said)
    part = ServicePart("ingest", address="127.0.0.1:1", variable="PATHLINE_COLLECTOR", home=tmp_path, env={"A": "b"})
    assert part.launch().env == {"PATHLINE_LEAVE_SECONDS": given, "A": "b"}
