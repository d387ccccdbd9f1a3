"""A collector as a process of its own, under attack: each exchange has its deadline, and afterwards all is as before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import psutil
import pytest

from pathline.kit.topics import ensure_topics
from services.ingest.codes import CODES, Refused
from tests.conftest import Stack
from tests.support.collector import add_demo_keys, environment, exchange
from tests.support.hostile import STORED
from tests.support.programs import Program
from tests.support.records import until

ANSWER_SECONDS: Final = 15.0
"""Whatever is sent is answered or cut off in this time."""

_ASK: Final = b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class Got(NamedTuple):
    """An answer taken apart."""

    status: int
    headers: str
    body: Any


def parse(answer: bytes) -> Got:
    """The first answer in these bytes, its body as JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return Got(int(head.split()[1]), head.decode("latin-1").lower(), orjson.loads(body) if body else None)


class Target:
    """The collector."""

    def __init__(self, program: Program, prefix: str) -> None:
        self.program = program
        self.prefix = prefix

    async def exchange(self, *parts: bytes, then: bytes = b"") -> bytes:
        """All that is answered to these bytes, in time; nothing where the line was cut."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await exchange(self.program.address, *parts, then=then)

    async def post(self, body: bytes, path: str = "/v1/track", *headers: str, key: str = "demo") -> Got:
        """The answer to a body."""
        lines = "".join(f"{line}\r\n" for line in headers)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{lines}"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        return parse(await self.exchange(head.encode() + body))

    async def metric(self, line: str) -> float:
        """The value of the line of `/metrics` that begins so."""
        text = (await self.exchange(_ASK % b"/metrics")).decode()
        return float(next(one for one in text.splitlines() if one.startswith(f"{line} ")).rpartition(" ")[2])

    async def unhurt(self) -> None:
        """Wait until it is ready, and holds nothing of what was sent."""

        async def calm() -> bool:
            ready = (await self.exchange(_ASK % b"/health/ready")).startswith(b"HTTP/1.1 200 ")
            return ready and await self.metric("pathline_ingest_bytes_in_flight") == 0

        await until(calm)

    def memory_bytes(self) -> int:
        """What it has of the machine's memory."""
        return int(psutil.Process(self.program.pid).memory_info().rss)


def check(got: Got, code: str) -> None:
    """Fail unless it is the answer for this code, in the shape that SDKs read."""
    if code == STORED:
        assert got.status == 200, got
        assert got.body["success"] is True
        return
    assert got.status == Refused(code, "").status, got
    assert got.status < 500
    assert set(got.body) <= {"success", "code", "message", "rejected"}
    assert got.body["success"] is False
    assert got.body["message"]
    assert got.body["code"] == code
    assert code in CODES
    assert "content-type: application/json" in got.headers


def attacked(
    stack: Stack, database: str, logs: pytest.TempPathFactory, prefix: str, **settings: str
) -> Iterator[Target]:  # fmt: skip
    """One collector for a module's whole list: it must outlive all of it, and its log tells only of itself."""
    program = Program("ingest", {**environment(stack.bootstrap, database, prefix), **settings}, logs.mktemp("logs"))

    async def begin() -> None:
        await ensure_topics(stack.bootstrap, prefix=prefix, partitions=2, replicas=1)
        await add_demo_keys(database)
        await program.start()

    async def end() -> None:
        assert program.running, "bad input ended the collector"
        assert await program.end() == 0

    asyncio.run(begin())
    yield Target(program, prefix)
    asyncio.run(end())
    look_at_log(program.log)


def look_at_log(log: Path) -> None:
    """Every line is one that the collector wrote, and none tells of a fault or repeats what a sender wrote."""
    text = log.read_text(encoding="utf-8")
    for line in text.splitlines():
        told = json.loads(line)
        assert told["service"] == "ingest" and "exception" not in told, line
    for foreign in ("a false line", "HYPERLINK", "DROP TABLE", "onerror", "\u001b", "nobody"):
        assert foreign not in text
