"""The journey map in a real browser: what it says, where its numbers lead, and that everybody can read it."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import SignIn, Site
from tests.browser.shop import visit
from tests.browser.test_console_pages import HOSTILE, faults
from tests.support.records import record

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bought(site: Site) -> None:
    """Three who bought, one of them answered a survey; one only looked, on a channel with a name that has broken pages."""
    for number in range(3):
        await site.send_all(visit(f"map-{number}", f"710{number}", name=f"Map {number}"))
    asked = {"userId": "map-0", "event": "Survey Answered"}
    answer = {"survey": "nps", "score": 9, "order_id": "7100"}
    await site.send_all(
        [
            record({**asked, "properties": answer}, message_id="map-said"),
            record(
                {
                    "anonymousId": "map-lost",
                    "event": "Visit Ended",
                    "properties": {"seconds": 3, "clicks": 1, "views": 1},
                },
                message_id="map-ended",
            ),
            record(
                {"anonymousId": "map-lost", "type": "page", "name": "Home", "properties": {"path": HOSTILE}},
                message_id="map-page",
            ),
        ]
    )
    for number in range(3):
        await site.alert(f"710{number}")


@pytest.mark.usefixtures("bought")
async def test_a_stage_tells_who_went_on_what_was_done_and_what_hurt(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    await page.keyboard.press("m")
    await page.wait_for_url(f"{site.url}/map")
    told = site.api("/map")
    stage = page.locator(".flow > li").nth(2)
    await expect(stage.locator("h3")).to_have_text("Transaction")
    transaction = told["stages"][2]
    assert transaction["actions"] == [{"action": "ordered", "done": transaction["customers"], "open": 0}]
    assert transaction["customers"] >= 3
    assert {"event": "Order Completed", "touchpoints": transaction["customers"]} in transaction["moments_of_truth"]
    await expect(stage).to_contain_text(f"ordered: {transaction['customers']} did")
    await expect(stage).to_contain_text("Order Completed")
    fulfilment = told["stages"][3]
    (received,) = fulfilment["actions"]  # Some parcels of other tests are delivered, ours are not.
    assert (received["action"], received["done"] + received["open"]) == ("received", fulfilment["customers"])
    assert received["open"] >= 3
    await expect(page.locator(".flow > li").nth(3)).to_contain_text(f"{received['open']} not yet")
    await expect(page.locator(".figures")).to_contain_text("NPS")
    await expect(page.locator("table.heat")).to_contain_text("delivery")
    lost = told["lost_interest"]
    assert lost["lost"] >= 1
    await expect(page.locator("#lost-title + p")).to_contain_text(f"of {lost['visits']} visits")
    pain = page.locator(".flow a").first
    detector = (await pain.get_attribute("href") or "").split("=")[1]
    await pain.click()
    await expect(page.locator("#alerts > .alert").first).to_be_visible()
    assert detector in page.url


@pytest.mark.usefixtures("bought")
async def test_a_window_and_a_segment_are_chosen_and_kept(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/map")
    await expect(page.locator(".windows [aria-current]")).to_have_text("7 days")
    await page.get_by_label("Segment").fill("nobody-has-it")
    await page.keyboard.press("Enter")
    await expect(page.locator("main h2")).to_have_text("Nobody was on the way")
    await page.get_by_role("link", name="24 hours").click()
    await expect(page.get_by_label("Segment")).to_have_value("nobody-has-it")
    await expect(page.locator(".windows [aria-current]")).to_have_text("24 hours")
    await page.get_by_role("link", name="All").click()
    await expect(page.locator(".flow > li")).to_have_count(5)
    await expect(page).to_have_url(f"{site.url}/map?days=1")
    await page.goto(f"{site.url}/map?from=yesterday")
    await expect(page.locator("main code")).to_have_text("bad_parameter")


@pytest.mark.usefixtures("bought")
async def test_the_map_is_right_for_everybody(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/map")
    assert not await faults(page)
    assert await page.evaluate("window.hurt") is None
    for width in (360, 640):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
