"""Every page of the console, in every state a person may meet it: bare, crowded, hostile, narrow, dark, refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import SignIn, Site
from tests.browser.shop import SOURCE, visit
from tests.support.records import record, until

# The first test of a module starts the services within its own time.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = '<img src=x onerror="window.hurt=1">javascript:alert(1)\'"{{7*7}}'
ARABIC = "محمد عبد الرحمن"
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 6
MANY = 130
RULES: tuple[tuple[Literal["light", "dark"], dict[str, Any]], ...] = (
    ("light", {}),
    ("dark", {"runOnly": ["color-contrast"]}),
)
"""What axe looks for; between light and dark only colours differ."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(site: Site) -> dict[str, dict[str, Any]]:
    """One alert each of customers with names that have broken pages before."""
    names = {"hostile": HOSTILE, "arabic": ARABIC, "long": LONG[:200], "nameless": None}
    alerts = {}
    for number, (kind, name) in enumerate(names.items()):
        await site.send_all(visit(f"crowd-{kind}", f"300{number}", name=name, account=HOSTILE))
        alerts[kind] = await site.alert(f"300{number}")
    site.api(f"/alerts/{alerts['long']['id']}/acknowledge", {}, actor=LONG[:200])
    site.api(f"/alerts/{alerts['hostile']['id']}/note", {"text": HOSTILE}, actor=HOSTILE)
    site.api(f"/alerts/{alerts['arabic']['id']}/resolve", {"reason": "fixed"}, actor="Mara")
    return alerts


def addresses(site: Site, crowd: dict[str, dict[str, Any]]) -> list[str]:
    paths = [
        "/",
        "/?view=mine",
        "/?view=resolved",
        "/?view=open&severity=info",
        "/search",
        "/search?q=nobody",
        "/nowhere",
        f"/accounts?value={quote(HOSTILE)}",
        "/accounts?value=nobody",
    ]
    for alert in crowd.values():
        paths += [f"/alerts/{alert['id']}", f"/customers/{alert['customer_id']}"]
    return [site.url + path for path in paths]


async def faults(page: Page) -> list[str]:
    """What axe finds, light and dark. Its script comes in by the debugger, which the page's policy does not bind."""
    await page.evaluate(AXE)
    found = []
    for scheme, options in RULES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        result = await page.evaluate("options => axe.run(document, options)", options)
        found += [
            f"{page.url} in {scheme}: {one['id']}: {node['target']}: {node.get('failureSummary')}"
            for one in result["violations"]
            for node in one["nodes"]
        ]
    return found


async def test_axe_finds_nothing_on_any_page_in_light_and_dark(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    page = await sign_in("Mara")
    found = []
    for address in addresses(site, crowd):
        await page.goto(address)
        found += await faults(page)
    await page.goto(site.url)
    await page.keyboard.press("?")
    found += await faults(page)
    await page.goto("about:blank")
    await page.context.clear_cookies()
    await page.goto(site.url)
    await expect(page.locator("h1")).to_have_text("Sign in")
    found += await faults(page)
    assert not found, "\n".join(found)


async def test_nothing_runs_out_of_a_narrow_screen(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    """640 px are what is left of 1,280 px at 200 % zoom."""
    page = await sign_in("Mara")
    for address in addresses(site, crowd):
        await page.goto(address)
        for width in (360, 640):
            await page.set_viewport_size({"width": width, "height": 800})
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, address


async def test_what_a_customer_wrote_stays_text(site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]) -> None:
    page = await sign_in("Mara")
    alert = crowd["hostile"]
    for address in (
        f"/alerts/{alert['id']}",
        f"/customers/{alert['customer_id']}",
        f"/search?q={quote(HOSTILE)}",
        "/",
        f"/accounts?value={quote(HOSTILE)}",
    ):
        await page.goto(site.url + address)
        await expect(page.locator("body")).to_contain_text('<img src=x onerror="window.hurt=1">')
        assert await page.evaluate("window.hurt") is None, address
        assert await page.locator("img[src=x], a[href^=javascript]").count() == 0, address


async def test_a_name_written_from_right_to_left_turns_only_itself(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/customers/{crowd['arabic']['customer_id']}")
    name = page.locator("h1 bdi")
    await expect(name).to_have_text(ARABIC)
    assert await name.evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert await page.locator("h1").evaluate("e => getComputedStyle(e).direction") == "ltr"


async def test_who_has_no_name_is_called_by_the_strongest_identifier(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/customers/{crowd['nameless']['customer_id']}")
    await expect(page.locator("h1")).to_have_text("user crowd-nameless")


async def test_search_finds_by_any_name_of_a_person_or_thing(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    page = await sign_in("Mara")
    where = f"{site.url}/customers/{crowd['nameless']['customer_id']}"
    for known in ("crowd-nameless", "Crowd-Nameless@example.com", "browser-crowd-nameless", "3003", "#3003", "p-3003"):
        await page.locator("#search").fill(known)
        await page.keyboard.press("Enter")
        await page.wait_for_url(where)
        await page.goto(site.url)


async def test_a_long_journey_comes_a_page_at_a_time(site: Site, sign_in: SignIn) -> None:
    call = {"userId": "walker", "event": "Product Viewed"}
    begin = datetime.now(UTC).timestamp() - 2 * MANY
    await site.send_all(
        [
            record({**call, "properties": {"name": f"Number {n:03}"}}, message_id=f"walk-{n}", source=SOURCE,
                   at=datetime.fromtimestamp(begin + n, UTC))
            for n in range(MANY)
        ]
    )  # fmt: skip

    async def stored() -> bool:
        return bool(await site.query("SELECT count(*) FROM touchpoint WHERE message_id LIKE 'walk-%'") == MANY)

    await until(stored)
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/search?q=walker")
    rows = page.locator("#touchpoints > .touchpoint")
    await expect(rows).to_have_count(50)
    await expect(page.locator("figcaption")).to_contain_text(f"the newest 50 of {MANY} touchpoints")
    for shown in (100, MANY):
        await page.get_by_role("button", name="Older").click()
        await expect(rows).to_have_count(shown)
    await expect(page.get_by_role("button", name="Older")).to_have_count(0)
    told = await page.locator("#touchpoints .told").all_inner_texts()
    assert [text.split()[1] for text in told] == [f"{n:03}" for n in reversed(range(MANY))]


async def test_ten_thousand_alerts_come_a_page_at_a_time(
    site: Site, sign_in: SignIn, crowd: dict[str, dict[str, Any]]
) -> None:
    names = "detector, entity_id, story_id, entity_value, state, opened_at"
    others = await site.query(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        f" WHERE table_name = 'alert' AND column_name <> ALL(string_to_array('id, {names}', ', '))"
    )
    await site.query(
        f"INSERT INTO alert (id, {names}, {others})"
        " SELECT gen_random_uuid(), 'crowd', gen_random_uuid(), gen_random_uuid(), n::text, 'resolved',"
        f" opened_at - n * interval '1 minute', {others}"
        " FROM alert CROSS JOIN generate_series(1, 10_000) AS n WHERE id = $1::uuid",
        crowd["nameless"]["id"],
    )
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/?view=resolved&detector=crowd")
    rows = page.locator("#alerts > .alert")
    for shown in (50, 100, 150):
        await expect(rows).to_have_count(shown)
        await page.get_by_role("button", name="More").click()
    await expect(rows).to_have_count(200)
    keys = [await row.get_attribute("data-key") for row in await rows.all()]
    assert keys == sorted(keys, key=str, reverse=True) and len(set(keys)) == len(keys)


async def test_a_link_signs_in_a_name_is_kept_and_signing_out_ends_it(site: Site, sign_in: SignIn) -> None:
    page = await sign_in()
    await page.get_by_label("Who are you?").fill("Noor")
    await page.get_by_role("button", name="Keep").first.click()
    await expect(page.locator("#person .who")).to_have_text("Noor")
    await expect(page.locator("#ask-name")).to_have_count(0)
    await page.locator("#person summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{site.url}/sign-in")
    await page.goto(f"{site.url}/?view=mine")
    await expect(page).to_have_url(f"{site.url}/sign-in?next=%2F%3Fview%3Dmine")
    await expect(page.get_by_label("Your name")).to_have_value("Noor")
    await page.get_by_label("API token").fill("not-the-token-of-anybody")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("That is not the API token.")
    await page.get_by_label("API token").fill(site.token)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{site.url}/?view=mine")
    await expect(page.locator("#person .who")).to_have_text("Noor")


async def test_a_page_that_is_not_there_says_so_with_its_code(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    for path, code in (
        ("/nowhere", "not_found"),
        ("/alerts/none", "alert_not_found"),
        ("/customers/00000000-0000-0000-0000-000000000001", "customer_not_found"),
        ("/?severity=dreadful", "bad_parameter"),
    ):
        await page.goto(site.url + path)
        await expect(page.locator("main code")).to_have_text(code)


async def test_the_script_of_a_page_is_under_100_kilobytes(site: Site, sign_in: SignIn) -> None:
    page = await sign_in("Mara")
    sizes: list[int] = []
    for source in await page.locator("script[src]").all():
        answer = await page.request.get(site.url + (await source.get_attribute("src") or ""))
        sizes.append(len(await answer.body()))
    worker = await page.request.get(site.url + (await page.locator("body").get_attribute("data-worker") or ""))
    assert 0 < sum(sizes) + len(await worker.body()) < 100_000
