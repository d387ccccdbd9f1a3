"""`/accounts` over HTTP, against what a real stitcher made."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from pathline.contracts.account import Account
from tests.support.console import TOKEN, Running, user
from tests.support.records import record

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

NOW = datetime.now(UTC).replace(microsecond=0)


async def test_the_people_of_a_business_are_seen_together(here: Running) -> None:
    await here.send(
        record({"type": "group", "userId": "ann", "groupId": "a/c me"}, message_id="1", at=NOW - timedelta(hours=2)),
        record({"type": "identify", "userId": "ann", "traits": {"name": "Ann"}}, message_id="2"),
        record({"type": "group", "userId": "ann-2", "groupId": "a/c me"}, message_id="3", at=NOW - timedelta(hours=3)),
        record({"type": "alias", "userId": "ann", "previousId": "ann-2"}, message_id="4"),
        record({"type": "group", "userId": "bob", "groupId": "a/c me"}, message_id="5", at=NOW, trusted=False),
    )
    found = msgspec.convert(await here.get("/accounts/lookup", value="a/c me"), Account)
    assert (found.account, found.truncated, len(found.members)) == ("a/c me", False, 2)
    ann, bob = found.members
    # Two user_ids that are one customer are one member, since the earlier of them was.
    assert ann.customer_id in {user("ann"), user("ann-2")} and ann.since == NOW - timedelta(hours=3)
    assert (bob.customer_id, bob.kind, bob.value, bob.name, bob.since, bob.said_by) == (
        user("bob"), "user_id", "bob", None, NOW, "browser",
    )  # fmt: skip
    assert ann.said_by == "server"
    less = msgspec.convert(await here.get("/accounts/lookup", value="a/c me", limit="1"), Account)
    assert less.truncated and [one.customer_id for one in less.members] == [ann.customer_id]


async def test_a_customer_is_shown_with_more_accounts_than_are_remembered_of_a_strand_and_with_those_of_old(
    here: Running,
) -> None:
    told = [
        record(
            {"type": "group", "userId": "kim", "groupId": f"k{n:02}"}, message_id=f"k{n}", at=NOW - timedelta(hours=n)
        )
        for n in range(40)
    ]
    await here.send(*told)
    named = [f"k{n:02}" for n in range(40)]
    assert (await here.get(f"/customers/{user('kim')}"))["accounts"] == named
    # As a version before the names left them: what is remembered of each strand still names the newest.
    await here.pool.execute("UPDATE account_member SET account = NULL WHERE account LIKE 'k%'")
    assert (await here.get(f"/customers/{user('kim')}"))["accounts"] == named[:30]


async def test_their_page_links_to_each(here: Running) -> None:
    await here.send(
        record({"type": "group", "userId": "zoe", "groupId": "<b>&co"}, message_id="z1"),
        record({"type": "group", "userId": "yan", "groupId": "<b>&co"}, message_id="z2", trusted=False),
    )
    async with httpx.AsyncClient(base_url=here.client.base_url, trust_env=False, follow_redirects=True) as browser:
        signed = await browser.post("/sign-in", data={"token": TOKEN, "name": "Noor"})
        assert signed.status_code == httpx.codes.OK, signed.text
        customer = (await browser.get(f"/customers/{user('zoe')}")).text
        address = html.unescape(re.search(r'href="(/accounts\?value=[^"]+)"', customer).group(1))  # type: ignore[union-attr]
        page = (await browser.get(address)).text
        assert (await browser.get("/accounts?value=nobody")).status_code == httpx.codes.NOT_FOUND
    assert "&lt;b&gt;&amp;co" in page and "<b>&co" not in page
    assert all(f'href="/customers/{user(name)}"' in page for name in ("zoe", "yan"))
    assert page.count("as a browser says") == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("value=nobody", 404, "account_not_found"),
        ("value=null", 404, "account_not_found"),
        ("value=", 404, "account_not_found"),
        ("value=%00", 400, "bad_parameter"),
        ("value=acme&limit=0", 400, "bad_parameter"),
        (f"value={'x' * 1001}", 400, "bad_parameter"),
        ("", 400, "bad_parameter"),
    ],
)
async def test_a_bad_request_gets_its_code(here: Running, query: str, status: int, code: str) -> None:
    answer = await here.client.get(f"/api/v1/accounts/lookup?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
