"""The main path through the console in a real browser: alerts come in live, people act on them, journeys grow."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import SignIn, Site
from tests.browser.shop import visit
from tests.support.records import until

# The first test of a module starts the services within its own time.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


def row(page: Page, order: str) -> Locator:
    return page.locator("#alerts > .alert", has_text=f"Order {order} is late")


async def live(page: Page) -> None:
    await expect(page.locator("#live-status")).to_have_attribute("data-state", "live")


async def pained(site: Site, user: str, order: str, name: str | None = None) -> dict[str, Any]:
    await site.send_all(visit(user, order, name=name))
    return await site.alert(order)


async def test_an_alert_comes_in_by_itself_and_says_who_what_since_when_and_what_it_costs(
    site: Site, sign_in: SignIn
) -> None:
    page = await sign_in("Mara")
    await live(page)
    await pained(site, "ann", "2001", "Ann Moreau")
    arrived = row(page, "2001")
    await expect(arrived).to_be_visible()
    for told in ("Ann Moreau", "149.90 EUR", "Late vs promise", "Nobody yet"):
        await expect(arrived).to_contain_text(told)
    # Critical where a working day has begun since: at midnight.
    await expect(arrived).to_contain_text(re.compile("High|Critical"))
    await expect(arrived.locator("time").first).to_have_attribute("title", re.compile(r"20\d\d, \d\d:\d\d:\d\d"))
    await expect(page).to_have_title(re.compile(r"^\([1-9]\d*\) Inbox"))
    await expect(page.locator("#v-open .count")).not_to_have_text("0")


async def test_what_comes_while_a_hand_is_on_the_list_waits_and_moves_nothing(site: Site, sign_in: SignIn) -> None:
    await pained(site, "bea", "2010")
    page = await sign_in("Mara")
    await live(page)
    await row(page, "2010").hover()
    place = await row(page, "2010").bounding_box()
    await pained(site, "ben", "2011")
    await expect(waiting := page.locator("#waiting")).to_be_visible()
    await expect(waiting).to_contain_text("1 new")
    assert await row(page, "2010").bounding_box() == place
    await page.keyboard.press(".")
    await expect(row(page, "2011")).to_be_visible()
    await expect(waiting).to_be_hidden()


async def test_the_keys_alone_lead_through_an_alert(site: Site, sign_in: SignIn) -> None:
    for number in range(3):
        await pained(site, f"key{number}", f"202{number}")
    page = await sign_in("Kim")
    await live(page)
    await expect(row(page, "2020")).to_be_visible()
    await page.keyboard.press("j")
    first = page.locator("#alerts > .alert").first
    await expect(first.locator("a.open")).to_be_focused()
    await page.keyboard.press("j")
    second = page.locator("#alerts > .alert").nth(1)
    await expect(second.locator("a.open")).to_be_focused()
    await page.keyboard.press("k")
    await page.keyboard.press("a")
    await expect(first.locator(".state")).to_have_text("Kim")
    await expect(first.locator("a.open")).to_be_focused()
    await page.keyboard.press("s")
    await expect(page.locator("#snooze-dialog")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(first.locator(".state")).to_contain_text("Until")
    await page.keyboard.press("j")
    await page.keyboard.press("e")
    await expect(second.locator(".state")).to_have_text("Fixed")
    await page.keyboard.press("j")
    title = await page.locator("#alerts > .alert").nth(2).locator("a.open").inner_text()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(title)
    await live(page)
    await page.keyboard.press("n")
    await expect(page.locator("#note")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys-dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()


async def test_before_a_row_is_chosen_the_keys_act_on_the_one_that_was_first_when_one_came(
    site: Site, sign_in: SignIn
) -> None:
    await pained(site, "uno", "2025")
    page = await sign_in("Kim")
    await live(page)
    first = page.locator("#alerts > .alert").first
    await expect(first).to_have_attribute("data-chosen", "")
    title = await first.locator("a.open").inner_text()
    was_first = page.locator("#alerts > .alert", has_text=title)
    await pained(site, "due", "2026")
    await expect(row(page, "2026")).to_be_visible()
    await expect(was_first).to_have_attribute("data-chosen", "")
    await expect(page.locator("#alerts > [data-chosen]")).to_have_count(1)
    await page.keyboard.press("a")
    await expect(was_first.locator(".state")).to_have_text("Kim")
    await page.keyboard.press("s")
    await expect(page.locator("#snooze-dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.reload()
    title = await first.locator("a.open").inner_text()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(title)
    await page.goto(site.url)
    await page.keyboard.press("e")
    await expect(first.locator(".state")).to_have_text("Fixed")


async def test_of_two_people_one_has_it_and_the_other_is_told_who(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "cleo", "2030")
    mara, ben = await sign_in("Mara"), await sign_in("Ben")
    await live(mara)
    await live(ben)
    await row(mara, "2030").get_by_role("button", name="Claim").click()
    await expect(row(mara, "2030").locator(".state")).to_have_text("Mara")
    await expect(row(ben, "2030").locator(".state")).to_have_text("Mara")
    await row(ben, "2030").get_by_role("button", name="Claim").click()
    await expect(row(ben, "2030")).to_contain_text("Mara has it.")
    await expect(ben.locator(".toast.wrong")).to_have_text("Mara has it.")
    assert site.api(f"/alerts/{alert['id']}")["assignee"] == "Mara"
    await mara.goto(f"{site.url}/alerts/{alert['id']}")
    await ben.goto(f"{site.url}/alerts/{alert['id']}")
    await live(mara)
    await mara.get_by_role("button", name="Resolve").click()
    await expect(mara.locator("article .state")).to_have_text("Fixed")
    await expect(ben.locator("article .state")).to_have_text("Fixed")
    await expect(ben.locator(".history")).to_contain_text("Mara resolved it: fixed")


async def test_a_page_shows_one_line_a_move_however_many_moves_are_made_in_it(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "dan", "2035")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    await page.evaluate(
        """() => {
            window.told = [];
            const note = ({ addedNodes }) => [...addedNodes].forEach((one) =>
                one.nodeType === 1 && [one, ...one.querySelectorAll("*")].forEach((line) =>
                    line.matches(".toast") && window.told.push(line.textContent)));
            new MutationObserver((list) => list.forEach(note)).observe(document.body, {childList: true, subtree: true});
        }"""
    )
    moves = [("Claim", "You have it."), ("Give back", "It is everyone's again.")] * 8
    for number, (name, _) in enumerate(moves[:15], 1):
        await page.get_by_role("button", name=name).click()
        await page.wait_for_function("number => window.told.length >= number", arg=number)
    assert await page.evaluate("window.told") == [told for _, told in moves[:15]]
    await expect(page.locator("#toasts")).to_have_count(1)


async def test_a_move_that_comes_too_late_says_who_was_first(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "dora", "2040")
    page = await sign_in("Ben")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    # Nothing reaches this page any more, so it still shows what Mara has ended.
    await page.route("**/live**", lambda route: route.abort())
    site.api(f"/alerts/{alert['id']}/resolve", {"reason": "not_a_problem"}, actor="Mara")
    await page.get_by_role("button", name="Claim").click()
    await expect(page.locator("article [role=alert]")).to_contain_text("Mara resolved it: not a problem")
    await expect(page.locator("article .acts")).to_have_count(0)


async def test_an_alert_tells_its_story_and_takes_notes(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "emil", "2050", "Emil Novak")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    headings = await page.locator("article h2").all_inner_texts()
    assert headings == [
        "What to do", "Order and parcel", "The journey around it", "What caused it", "Who did what", "Notes",
    ]  # fmt: skip
    for told in ("Ask the carrier", "p-2050", "in transit", "First promised", "last scan"):
        await expect(page.locator("article")).to_contain_text(told)
    await expect(page.locator(".mark.cause")).to_have_count(1)
    await expect(page.locator(".mark.pain-high")).to_have_count(1)
    cause = page.locator(".log .cause summary")
    await expect(cause).to_contain_text("Order Completed")
    await cause.click()
    await expect(page.locator(".raw pre")).to_contain_text('"order_id": "2050"')
    await expect(page.locator(".raw .stored")).to_contain_text(re.compile(rf"{site.topics.touchpoints} / [01] / \d+"))
    await page.locator("#note").fill("Called the carrier.\n<b>It left the hub.</b>")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator(".notes .text")).to_have_text("Called the carrier.\n<b>It left the hub.</b>")
    await expect(page.locator("#note")).to_have_value("")
    await expect(page.locator(".raw pre")).to_be_visible()


async def test_a_note_is_sent_by_keys_and_one_that_is_not_sent_holds_the_alert(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "eva", "2055")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    for number, keys in enumerate(("Control+Enter", "Meta+Enter"), 1):
        await page.keyboard.press("n")
        await page.keyboard.type(f"Called, time {number}.")
        await page.keyboard.press(keys)
        await expect(page.locator(".notes .text")).to_have_count(number)
        await expect(page.locator("#note")).to_have_value("")
    await page.keyboard.type("Half a no")
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    await expect(page.locator(".toast", has_text="A note is not sent yet.")).to_be_visible()
    await expect(page.locator("#note")).to_be_focused()
    await expect(page.locator("#note")).to_have_value("Half a no")
    assert site.api(f"/alerts/{alert['id']}")["state"] == "open"
    await page.locator("#note").fill("")
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    await expect(page.locator("article .state")).to_have_text("Fixed")


async def test_what_has_left_the_list_stays_grey_and_tells_its_times_whole(site: Site, sign_in: SignIn) -> None:
    await pained(site, "eve", "2056")
    page = await sign_in("Mara")
    await live(page)
    left = row(page, "2056")
    before = await left.locator("a.open").evaluate("one => getComputedStyle(one).color")
    await left.get_by_role("button", name="Snooze").click()
    await page.get_by_role("button", name="In 4 hours").click()
    await expect(left.locator(".state")).to_have_text(re.compile(r"^Until \d\d:\d\d$"))
    await expect(left).to_have_class(re.compile(r"\bgone\b"))
    assert await left.locator("a.open").evaluate("one => getComputedStyle(one).color") != before
    await expect(left.get_by_role("button")).to_have_count(1)
    await left.get_by_role("button", name="Claim").click()
    await expect(left.get_by_role("button")).to_have_count(3)
    await expect(left).not_to_have_class(re.compile(r"\bgone\b"))
    await left.get_by_role("button", name="Snooze").click()
    await page.get_by_role("button", name="In a week, 9:00").click()
    state = left.locator(".state")
    await expect(state).to_have_text(re.compile(r"^Until \d\d [A-Z][a-z]+, 09:00$"))
    assert await state.evaluate("one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1")
    await page.goto(f"{site.url}/?view=mine")
    await left.get_by_role("button", name="Claim").click()
    await left.get_by_role("button", name="Give back").click()
    await expect(left).to_have_class(re.compile(r"\bgone\b"))


async def test_keys_say_so_when_an_alert_is_over(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "ewa", "2057")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    for told in ("opened", "hurts: obtain"):
        await expect(page.locator(".lead")).to_contain_text(told)
    await page.keyboard.press("e")
    await expect(page.locator("article .state")).to_have_text("Fixed")
    for number, key in enumerate("aes", 1):
        await page.keyboard.press(key)
        await expect(page.locator(".toast", has_text="This alert is over.")).to_have_count(number)


async def test_a_long_title_has_two_lines(site: Site, sign_in: SignIn) -> None:
    order = f"2058-{'long-' * 20}"
    await pained(site, "eli", order)
    page = await sign_in("Mara")
    title = row(page, order).locator("a.open bdi")
    one = await row(page, order).locator(".person").evaluate("one => one.getBoundingClientRect().height")
    assert await title.evaluate("one => one.getBoundingClientRect().height") > 1.5 * one


async def test_a_snoozed_alert_is_among_the_snoozed_and_not_a_problem_among_the_resolved(
    site: Site, sign_in: SignIn
) -> None:
    alert = await pained(site, "fay", "2060")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    await page.get_by_role("button", name="Snooze").click()
    await page.get_by_role("button", name="Tomorrow, 9:00").click()
    await expect(page.locator("article .state")).to_contain_text("Until")
    until_told = datetime.fromisoformat(site.api(f"/alerts/{alert['id']}")["snoozed_until"])
    assert timedelta() < until_told - datetime.now(UTC) <= timedelta(days=2)
    await page.goto(f"{site.url}/?view=snoozed")
    await expect(row(page, "2060")).to_be_visible()
    await row(page, "2060").locator("a.open").click()
    await page.get_by_role("button", name="Not a problem").click()
    await expect(page.locator("article .state")).to_have_text("Not a problem")
    await page.goto(f"{site.url}/?view=resolved")
    await expect(row(page, "2060")).to_be_visible()
    await page.goto(site.url)
    await expect(row(page, "2060")).to_have_count(0)


async def test_an_alert_is_handed_to_somebody_and_put_off_until_a_date(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "flo", "2065")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/alerts/{alert['id']}")
    await page.get_by_label("Whose it is to be").fill("Uma")
    await page.get_by_role("button", name="Hand over").click()
    await expect(page.locator("article .state")).to_have_text("Uma")
    await expect(page.get_by_label("Whose it is to be")).to_have_value("")
    await page.get_by_role("button", name="Snooze").click()
    day = (datetime.now(UTC) + timedelta(days=3)).replace(hour=14, minute=30, second=0, microsecond=0)
    await page.get_by_label("Or until").fill(day.strftime("%Y-%m-%dT%H:%M"))
    await page.locator("#snooze-date").get_by_role("button").click()
    await expect(page.locator("article .state")).to_contain_text("Until")
    stands = site.api(f"/alerts/{alert['id']}")
    there = await page.evaluate("text => new Date(text).toISOString()", day.strftime("%Y-%m-%dT%H:%M"))
    assert stands["assignee"] == "Uma"
    assert datetime.fromisoformat(stands["snoozed_until"]) == datetime.fromisoformat(there)
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.get_by_role("button", name="Hand over")).to_be_hidden()


async def test_a_journey_grows_while_one_looks(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "gus", "2070", "Gus Lind")
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/customers/{alert['customer_id']}")
    await live(page)
    await page.locator("#risk-terms summary").click()
    await expect(page.locator("#risk-terms p")).to_contain_text("unless an alert opens, changes or ends before")
    before = await page.locator("#touchpoints > .touchpoint").count()
    opened = page.locator("#touchpoints > .touchpoint summary").first
    await opened.click()
    await expect(page.locator(".raw pre").first).to_be_visible()
    scan = {"tracking_number": "p-2070", "status": "delivered", "location": "Front door"}
    await site.send({"event": "Shipment Scanned", "properties": scan})
    newest = page.locator("#touchpoints > .touchpoint").first
    await expect(newest).to_contain_text("delivered")
    await expect(page.locator("#touchpoints > .touchpoint")).to_have_count(before + 1)
    await expect(page.locator(".order > header .chip")).to_have_text("delivered")
    await expect(page.locator("#alerts-title + .none")).to_have_text("Nothing now.")
    await expect(page.locator(".raw pre").first).to_be_visible()


async def test_a_stream_that_breaks_says_so_and_misses_nothing(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    await live(page)
    console = site.processes["console"]
    console.send_signal(signal.SIGSTOP)
    try:
        await expect(page.locator(".stale")).to_contain_text("Reconnecting, last update")
        await expect(page.locator("#live-status .text")).to_have_text("Stale")
        await site.send_all(visit("hugo", "2080"))

        async def opened() -> bool:
            return bool(await site.query("SELECT count(*) FROM alert WHERE entity_value = '2080'"))

        await until(opened)
    finally:
        console.send_signal(signal.SIGCONT)
    await live(page)
    await expect(page.locator(".stale")).to_be_hidden()
    await expect(row(page, "2080")).to_be_visible()


async def test_all_tabs_of_a_browser_share_one_stream_of_alerts(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    tabs = [page, await page.context.new_page(), await page.context.new_page()]
    for tab in tabs:
        await tab.goto(site.url)
        await live(tab)

    async def one() -> bool:
        return "\npathline_console_streams 1.0\n" in site.metrics()

    await until(one)
    await pained(site, "ida", "2090")
    for tab in tabs:
        await expect(row(tab, "2090")).to_be_visible()


async def test_nothing_shifts_while_a_page_loads_and_becomes_live(site: Site, sign_in: SignIn) -> None:
    alert = await pained(site, "jon", "2095", "Jon Berg")
    page = await sign_in("Mara")
    for path in ("/", f"/alerts/{alert['id']}", f"/customers/{alert['customer_id']}"):
        await page.goto(site.url + path)
        await live(page)
        shifted = await page.evaluate(
            """() => new Promise(answer => new PerformanceObserver(list =>
                answer(list.getEntries().reduce((sum, one) => sum + one.value, 0))
            ).observe({type: "layout-shift", buffered: true}) ?? setTimeout(() => answer(0), 1000))"""
        )
        assert shifted < 0.01, path
