"""The demo's shop in a real Chromium: a newcomer is a customer, and their journey grows beside the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from pathline.demo.credentials import BROWSER_KEY, NAMESPACE, SERVER_KEY
from pathline.storage import keys
from tests.browser.conftest import SignIn, Site
from tests.support.programs import Program
from tests.support.records import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
LATE_SECONDS = 90
"""Within so long of its start the demo shows a late delivery."""


class Shop:
    """A running demo and its collector."""

    def __init__(self, demo: Program, collector: Program) -> None:
        self.demo = demo
        self.collector = collector

    @property
    def url(self) -> str:
        return f"http://{self.demo.address}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(site: Site, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The collector and the demo, on the services of this run."""
    connection = await asyncpg.connect(site.dsn)
    for name, kind in ((SERVER_KEY, "server"), (BROWSER_KEY, "browser")):
        assert kind in keys.KINDS
        await keys.create(connection, name=name, key=name, kind=kind, namespace=NAMESPACE, loopback_only=True)
    await connection.close()
    home = tmp_path_factory.mktemp("shop")
    (home / "api-token").write_text(site.token)
    env = {
        "PATHLINE_HOME": str(home), "PATHLINE_KAFKA": site.stack.bootstrap, "PATHLINE_DATABASE_URL": site.dsn,
        "PATHLINE_TOPIC_PREFIX": site.topics.touchpoints.removesuffix(".touchpoints.v1"), "PATHLINE_CONSOLE": site.console,
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(Program("ingest", env, home))
        demo = Program("demo", {**env, "PATHLINE_COLLECTOR": collector.address}, home)
        yield Shop(await stack.enter_async_context(demo), collector)


Enter = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="module")
async def enter(browser: Browser, shop: Shop) -> AsyncIterator[Enter]:
    """Opens the shop as somebody new; fails the test when a script fails or the policy stops one."""
    wrong: list[str] = []
    async with AsyncExitStack() as stack:

        async def open_page(path: str = "/", *, before: str | None = None, **options: Any) -> Page:
            context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            stack.push_async_callback(context.close)
            if before is not None:
                await context.add_init_script(before)
            page = await context.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
            await page.goto(shop.url + path)
            return page

        yield open_page
    assert not wrong, wrong


async def fill_cart(page: Page) -> None:
    await page.locator(".goods a").first.click()
    await page.click("#add")
    await expect(page.locator("h1")).to_have_text("Your cart")


async def buy(page: Page) -> None:
    await fill_cart(page)
    await page.click("text=Check out")
    await page.click("button[type=submit]")
    await expect(page.locator("h1")).to_have_text("Thank you, it is ordered")


async def test_a_newcomer_buys_and_things_go_wrong(enter: Enter, sign_in: SignIn) -> None:
    page = await enter()
    told, alerts = page.locator("#touchpoints"), page.locator("#alerts")
    await expect(told).to_contain_text("Page: Products")
    await expect(page.locator("#live-state")).to_have_text("live")
    await fill_cart(page)
    await expect(told).to_contain_text("Product Added")
    await page.click("text=Check out")
    await page.check("input[name=fail]")
    await page.click("button[type=submit]")
    await expect(page.locator("#problem")).to_contain_text("declined")
    await expect(alerts).to_contain_text("failed")
    await expect(page.locator("#who")).to_contain_text("email")
    await page.uncheck("input[name=fail]")
    await page.click("button[type=submit]")
    await expect(page.locator("#promise")).to_contain_text("Promised within")
    await expect(alerts).to_contain_text("resolved: answered")
    await page.click("text=The courier is late")
    await expect(alerts).to_contain_text("The carrier reports trouble")
    await page.click("text=Support solves it")
    await expect(page.locator("#said")).to_contain_text("nobody called")
    await page.click("text=Call support")
    await expect(told).to_contain_text("Contact Opened")
    await page.click("text=Support solves it")
    await expect(told).to_contain_text("Contact Closed")
    await page.click("[aria-label='2 of 10']")
    await expect(alerts).to_contain_text("A bad rating")
    await page.click("text=The courier delivers it")
    await expect(page.locator("#orders")).to_contain_text("delivered")
    await expect(page.locator("#promise")).to_have_text("Delivered")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Thank you, it is ordered")
    # The same customer in the console.
    await expect(page.locator("#in-console")).to_have_attribute("href", re.compile("/customers/"))
    address = await page.get_attribute("#in-console", "href")
    support = await sign_in("Sam")
    assert address is not None
    await support.goto(address)
    await expect(support.locator("body")).to_contain_text("A bad rating")


async def test_the_whole_way_by_keyboard(enter: Enter) -> None:
    page = await enter()
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.locator(".goods a").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_be_focused()
    for _ in range(3):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == "add":
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Your cart")
    await page.locator("text=Check out").focus()
    await page.keyboard.press("Enter")
    await page.locator("input[name=name]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Thank you, it is ordered")


async def test_asking_again_leaves_focus_and_what_was_said_alone(enter: Enter) -> None:
    page = await enter()
    await fill_cart(page)
    await page.click("text=Check out")
    await page.check("input[name=fail]")
    await page.click("button[type=submit]")
    await expect(page.locator("#alerts")).to_contain_text("failed")
    await page.focus("#in-console")
    await page.evaluate("window.told = document.querySelector('#alerts .alert')")
    for _ in range(3):
        async with page.expect_response("**/api/journey*"):
            pass
    await expect(page.locator("#in-console")).to_be_focused()
    assert await page.evaluate("window.told.isConnected")
    assert " ago" not in await page.inner_text("#alerts")


async def test_one_who_was_here_before_the_shop_made_ids_gets_one(enter: Enter) -> None:
    page = await enter(
        before="localStorage['pathline.anonymous'] ??= JSON.stringify('5f0c9a52-0000-4000-8000-000000000000')"
    )
    await expect(page.locator("#live-state")).to_have_text("live")
    forged = f"{'0' * 24}-{'0' * 24}"
    await page.evaluate("forged => { localStorage['pathline.anonymous'] = JSON.stringify(forged); }", forged)
    async with page.expect_response(lambda answer: "/api/journey" in answer.url and answer.status == 403):
        pass
    await expect(page.locator("#live-state")).to_have_text("live")
    assert await page.evaluate("window.pathline.anonymousId()") != forged


async def test_what_somebody_types_stays_text(enter: Enter) -> None:
    page = await enter()
    await fill_cart(page)
    await page.click("text=Check out")
    await page.fill("input[name=name]", "<img src=x onerror=window.broken=1><b>Bo</b>")
    await page.click("button[type=submit]")
    await expect(page.locator("#who strong")).to_have_text("<img src=x onerror=window.broken=1><b>Bo</b>")
    assert await page.evaluate("window.broken") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_fits_a_phone_and_axe_finds_nothing(enter: Enter, scheme: str) -> None:
    page = await enter(viewport={"width": 360, "height": 740}, color_scheme=scheme, reduced_motion="reduce")

    async def look(view: str) -> None:
        await expect(page.locator("#live-state")).to_have_text("live")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, view
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run().then((told) => told.violations.map((one) => [one.id, one.nodes[0].html]))"
        )
        assert found == [], view

    await expect(page.locator("#touchpoints")).to_contain_text("Page: Products")
    await look("shelf")
    await page.locator(".goods a").first.click()
    await look("product")
    await page.click("#add")
    await look("cart")
    await page.click("text=Check out")
    await page.check("input[name=fail]")
    await page.click("button[type=submit]")
    await expect(page.locator("#alerts")).to_contain_text("failed")
    await look("checkout")
    await page.uncheck("input[name=fail]")
    await page.click("button[type=submit]")
    await expect(page.locator("#orders")).to_contain_text("Order")
    await look("order")
    await page.goto(page.url + "x")
    await expect(page.locator("h1")).to_have_text("There is nothing here")


async def test_who_asks_not_to_be_tracked_is_told_so(enter: Enter) -> None:
    page = await enter(before="Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    await expect(page.locator("#live-state")).to_have_text("not recorded")
    await expect(page.locator("#touchpoints")).to_contain_text("Global Privacy Control")
    await buy(page)
    await expect(page.locator("#touchpoints")).to_contain_text("Global Privacy Control")


async def test_the_crowd_shows_a_late_delivery_soon(site: Site, shop: Shop) -> None:
    async def late() -> list[dict[str, Any]]:
        listed = await asyncio.to_thread(site.api, "/alerts?detector=late_vs_promise&limit=1000")
        run = [one for one in listed["items"] if one["entity"]["value"].startswith("A-")]
        return [one for one in run if "-v" not in one["entity"]["value"]]

    found = await until(late, LATE_SECONDS)
    assert found[-1]["severity"] == "high" and found[-1]["customer_id"] is not None


async def test_a_collector_that_is_away_is_said_and_the_shop_goes_on(enter: Enter, shop: Shop) -> None:
    page = await enter()
    await fill_cart(page)
    await page.click("text=Check out")
    shop.collector.freeze()
    try:
        await page.click("button[type=submit]")
        await expect(page.locator("#problem")).to_be_visible(timeout=20_000)
    finally:
        shop.collector.thaw()
    await page.click("button[type=submit]")
    await expect(page.locator("h1")).to_have_text("Thank you, it is ordered")
