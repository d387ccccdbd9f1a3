"""What a page does that has missed something: the stream forgot it, its reads failed, its session was over."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route, Worker, expect

from tests.browser.conftest import SignIn, Site
from tests.browser.test_console import live, pained, row

# The first test of a module starts the services within its own time.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

# Playwright does not reach into shared workers, so these pages have one of their own, which runs the same script.
ALONE = "delete window.SharedWorker"


async def alone(page: Page) -> Worker:
    """Load the page again with a worker that the test can speak to."""
    await page.context.add_init_script(ALONE)
    async with page.expect_worker() as made:
        await page.reload()
    await live(page)
    return await made.value


async def test_a_page_that_the_stream_forgot_over_a_sleep_hears_again(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    worker = await alone(page)
    await worker.evaluate("for (const port of ports.keys()) ports.set(port, 0); sweep()")
    assert await worker.evaluate("streams.size") == 0
    # What happens now is told to nobody.
    await pained(site, "nia", "2100")
    await expect(row(page, "2100")).to_be_visible()
    await live(page)
    await pained(site, "nia", "2101")
    await expect(row(page, "2101")).to_be_visible()


async def test_a_page_that_hears_nothing_at_all_says_so(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    worker = await alone(page)
    await worker.evaluate("() => { self.kept = self.postMessage; self.postMessage = () => {}; }")
    await expect(page.locator("#live-status")).to_have_attribute("data-state", "lost")
    await expect(page.locator(".stale")).to_contain_text("Reconnecting, last update")
    await worker.evaluate("() => { self.postMessage = self.kept; }")
    await live(page)


async def test_signing_out_ends_every_tab_and_signing_in_again_revives_them(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    other = await page.context.new_page()
    await other.goto(site.url)
    await live(other)
    await page.locator("#person summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{site.url}/sign-in")
    await expect(other.locator("#live-status .text")).to_have_text("Signed out")
    await expect(other.get_by_role("link", name="Sign in again")).to_be_visible()
    await page.goto(site.link("Mara"))
    await live(page)
    await live(other)
    await expect(other.locator(".stale")).to_be_hidden()
    await pained(site, "olga", "2110")
    for tab in (page, other):
        await expect(row(tab, "2110")).to_be_visible()


async def test_what_could_not_be_read_is_read_later(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    await live(page)
    refused: list[str] = []

    async def refuse(route: Route) -> None:
        refused.append(route.request.url)
        await route.fulfill(status=503, content_type="text/html", body="away")

    await page.route("**/inbox/live?*", refuse)
    await pained(site, "pia", "2120")
    await expect(page.locator("#live-status")).to_have_attribute("data-state", "lost")
    assert refused
    await page.unroute("**/inbox/live?*")
    await expect(row(page, "2120")).to_be_visible()
    await live(page)


async def test_what_ended_while_nobody_listened_is_shown_as_over(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "quin", "2130")
    page = await sign_in("Mara")
    worker = await alone(page)
    await expect(row(page, "2130")).to_be_visible()
    # Nothing that happens now is told to the page, until it misses the heartbeat and reads everything.
    await worker.evaluate("() => { for (const stream of streams.values()) stream.tell = () => {}; }")
    site.api(f"/alerts/{alert['id']}/resolve", {"reason": "fixed"}, actor="Uma")
    await expect(row(page, "2130").locator(".state")).to_have_text("Fixed")
