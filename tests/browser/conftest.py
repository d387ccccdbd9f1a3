"""A whole console for a real browser: stitcher, scorer and console as processes over the tests' Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from pathline.embedded.ports import free_port
from pathline.kit import kafka, signin
from pathline.kit.topics import ensure_topics
from tests.conftest import Stack
from tests.support.chromium import chromium
from tests.support.records import produce, record

ROOT = Path(__file__).parents[2]
START_SECONDS = 100
"""With every processor busy with other tests."""
STOP_SECONDS = 15
EXPECT_MS = 15_000
expect.set_options(timeout=EXPECT_MS)


@dataclass
class Site:
    """The running services, and how a test speaks to them."""

    stack: Stack
    dsn: str
    topics: kafka.Topics
    console: str
    token: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.console}"

    def link(self, name: str | None = None) -> str:
        """A sign-in link, for a person of that name."""
        link = signin.link(self.console, self.token, now_seconds=time.time())
        return link if name is None else f"{link}&name={name}"

    async def send(self, call: dict[str, Any], *, at: datetime | None = None, **envelope: Any) -> str:
        """One touchpoint into the log; answers its message id."""
        message_id = uuid.uuid4().hex
        value = record(call, message_id=message_id, at=at, **envelope)
        await produce(self.stack.bootstrap, self.topics.touchpoints, [value])
        return message_id

    async def send_all(self, values: list[bytes]) -> None:
        """Records as they are."""
        await produce(self.stack.bootstrap, self.topics.touchpoints, values)

    async def query(self, statement: str, *args: Any) -> Any:
        """One value of the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(statement, *args)
        finally:
            await connection.close()

    def api(self, path: str, body: dict[str, Any] | None = None, *, actor: str = "api") -> Any:
        """Ask the API, as a program that acts for somebody."""
        headers = {"authorization": f"Bearer {self.token}", "pathline-actor": actor}
        method = "GET" if body is None else "POST"
        answer = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, json=body, timeout=10)
        return answer.raise_for_status().json()

    def metrics(self) -> str:
        """What the console measures."""
        return httpx.get(f"{self.url}/metrics", timeout=10).text

    async def alert(self, entity: str) -> dict[str, Any]:
        """The newest alert about a thing, once there is one."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                listed = await asyncio.to_thread(self.api, "/alerts?limit=1000")
                found: list[dict[str, Any]] = [one for one in listed["items"] if one["entity"]["value"] == entity]
                if found:
                    return found[0]
                await asyncio.sleep(0.05)


def _wait_ready(name: str, address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"http://{address}/health/ready", timeout=2).raise_for_status()
        except httpx.HTTPError as error:
            said = f"{name}: {error}\n{log.read_text(encoding='utf-8')[-3_000:]}"
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def site(stack: Stack, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Stitcher, scorer and console, once a run, over a database and topics of their own."""
    name, prefix = f"browser_{uuid.uuid4().hex[:8]}", f"b{uuid.uuid4().hex[:12]}"

    async def prepare(statement: str) -> None:
        connection = await asyncpg.connect(stack.dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(prepare(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    asyncio.run(ensure_topics(stack.bootstrap, prefix=prefix, partitions=2, replicas=1))
    addresses = {service: f"127.0.0.1:{free_port()}" for service in ("stitcher", "scorer", "console")}
    made = Site(stack, stack.dsn(name), kafka.topics(prefix), addresses["console"], secrets.token_urlsafe(24))
    folder = tmp_path_factory.mktemp("services")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PATHLINE_")},
        "PATHLINE_HOME": str(folder),
        "PATHLINE_KAFKA": stack.bootstrap,
        "PATHLINE_DATABASE_URL": made.dsn,
        "PATHLINE_TOPIC_PREFIX": prefix,
        "PATHLINE_API_TOKEN": made.token,
        "PATHLINE_CONSOLE_HEARTBEAT_SECONDS": "1",
        **{f"PATHLINE_{service.upper()}": address for service, address in addresses.items()},
    }
    try:
        for service in addresses:
            with (folder / f"{service}.log").open("wb") as log:
                made.processes[service] = subprocess.Popen(
                    [sys.executable, "-m", "pathline.cli", service], env=environment, stdout=log, stderr=log, cwd=ROOT
                )
        for service, address in addresses.items():
            _wait_ready(service, address, made.processes[service], folder / f"{service}.log")
        yield made
    finally:
        for process in made.processes.values():
            process.terminate()
        for process in made.processes.values():
            process.wait(STOP_SECONDS)
        asyncio.run(prepare(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for this module."""
    async with chromium() as running:
        yield running


SignIn = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="module")
async def sign_in(browser: Browser, site: Site) -> AsyncIterator[SignIn]:
    """Opens a page in a fresh browser profile, signed in; fails the test when a script fails or the policy stops one."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    async def open_page(name: str | None = None, **options: Any) -> Page:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
        await page.goto(site.link(name))
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not wrong, wrong
