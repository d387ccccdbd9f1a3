"""The pages' way in, and what they answer while the database is away: the whole app, without servers."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from pathline.kit import signin
from tests.support.guarded import TOKEN, Guarded


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with Guarded().client() as client:
        yield client


def ticket(*, late_by_seconds: float = 0) -> str:
    return signin.make_ticket(TOKEN, now_seconds=time.time() - late_by_seconds)


async def sign_in(client: httpx.AsyncClient, name: str = "Ann") -> str:
    """Sign in; answers the token of the session's forms."""
    answer = await client.get("/sign-in", params={"ticket": ticket(), "name": name})
    assert answer.status_code == 303
    shown = (await client.get("/nowhere")).text
    found = re.search(r'"x-csrf-token": "([^"]+)"', shown)
    assert found is not None
    return found[1]


async def test_a_link_opens_a_session_that_scripts_cannot_read(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sign-in", params={"ticket": ticket(), "next": "/alerts/1?x=2"})
    assert answer.headers["location"] == "/alerts/1?x=2"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie


async def test_over_https_the_cookie_demands_https() -> None:
    async with Guarded(public_url="https://console.example").client() as client:
        cookie = (await client.get("/sign-in", params={"ticket": ticket()})).headers["set-cookie"]
    assert cookie.startswith("__Host-pathline=") and "Secure" in cookie and "Path=/" in cookie


@pytest.mark.parametrize("wrong", ["", "1.x", f"{int(time.time()) + 60}.forged"])
async def test_a_link_that_is_not_ours_opens_nothing(client: httpx.AsyncClient, wrong: str) -> None:
    answer = await client.get("/sign-in", params={"ticket": wrong})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    assert "no longer good" in answer.text


async def test_an_old_link_opens_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sign-in", params={"ticket": ticket(late_by_seconds=signin.SIGN_IN_SECONDS + 1)})
    assert answer.status_code == 401


async def test_the_token_signs_in_and_another_does_not(client: httpx.AsyncClient) -> None:
    wrong = await client.post("/sign-in", data={"token": "another", "name": "Ann <b>"})
    assert wrong.status_code == 401 and "That is not the API token." in wrong.text
    assert 'value="Ann &lt;b&gt;"' in wrong.text
    right = await client.post("/sign-in", data={"token": TOKEN, "name": "Ann", "next": "//elsewhere.example"})
    assert right.status_code == 303 and right.headers["location"] == "/"


async def test_who_is_not_signed_in_is_led_to_the_door_and_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/customers/1?x=2")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fcustomers%2F1%3Fx%3D2"
    scripted = await client.get("/inbox/live", headers={"hx-request": "true"})
    assert scripted.status_code == 401 and scripted.headers["hx-redirect"] == "/sign-in"


async def test_a_form_of_another_site_does_nothing(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    answer = await client.post("/name", data={"name": "Eve"})
    assert answer.status_code == 403 and answer.json()["code"] == "forbidden"


async def test_a_new_name_is_kept_after_signing_out(client: httpx.AsyncClient) -> None:
    token = await sign_in(client)
    renamed = await client.post("/name", data={"name": "Noor \u202e \n"}, headers={"x-csrf-token": token})
    assert renamed.status_code == 200 and "You are Noor now" in renamed.headers["hx-trigger-after-swap"]
    left = await client.post("/sign-out", headers={"x-csrf-token": token})
    assert left.headers["hx-redirect"] == "/sign-in"
    assert (await client.get("/")).status_code == 303
    assert 'value="Noor"' in (await client.get("/sign-in")).text


async def test_while_the_database_is_away_a_page_says_so_and_a_script_gets_a_line(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    for path in ("/", "/alerts/00000000-0000-0000-0000-000000000001", "/search?q=x"):
        answer = await client.get(path)
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert "<code>unavailable</code>" in answer.text and "Try again" in answer.text
    line = await client.get("/inbox/live", headers={"hx-request": "true"})
    assert line.status_code == 503 and line.headers["hx-reswap"] == "none"
    assert "(unavailable)" in line.headers["hx-trigger-after-swap"] and not line.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/?view=other", 400, "bad_parameter"),
        ("/?severity=dreadful", 400, "bad_parameter"),
        ("/?detector=%00", 400, "bad_parameter"),
        ("/inbox/live?detector=%00", 400, "bad_parameter"),
        ("/search?q=%00", 400, "bad_parameter"),
        ("/inbox/more?cursor=nonsense", 400, "bad_cursor"),
        ("/inbox/more", 400, "bad_parameter"),
        ("/inbox/live?ids=1", 400, "bad_parameter"),
        (f"/inbox/live?ids={','.join(['00000000-0000-0000-0000-000000000001'] * 101)}", 400, "bad_parameter"),
        (f"/inbox/live?ids={','.join(['00000000-0000-0000-0000-000000000001'] * 100)}", 503, "unavailable"),
        (f"/search?q={'x' * 1_001}", 400, "bad_parameter"),
        ("/accounts", 400, "bad_parameter"),
        ("/accounts?value=%00", 400, "bad_parameter"),
        (f"/accounts?value={'x' * 1_001}", 400, "bad_parameter"),
        ("/accounts?value=x", 503, "unavailable"),
        ("/alerts/none", 404, "alert_not_found"),
        ("/nowhere", 404, "not_found"),
    ],
)
async def test_what_cannot_be_asked_has_a_code(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    await sign_in(client)
    answer = await client.get(path)
    assert (answer.status_code, f"<code>{code}</code>" in answer.text) == (status, True)


@pytest.mark.parametrize(
    ("move", "form", "code"),
    [
        ("snooze", {"until": "soon"}, "bad_until"),
        ("explode", {}, "not_found"),
        ("note", {"text": "x" * 70_000}, "body_too_large"),
        ("note", {str(n): "" for n in range(30)}, "bad_body"),
    ],
)
async def test_a_form_that_cannot_be_used_has_a_code(
    client: httpx.AsyncClient, move: str, form: dict[str, str], code: str
) -> None:
    token = await sign_in(client)
    address = f"/alerts/00000000-0000-0000-0000-000000000001/{move}"
    answer = await client.post(address, data=form, headers={"x-csrf-token": token, "hx-request": "true"})
    assert f"({code})" in answer.headers["hx-trigger-after-swap"]


async def test_a_static_file_is_kept_for_as_long_as_its_address_names_its_content(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/sign-in")).text
    (style,) = re.findall(r'href="(/static/console\.css\?v=[0-9a-f]+)"', shown)
    assert "immutable" in (await client.get(style)).headers["cache-control"]
    assert (await client.get("/static/console.css")).headers["cache-control"] == "no-cache"
    assert (await client.get("/static/%2e%2e/app.py")).status_code == 404
