"""The gate: nobody gets in without a token or a session, whatever route is added later."""

from __future__ import annotations

import time

import httpx
import msgspec
import pytest

from pathline.contracts import api
from services.console.gate import MAX_URL, OPEN
from services.console.sessions import Session, Sessions
from tests.support.guarded import ANY_ID, TOKEN, Guarded

BEARER = {"authorization": f"Bearer {TOKEN}"}
NOTE = f"/api/v1/alerts/{ANY_ID}/note"


@pytest.fixture(scope="module")
def guarded() -> Guarded:
    return Guarded()


async def ask(guarded: Guarded, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    sent = {name.encode(): value.encode() for name, value in (headers or {}).items()}
    async with guarded.client() as client:
        return await client.request(method, path, headers=sent)


def code_of(answer: httpx.Response) -> str:
    return msgspec.json.decode(answer.content, type=api.Error).code


def a_session(guarded: Guarded, seconds: int = 60) -> Session:
    now = time.time()
    return msgspec.structs.replace(guarded.context.sessions.open("Uma", now), until=int(now) + seconds)


async def test_every_route_but_the_open_ones_wants_a_sign_in(guarded: Guarded) -> None:
    asked = [(method, path) for method, path in guarded.routes() if path not in OPEN]
    assert len(asked) > 20
    async with guarded.client() as client:
        for method, path in asked:
            answer = await client.request(method, path)
            if path.startswith("/api/"):
                assert (answer.status_code, code_of(answer)) == (401, "unauthorized"), path
                assert answer.headers["www-authenticate"] == "Bearer"
            elif method == "GET":
                assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in"), path
            else:
                assert answer.status_code == 401, path


def test_what_is_open_is_no_more_than_this() -> None:
    """Whoever opens another path says so here."""
    assert {
        "/health/live", "/health/ready", "/metrics", "/sign-in", "/api/v1/openapi.json", "/favicon.ico",
    } == OPEN  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/alerts/", "//api/v1/alerts", "/static/../api/v1/alerts", "/health/live/../../api/v1/alerts",
        "/sign-in/x", "/API/v1/alerts", "/api/v1/openapi.json/", "/nothing",
    ],
)  # fmt: skip
async def test_no_spelling_of_a_path_gets_round_it(guarded: Guarded, path: str) -> None:
    answer = await ask(guarded, "GET", path)
    assert answer.status_code in {303, 401, 404}, answer.text
    assert "items" not in answer.text


@pytest.mark.parametrize(
    "given",
    ["Bearer wrong-token-for-tests", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer é", f"Bearer {TOKEN}x", "Bearer \x7f"],
)
async def test_a_wrong_token_is_refused_even_beside_a_session(guarded: Guarded, given: str) -> None:
    for more in ({}, guarded.cookie(a_session(guarded))):
        answer = await ask(guarded, "GET", "/api/v1/shoes", {"authorization": given, **more})
        assert (answer.status_code, code_of(answer)) == (401, "unauthorized")


async def test_a_token_and_a_session_get_in(guarded: Guarded) -> None:
    for headers in (BEARER, guarded.cookie(a_session(guarded)), {"authorization": f"bearer  {TOKEN}"}):
        answer = await ask(guarded, "GET", "/api/v1/shoes", headers)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


async def test_a_session_is_refused_once_it_is_over_forged_or_of_another_token(guarded: Guarded) -> None:
    other = Sessions("another-token-of-tests", seconds=60, https=False)
    sessions = guarded.context.sessions
    forged = sessions.seal(a_session(guarded))
    for value in (
        sessions.seal(a_session(guarded, -1)), other.seal(a_session(guarded)), forged[:-1], f"x{forged}", "", "." ,
        forged.split(".", maxsplit=1)[0], '"', "é",
    ):  # fmt: skip
        answer = await ask(guarded, "GET", "/api/v1/shoes", {"cookie": f"{sessions.cookie}={value}"})
        assert answer.status_code == 401, value


async def test_a_post_of_a_session_needs_its_csrf_token(guarded: Guarded) -> None:
    session = a_session(guarded)
    cookie, sessions = guarded.cookie(session), guarded.context.sessions
    for given in ("", "wrong", sessions.csrf(a_session(guarded)), "é"):
        headers = {**cookie, "x-csrf-token": given}
        for path in (NOTE, "/sign-out", "/name"):
            answer = await ask(guarded, "POST", path, headers)
            assert (answer.status_code, code_of(answer)) == (403, "forbidden"), (given, path)
    right = await ask(guarded, "POST", NOTE, {**cookie, "x-csrf-token": sessions.csrf(session)})
    assert (right.status_code, code_of(right)) == (400, "bad_note")
    program = await ask(guarded, "POST", NOTE, BEARER)
    assert (program.status_code, code_of(program)) == (400, "bad_note")


async def test_a_page_sends_to_the_sign_in_and_back(guarded: Guarded) -> None:
    answer = await ask(guarded, "GET", "/search?q=a%26b")
    assert answer.headers["location"] == "/sign-in?next=%2Fsearch%3Fq%3Da%2526b"
    script = await ask(guarded, "GET", "/inbox/live", {"hx-request": "true"})
    assert (script.status_code, script.headers["hx-redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize("path", ["/", "/api/v1/alerts", "/sign-in", "/metrics", "/nothing"])
async def test_every_answer_has_the_security_headers(guarded: Guarded, path: str) -> None:
    for headers in (None, BEARER):
        answer = await ask(guarded, "GET", path, headers)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"


async def test_without_a_database_the_api_says_to_come_again(guarded: Guarded) -> None:
    answer = await ask(guarded, "GET", "/api/v1/alerts", BEARER)
    assert (answer.status_code, code_of(answer)) == (503, "unavailable") and answer.headers["retry-after"]


async def test_a_fault_of_ours_is_said_without_its_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded()

    def break_down() -> None:
        message = "the secret of the house"
        raise ValueError(message)

    monkeypatch.setattr(guarded.context.database, "connection", break_down)
    answer = await ask(guarded, "GET", "/api/v1/alerts", BEARER)
    assert (answer.status_code, code_of(answer)) == (500, "internal") and "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_address_has_a_bound(guarded: Guarded) -> None:
    answer = await ask(guarded, "GET", f"/api/v1/alerts?state={'x' * MAX_URL}", BEARER)
    assert (answer.status_code, code_of(answer)) == (400, "bad_parameter")


async def test_requests_are_counted_by_route_and_never_by_what_was_asked() -> None:
    guarded = Guarded()
    for path in (f"/api/v1/alerts/{ANY_ID}", "/api/v1/made-up", "/made-up", "/health/live"):
        await ask(guarded, "GET", path, BEARER)

    def count(route: str, status: str) -> float | None:
        return guarded.registry.get_sample_value("pathline_console_requests_total", {"route": route, "status": status})

    assert count("/api/v1/alerts/{alert_id}", "503") == 1
    assert count("unmatched", "404") == 2
    assert count("/health/live", "200") == 1
