"""Our browser script in a real Chromium, against a collector that writes down what comes."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pathline.embedded.ports import free_port
from pathline.kit import lifecycle
from tests.support.chromium import chromium
from tests.support.records import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
of_module = pytest_asyncio.fixture(loop_scope="module", scope="module")
of_test = pytest_asyncio.fixture(loop_scope="module")

SCRIPT = Path(__file__).parents[2] / "services" / "ingest" / "pathline.js"
LIMIT_BYTES = 3_000
HTML = """<!doctype html><title>{title}</title><body><h1>{title}</h1>
{early}<script src="http://{collector}/pathline.js" {attributes} defer></script>
<button id="buy">Buy now</button> <button data-pathline-ignore>Secret</button>
<button id="dead">Nothing</button> <a id="nowhere" href="#">Nowhere</a>
<button id="alive" onclick="setTimeout(() => this.firstChild.nodeValue += '!')">Count</button>
<button id="breaks" onclick="nothing.at(1)">Break</button>
<a href="/second">Next page</a> <form><input name="card" type="text"></form>
<script src="/boom.js" defer></script></body>"""


class Recorder:
    """A collector and a site in one: two addresses, so that requests cross origins as they do in life."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.early = ""
        self.attributes = 'data-key="web"'
        self.collector = f"127.0.0.1:{free_port()}"
        self.site = f"127.0.0.1:{free_port()}"

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What was stored, each message once."""
        return list({call["messageId"]: call for one in self.requests for call in one["batch"]}.values())

    def named(self, event: str) -> list[dict[str, Any]]:
        return [call for call in self.calls if call.get("event") == event or call["type"] == event]

    async def receive(self, request: Request) -> Response:
        headers = {"access-control-allow-origin": "*"}
        body = await request.body()
        if self.status != 200:
            return Response(b'{"success":false,"code":"busy","message":""}', self.status, headers)
        self.requests.append(json.loads(body) | {"key": request.query_params["writeKey"], "bytes": len(body)})
        return Response(b'{"success":true}', headers=headers)

    async def page(self, request: Request) -> Response:
        title = request.url.path.strip("/") or "first"
        return HTMLResponse(
            HTML.format(title=title, early=self.early, attributes=self.attributes, collector=self.collector)
        )

    async def boom(self, _request: Request) -> Response:
        text = "addEventListener('load', () => { if (location.search === '?boom') setTimeout(() => nothing.at(1)) })"
        return Response(text, media_type="text/javascript")

    async def script(self, _request: Request) -> Response:
        return Response(SCRIPT.read_bytes(), media_type="text/javascript")

    def apps(self) -> tuple[tuple[Starlette, str], ...]:
        collector = Starlette(
            routes=[
                Route("/pathline.js", self.script),
                Route("/beacon/v1/batch", self.receive, methods=["POST"]),
            ]
        )
        site = Starlette(routes=[Route("/boom.js", self.boom), Route("/{name:path}", self.page)])
        return (collector, self.collector), (site, self.site)


@of_test
async def recorder() -> AsyncIterator[Recorder]:
    made, stop = Recorder(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for app, address in made.apps():
            started = asyncio.Event()
            tasks.create_task(lifecycle.serve(app, address, stop=stop, started=started))
            await started.wait()
        yield made
        stop.set()


@of_module
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@of_test
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    opened = await browser.new_context()
    yield opened
    await opened.close()


@pytest.fixture
def visit(context: BrowserContext, recorder: Recorder) -> Callable[..., Awaitable[Page]]:
    """Open a page of the site; an error that reaches the page fails the test."""

    async def visit(path: str = "/", *, may_fail: bool = False) -> Page:
        page = await context.new_page()
        if not may_fail:
            page.on("pageerror", lambda error: pytest.fail(f"thrown into the page: {error}"))
        await page.goto(f"http://{recorder.site}{path}")
        return page

    return visit


async def stored(recorder: Recorder, event: str, count: int = 1) -> list[dict[str, Any]]:
    """The calls of that name, once there are so many."""

    async def enough() -> list[dict[str, Any]]:
        found = recorder.named(event)
        return found if len(found) >= count else []

    found: list[dict[str, Any]] = await until(enough, 15)
    return found


async def test_it_is_small() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes(), mtime=0)) < LIMIT_BYTES


async def test_pages_are_told_also_without_a_load(recorder: Recorder, visit: Callable[..., Awaitable[Page]]) -> None:
    page = await visit("/?token=secret#place")
    (first,) = await stored(recorder, "page")
    assert first["name"] == "first" and first["properties"]["path"] == "/"
    assert "secret" not in json.dumps(recorder.requests), "the query of an address may hold secrets"
    assert first["anonymousId"] and first["messageId"] and first["timestamp"].endswith("Z")
    assert recorder.requests[0]["key"] == "web" and recorder.requests[0]["sentAt"].endswith("Z")
    await page.evaluate("history.pushState(null, '', '/inside'); document.title = 'Inside'")
    assert [call["name"] for call in await stored(recorder, "page", 2)] == ["first", "Inside"]
    await page.go_back()
    assert [call["properties"]["path"] for call in await stored(recorder, "page", 3)] == ["/", "/inside", "/"]
    assert len({call["anonymousId"] for call in recorder.calls}) == 1


async def test_a_click_is_told_without_what_was_typed(
    recorder: Recorder, visit: Callable[..., Awaitable[Page]]
) -> None:
    page = await visit()
    await page.fill("input", "4111 1111 1111 1111")
    await page.click("input")
    await page.click("text=Secret")
    await page.click("#buy")
    found = await stored(recorder, "Element Clicked", 2)
    assert [call["properties"]["element"] for call in found] == ["input", "button buy"]
    assert "4111" not in json.dumps(recorder.requests)
    await page.click("#buy", click_count=5, delay=5)
    (rage,) = await stored(recorder, "Rage Clicked")
    assert rage["properties"]["element"] == "button buy"


async def test_an_error_is_told_by_its_place(recorder: Recorder, visit: Callable[..., Awaitable[Page]]) -> None:
    await visit("/?boom", may_fail=True)
    (shown,) = await stored(recorder, "Error Shown")
    assert shown["properties"]["message_code"] == "ReferenceError boom.js 1"
    assert shown["properties"].get("after_ms") is None, "nobody had done anything"


async def test_an_error_says_how_long_after_a_click_it_came(
    recorder: Recorder, visit: Callable[..., Awaitable[Page]]
) -> None:
    page = await visit(may_fail=True)
    await page.click("#breaks")
    (shown,) = await stored(recorder, "Error Shown")
    assert shown["properties"]["during"] == "button breaks"
    assert isinstance(shown["properties"]["after_ms"], int), "a whole number of milliseconds since the click"
    assert shown["properties"]["after_ms"] >= 0


async def test_a_click_that_nothing_came_of_is_told(recorder: Recorder, visit: Callable[..., Awaitable[Page]]) -> None:
    page = await visit()
    await page.click("#dead")
    await page.click("#nowhere")
    found = await stored(recorder, "Dead Clicked", 2)
    assert [call["properties"] for call in found] == [{"element": "button dead"}, {"element": "a nowhere"}]
    # Told in the order in which they were clicked: once the second is told, the first would have been.
    await page.click("#alive")
    await page.click("h1")
    await page.click("input")
    await page.click("#dead")
    found = await stored(recorder, "Dead Clicked", 3)
    assert [call["properties"]["element"] for call in found] == ["button dead", "a nowhere", "button dead"]


async def test_a_visit_ends_when_the_site_is_left(recorder: Recorder, visit: Callable[..., Awaitable[Page]]) -> None:
    page = await visit()
    await stored(recorder, "page")
    await page.click("text=Next page")
    await page.wait_for_url("**/second")
    await stored(recorder, "page", 2)
    assert recorder.named("Visit Ended") == [], "a link to another page of the site is no end"
    # Somewhere else: what was said on the way out goes as a beacon, which outlives the page.
    await page.evaluate("new Promise((done) => setTimeout(done, 3100))")
    await page.goto("about:blank")
    (ended,) = await stored(recorder, "Visit Ended")
    assert ended["properties"]["views"] == 2 and ended["properties"]["clicks"] == 1
    assert ended["properties"]["seconds"] >= 3


async def test_calls_before_the_script_and_a_signed_in_visitor(
    recorder: Recorder, visit: Callable[..., Awaitable[Page]]
) -> None:
    recorder.early = """<script>(window.pathline ??= []).push(["track", "Coupon Denied", {reason: "old"}])</script>"""
    page = await visit()
    (denied,) = await stored(recorder, "Coupon Denied")
    assert denied["properties"] == {"reason": "old"} and "userId" not in denied
    await page.evaluate("pathline.identify('u-1', {email: 'a@example.com'}); pathline.track('Cart Viewed')")
    (known,) = await stored(recorder, "identify")
    assert known["userId"] == "u-1" and known["traits"] == {"email": "a@example.com"}
    (viewed,) = await stored(recorder, "Cart Viewed")
    assert viewed["userId"] == "u-1" and viewed["anonymousId"] == denied["anonymousId"]
    await page.evaluate("pathline.reset(); pathline.track('Cart Viewed')")
    other = (await stored(recorder, "Cart Viewed", 2))[1]
    assert "userId" not in other and other["anonymousId"] != denied["anonymousId"]


async def test_nothing_is_lost_while_the_collector_is_away(
    recorder: Recorder, visit: Callable[..., Awaitable[Page]], context: BrowserContext
) -> None:
    recorder.status = 503
    page = await visit()
    await page.evaluate("pathline.track('Cart Viewed', {n: 1})")
    await page.wait_for_function("(localStorage['pathline.unsent'] ?? '').includes('Cart Viewed')")
    await page.close()
    recorder.status = 200
    await visit("/second")
    (kept,) = await stored(recorder, "Cart Viewed")
    assert kept["properties"] == {"n": 1}
    again = await context.new_page()
    await again.goto(f"http://{recorder.site}/third")
    await stored(recorder, "page", 3)
    assert len(recorder.named("Cart Viewed")) == 1


async def test_what_is_kept_is_bounded_and_a_batch_fits_a_beacon(
    recorder: Recorder, visit: Callable[..., Awaitable[Page]]
) -> None:
    recorder.status = 503
    page = await visit()
    await page.evaluate(
        "for (let n = 0; n < 300; n++) pathline.track('Many', {n, text: 'ä'.repeat(600)});"
        "pathline.track('Too Large', {text: 'x'.repeat(40000)}); pathline.track('Last')"
    )
    await page.wait_for_function("(localStorage['pathline.unsent'] ?? '').includes('Last')")
    recorder.status = 200
    await stored(recorder, "Last")
    assert [call["properties"]["n"] for call in recorder.named("Many")] == list(range(201, 300))
    assert recorder.named("Too Large") == []
    assert max(one["bytes"] for one in recorder.requests) <= 65_536 and len(recorder.requests) > 1


@pytest.mark.parametrize(
    ("attributes", "told"), [('data-key="web"', False), ('data-key="web" data-gpc="ignore"', True)]
)
async def test_global_privacy_control(
    attributes: str, *, told: bool, recorder: Recorder, context: BrowserContext
) -> None:
    recorder.attributes = attributes
    await context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page = await context.new_page()
    await page.goto(f"http://{recorder.site}/")
    await page.evaluate("pathline.track('Cart Viewed'); pathline.identify('u-1')")
    if told:
        await stored(recorder, "Cart Viewed")
    else:
        # Whatever was to be sent would be sent on leaving at the latest.
        await page.goto("about:blank")
        await page.goto(f"http://{recorder.site}/second")
        assert await page.evaluate("Object.keys(localStorage)") == []
        assert recorder.requests == []


async def test_without_a_key_or_a_store_nothing_breaks(
    recorder: Recorder, context: BrowserContext, visit: Callable[..., Awaitable[Page]]
) -> None:
    recorder.attributes = ""
    page = await visit()
    await page.evaluate("pathline.track('Cart Viewed'); pathline.page(); pathline.identify('u-1')")
    assert recorder.requests == []
    recorder.attributes = 'data-key="web" data-auto="off"'
    await context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    )
    page = await visit()
    await page.evaluate("pathline.track('Cart Viewed'); pathline.track('Cart Viewed')")
    one, two = await stored(recorder, "Cart Viewed", 2)
    assert one["anonymousId"] == two["anonymousId"]
    assert recorder.named("page") == [], "data-auto=off: only what the page says"
