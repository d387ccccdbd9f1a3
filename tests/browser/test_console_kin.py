"""Who is whom, in a real browser: split off, merged and taken back, confirmed first, refused with a code."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Dialog, Page, expect

from tests.browser.conftest import SignIn, Site
from tests.browser.test_console_pages import faults
from tests.support.records import record, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SHOP = "kin-shop@example.com"


def met(number: int, user: str | None, email: str, name: str = "") -> bytes:
    """An identify of a mailbox, and maybe of a user."""
    who: dict[str, Any] = {} if user is None else {"userId": user}
    traits = {"email": email, **({"name": name} if name else {})}
    return record({"type": "identify", **who, "traits": traits}, message_id=f"kin-{number}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(site: Site) -> str:
    """A customer with the shop's own mailbox, another one, and two strangers known by a mailbox alone."""
    await site.send_all(
        [
            met(1, "kin-ann", SHOP, "Ann Lee"), met(2, "kin-ann", "kin-ann@example.com"),
            met(3, "kin-bob", "kin-bob@example.com", "<b>Bob</b>"), met(4, None, "kin-guest@example.com"),
            met(5, None, "kin-other@example.com"),
        ]
    )  # fmt: skip

    async def stored() -> bool:
        return bool(await site.query("SELECT count(*) FROM touchpoint WHERE message_id LIKE 'kin-%'") == 5)

    await until(stored)
    customer = site.api("/customers/lookup?kind=user_id&value=kin-ann")
    return str(customer["id"])


def answering(page: Page, *, accept: bool) -> list[str]:
    """What the page asks to confirm, each answered."""
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if accept else dialog.dismiss())

    page.on("dialog", answer)
    return asked


def names(site: Site, kind: str, value: str) -> set[str]:
    return {one["value"] for one in site.api(f"/customers/lookup?kind={kind}&value={value}")["identifiers"]}


async def test_a_name_is_split_off_and_taken_back(site: Site, sign_in: SignIn, people: str) -> None:
    page = await sign_in("Mara")
    asked = answering(page, accept=True)
    await page.goto(f"{site.url}/customers/{people}")
    await page.get_by_role("link", name="Who is whom, and why").click()
    row = page.locator(".kin > li", has_text=SHOP).first
    await row.get_by_text("Split off…").click()
    await row.get_by_label("Why?").fill("the shop typed its own address")
    await row.get_by_role("button", name="Split off").click()
    await expect(page.locator("[role=status].advice")).to_contain_text(f"Mara split off {SHOP}")
    assert len(asked) == 1 and SHOP in asked[0] and "until it is taken back" in asked[0]
    assert names(site, "user_id", "kin-ann") == {"kin-ann", "kin-ann@example.com"}
    assert names(site, "email", SHOP) == {SHOP}
    act = page.locator("[id^=act-]").first
    await expect(act).to_contain_text("Mara")
    await expect(act).to_contain_text("the shop typed its own address")
    await expect(act).to_contain_text("holds")
    await act.get_by_text("Take back…").click()
    await act.get_by_label("Why?").fill("it was hers after all")
    await act.get_by_role("button", name="Take back").click()
    await expect(page.locator("[id^=act-]")).to_have_count(2)
    assert names(site, "user_id", "kin-ann") == {"kin-ann", "kin-ann@example.com", SHOP}
    history = site.api(f"/customers/{people}/history")["acts"]
    assert [(one["kind"], one["actor"], one["origin"]) for one in history[:2]] == [
        ("take_back", "Mara", "console"), ("split", "Mara", "console"),
    ]  # fmt: skip


async def test_two_customers_are_merged_after_they_were_shown_to_each_other(
    site: Site, sign_in: SignIn, people: str
) -> None:
    page = await sign_in("Mara")
    asked = answering(page, accept=True)
    await page.goto(f"{site.url}/customers/{people}/kin")
    await page.get_by_label("Whom?").fill("nobody-at-all")
    await page.keyboard.press("Enter")
    await expect(page.locator("#others")).to_contain_text("Nobody goes by nobody-at-all")
    await page.get_by_label("Whom?").fill("kin-ann@example.com")
    await page.keyboard.press("Enter")
    await expect(page.locator("#others")).to_contain_text("That is this customer already.")
    await page.get_by_label("Whom?").fill("kin-bob@example.com")
    await page.keyboard.press("Enter")
    await page.locator("#others").get_by_label("Why?").fill("says so on the phone")
    await page.get_by_role("button", name="Merge with <b>Bob</b>").click()
    await expect(page.locator("[role=status].advice")).to_contain_text("Mara made one customer of")
    assert "<b>Bob</b>" in asked[-1]
    assert {"kin-ann", "kin-bob"} <= names(site, "user_id", "kin-bob")
    await expect(page.locator("#joins-title")).to_be_visible()
    # The one of the two that was merged away goes on answering.
    await page.goto(f"{site.url}/customers/{people}/kin")
    act = page.locator("[id^=act-]").first
    await act.get_by_text("Take back…").click()
    await act.get_by_label("Why?").fill("was somebody else")
    await act.get_by_role("button", name="Take back").click()
    await expect(act).to_contain_text("took back")
    assert "kin-bob" not in names(site, "user_id", "kin-ann")


async def test_what_cannot_be_said_is_told_in_the_form_with_its_code(site: Site, sign_in: SignIn, people: str) -> None:
    page = await sign_in("Mara")
    asked = answering(page, accept=True)
    guest = site.api("/customers/lookup?kind=email&value=kin-guest@example.com")["id"]
    await page.goto(f"{site.url}/customers/{guest}/kin")
    await page.get_by_label("Whom?").fill("kin-other@example.com")
    await page.keyboard.press("Enter")
    await page.locator("#others").get_by_label("Why?").fill("looks alike")
    await page.get_by_role("button", name="Merge with").click()
    refusal = page.locator("#others").get_by_role("alert")
    await expect(refusal).to_contain_text("merge_needs_stronger")
    await expect(page.locator("#others").get_by_label("Why?")).to_have_value("looks alike")
    assert len(asked) == 1
    await page.goto(f"{site.url}/customers/{people}/kin")
    row = page.locator(".kin > li", has_text=SHOP).first
    await row.get_by_text("Split off…").click()
    await row.get_by_label("Whose is it?").fill("kin-nobody")
    await row.get_by_label("Why?").fill("a guess")
    await row.get_by_role("button", name="Split off").click()
    await expect(row.get_by_role("alert")).to_contain_text("identifier_not_found")


async def test_who_does_not_confirm_says_nothing(site: Site, sign_in: SignIn, people: str) -> None:
    page = await sign_in("Mara")
    asked = answering(page, accept=False)
    before = site.api(f"/customers/{people}/history")["acts"]
    await page.goto(f"{site.url}/customers/{people}/kin")
    row = page.locator(".kin > li", has_text=SHOP).first
    await row.get_by_text("Split off…").click()
    await row.get_by_label("Why?").fill("a slip")
    async with page.expect_event("dialog"):
        await row.get_by_role("button", name="Split off").click()
    assert len(asked) == 1
    assert site.api(f"/customers/{people}/history")["acts"] == before
    # A form from elsewhere, without the page's token, says nothing either.
    answer = await page.request.post(f"{site.url}/customers/{people}/kin/split", form={"reason": "forged"})
    assert answer.status == 403 and "forbidden" in await answer.text()


async def test_the_page_is_right_for_everybody(site: Site, sign_in: SignIn, people: str) -> None:
    page = await sign_in("Mara")
    await page.goto(f"{site.url}/customers/{people}/kin")
    await page.locator("details[id^=split-] summary").first.click()
    await page.get_by_label("Whom?").fill("kin-bob@example.com")
    await page.keyboard.press("Enter")
    await expect(page.locator("#others form")).to_be_visible()
    assert not await faults(page)
    for width in (360, 640):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
