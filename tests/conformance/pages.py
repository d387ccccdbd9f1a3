"""SDKs of browsers: pages of a site of their own in a real Chromium, whose requests cross origins as they do in life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser
from playwright.async_api import Error as PlaywrightError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pathline.embedded.ports import free_port
from pathline.kit import lifecycle
from tests.conformance.outcome import Outcome
from tests.conformance.sdks import HERE, Sdk
from tests.support.chromium import chromium
from tests.support.records import until

HTML = """<!doctype html><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,">
<script src="/node_modules/{bundle}"></script><script type="module" src="/site/{sender}"></script>"""


async def visit_all(outcomes: Sequence[Outcome], modules: Path, calls: Path, seconds: float) -> None:
    """Let all of them send at once; `calls` is where the files with their calls are."""
    if not outcomes:
        return
    async with _site([one.sdk for one in outcomes], modules, calls) as site, chromium() as browser:
        await asyncio.gather(*(_visit(browser, site, one, seconds) for one in outcomes))


async def _visit(browser: Browser, site: str, outcome: Outcome, seconds: float) -> None:
    """Open the page of an SDK and keep it open until it was answered for each call."""
    sdk, said = outcome.sdk, list[str]()
    context = await browser.new_context()
    try:
        page = await context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: _note_elsewhere(outcome, site, request.url))
        query = urlencode({"key": sdk.name, "url": outcome.proxy.url, "mode": sdk.mode})
        await page.goto(f"{site}/{sdk.name}?{query}", timeout=seconds * 1_000)
        await until(lambda: _all_settled(outcome), seconds)
    except (AssertionError, PlaywrightError) as problem:
        outcome.problem = "\n".join(
            [f"{len(outcome.proxy.settled())} of {len(sdk.calls())} were answered", str(problem), *said]
        )
    finally:
        await context.close()


def _note_elsewhere(outcome: Outcome, site: str, url: str) -> None:
    pages = tuple(f"{site}/{folder}" for folder in (f"{outcome.sdk.name}?", "node_modules/", "site/", "calls/"))
    if not url.startswith((*pages, f"{outcome.proxy.url}/", "data:")):
        outcome.elsewhere.append(url)


async def _all_settled(outcome: Outcome) -> bool:
    done = outcome.proxy.settled() if outcome.sdk.retries else outcome.proxy.over()
    return len(done) >= len(outcome.sdk.calls())


@asynccontextmanager
async def _site(sdks: Sequence[Sdk], modules: Path, calls: Path) -> AsyncIterator[str]:
    """A site with a page for each of these."""
    by_name = {sdk.name: sdk for sdk in sdks}

    async def page(request: Request) -> HTMLResponse:
        sdk = by_name[request.path_params["name"]]
        package = sdk.package
        return HTMLResponse(
            HTML.format(title=sdk.name, bundle=f"{package.name}/{package.bundle}", sender=package.sender)
        )

    app = Starlette(
        routes=[
            Mount("/node_modules", StaticFiles(directory=modules)),
            Mount("/site", StaticFiles(directory=HERE / "site")),
            Mount("/calls", StaticFiles(directory=calls)),
            Route("/{name}", page),
        ]
    )
    address, stop, started = f"127.0.0.1:{free_port()}", asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lifecycle.serve(app, address, stop=stop, started=started))
        await started.wait()
        try:
            yield f"http://{address}"
        finally:
            stop.set()
