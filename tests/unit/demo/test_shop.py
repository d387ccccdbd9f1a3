"""What stands behind the page's buttons, over HTTP, with a collector and a console of the test's own."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from pathline.demo import visitors
from pathline.demo.hosts import Hosts
from pathline.demo.journeys import CREDENTIAL_FILE, SHOWN_MAX, Journeys
from pathline.demo.metrics import DemoMetrics
from pathline.demo.shop import BODY_BYTES_MAX, VIEWS, Shop, make_app
from pathline.demo.visits import Visits
from pathline.sending.client import Collector

WHO = visitors.new("secret")
PAY = {"anonymousId": WHO, "checkoutId": "co-123456", "email": "me@example.com", "items": ["LAM-01"]}


class World:
    """The other side: what the shop told the collector, and what the console answers."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.collector_status = 200
        self.rejected: list[dict[str, Any]] = []
        self.console: dict[str, httpx.Response] = {}
        self.asked: list[httpx.Request] = []

    def collect(self, request: httpx.Request) -> httpx.Response:
        if self.collector_status != 200:
            return httpx.Response(self.collector_status, json={"success": False, "code": "x", "message": "no"})
        self.told += json.loads(request.content)["batch"]
        return httpx.Response(200, json={"success": True, **({"rejected": self.rejected} if self.rejected else {})})

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.console.get(request.url.path, httpx.Response(404, json={"success": False}))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def shop(world: World, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / CREDENTIAL_FILE).write_text("secret\n")
    journeys = Journeys("console:8081", tmp_path, transport=httpx.MockTransport(world.answer))
    collector = Collector("http://far", patience_seconds=0, transport=httpx.MockTransport(world.collect))
    served = Shop(
        visits=Visits("r-"),
        collector=collector,
        journeys=journeys,
        metrics=DemoMetrics(CollectorRegistry()),
        collector_address="127.0.0.1:8080",
        console_address="0.0.0.0:8081",
    )
    transport = httpx.ASGITransport(make_app(served, "shop.test:8084"))
    async with collector, httpx.AsyncClient(transport=transport, base_url="http://shop.test:8084") as client:
        yield client
    await journeys.close()


async def test_every_view_is_the_page_and_speaks_to_two_origins_only(shop: httpx.AsyncClient) -> None:
    text = ""
    for view in VIEWS:
        answer = await shop.get(re.sub(r"{.*}", "x", view))
        text = answer.text
        assert answer.status_code == 200
        assert 'src="http://127.0.0.1:8080/pathline.js" data-key="demo-shop-web"' in answer.text
        assert 'data-console="http://shop.test:8081"' in answer.text, (
            "an address of every host is met at the page's own"
        )
        assert "script-src 'self' http://127.0.0.1:8080;" in answer.headers["content-security-policy"]
    for name in re.findall(r'"(/static/[^"]+)"', text):
        assert (await shop.get(name)).status_code == 200, name


async def test_paying_places_an_order_that_can_be_told_of(shop: httpx.AsyncClient, world: World) -> None:
    declined = await shop.post("/api/pay", json={**PAY, "fail": True})
    assert declined.json() == {"success": True, "paid": False, "order": None}
    paid = (await shop.post("/api/pay", json=PAY)).json()
    assert paid["paid"] and paid["order"]["total"] == "14.90"
    tell = {"anonymousId": WHO, "orderId": paid["order"]["orderId"], "what": "late"}
    assert (await shop.post("/api/tell", json=tell)).json() == {"success": True}
    assert [call["event"] for call in world.told] == [
        "Payment Failed", "Payment Succeeded", "Order Completed", "Shipment Created", "Shipment Scanned",
        "Shipment Scanned",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/pay", b"{", 400, "bad_body"),
        ("/api/pay", b"\xff", 400, "bad_body"),
        ("/api/pay", b"[]", 400, "bad_body"),
        ("/api/pay", json.dumps({**PAY, "items": []}).encode(), 400, "bad_body"),
        ("/api/pay", json.dumps({**PAY, "items": ["NONE"]}).encode(), 400, "bad_items"),
        ("/api/pay", json.dumps({**PAY, "anonymousId": "<script>"}).encode(), 400, "bad_body"),
        ("/api/pay", json.dumps({**PAY, "email": "x" * 201 + "@"}).encode(), 400, "bad_body"),
        ("/api/pay", json.dumps({**PAY, "price": 1}).encode(), 400, "bad_body"),
        ("/api/pay", b" " * (BODY_BYTES_MAX + 1), 413, "body_too_large"),
        ("/api/tell", json.dumps({"anonymousId": WHO, "orderId": "A-1", "what": "burn"}).encode(), 400, "bad_body"),
        (
            "/api/tell",
            json.dumps({"anonymousId": WHO, "orderId": "A-1", "what": "late"}).encode(),
            404,
            "order_not_found",
        ),
    ],
)
async def test_bad_input_is_told_with_a_code(
    path: str, body: bytes, status: int, code: str, shop: httpx.AsyncClient, world: World
) -> None:
    answer = await shop.post(path, content=body)
    assert (answer.status_code, answer.json()["success"], answer.json()["code"]) == (status, False, code)
    assert world.told == []


async def test_another_site_cannot_press_the_buttons(shop: httpx.AsyncClient, world: World) -> None:
    answer = await shop.post("/api/pay", json=PAY, headers={"origin": "http://evil.test"})
    assert answer.status_code == 403 and answer.json()["code"] == "foreign_origin" and world.told == []
    assert (await shop.post("/api/pay", json=PAY, headers={"origin": "http://shop.test:8084"})).status_code == 200


@pytest.mark.parametrize(("status", "code"), [(503, "collector_unavailable"), (401, "collector_refuses")])
async def test_a_collector_in_trouble_is_told(status: int, code: str, shop: httpx.AsyncClient, world: World) -> None:
    world.collector_status = status
    answer = await shop.post("/api/pay", json=PAY)
    assert (answer.status_code, answer.json()["code"]) == (503, code)


async def test_a_refused_report_is_told(shop: httpx.AsyncClient, world: World) -> None:
    world.rejected = [{"index": 0, "code": "missing_property", "message": "no"}]
    assert (await shop.post("/api/pay", json=PAY)).json()["code"] == "missing_property"


async def test_the_journey_is_the_consoles_newest_first(shop: httpx.AsyncClient, world: World) -> None:
    empty = (await shop.get("/api/journey", params={"anonymousId": WHO})).json()
    assert empty == {"success": True, "customer": None, "touchpoints": [], "alerts": []}
    items = [{"message_id": str(n)} for n in range(SHOWN_MAX + 5)]
    world.console = {
        "/api/v1/customers/lookup": httpx.Response(200, json={"id": "c-1", "name": "<b>"}),
        "/api/v1/customers/c-1/touchpoints": httpx.Response(200, json={"items": items, "next": None}),
        "/api/v1/alerts": httpx.Response(200, json={"items": [{"id": "a-1"}], "next": None}),
    }
    told = (await shop.get("/api/journey", params={"anonymousId": WHO})).json()
    assert told["customer"]["name"] == "<b>" and told["alerts"] == [{"id": "a-1"}]
    assert [one["message_id"] for one in told["touchpoints"]] == [str(n) for n in range(SHOWN_MAX + 4, 4, -1)]
    assert {request.headers["authorization"] for request in world.asked} == {"Bearer secret"}
    assert world.asked[1].url.params["value"] == WHO


@pytest.mark.parametrize(
    "other",
    [
        "1f0c9a52-0000-4000-8000-000000000000",
        visitors.new("another secret"),
        WHO[:-1] + ("0" if WHO[-1] != "0" else "1"),
        WHO.partition("-")[0],
        "ann@example.com"[:3] + "-customer",
    ],
)
async def test_nobody_else_s_journey_is_shown(other: str, shop: httpx.AsyncClient, world: World) -> None:
    world.console = {"/api/v1/customers/lookup": httpx.Response(200, json={"id": "c-1", "name": "Ann"})}
    answer = await shop.get("/api/journey", params={"anonymousId": other})
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_visitor")
    assert world.asked == []


async def test_the_page_gives_who_comes_an_id_whose_journey_is_shown(shop: httpx.AsyncClient) -> None:
    pages = [(await shop.get("/")).text for _ in range(2)]
    given = [re.findall('data-visitor="([^"]+)"', page)[0] for page in pages]
    assert given[0] != given[1]
    for one in given:
        assert (await shop.get("/api/journey", params={"anonymousId": one})).json()["success"]


async def test_a_name_that_was_turned_to_this_machine_is_not_answered(shop: httpx.AsyncClient, world: World) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", f"/api/journey?anonymousId={WHO}"),
        ("POST", "/api/pay"),
        ("GET", "/static/shop.js"),
    ]:
        answer = await shop.request(method, path, headers={"host": "evil.test:8084"})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")
    assert world.asked == [] and world.told == []


@pytest.mark.parametrize(
    ("configured", "host", "taken"),
    [
        ("127.0.0.1", "127.0.0.1:8084", True),
        ("127.0.0.1", "localhost:8084", True),
        ("127.0.0.1", "[::1]:8084", True),
        ("127.0.0.1", "192.0.2.7:8084", False),
        ("127.0.0.1", "localhost.evil.test", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[", False),
        ("shop.test", "SHOP.test:1", True),
        ("0.0.0.0", "192.0.2.7:8084", True),
        ("0.0.0.0", "evil.test", False),
    ],
)
def test_the_shop_answers_to_this_machine_and_to_its_own_name(configured: str, host: str, *, taken: bool) -> None:
    async def nothing(*_: object) -> None:
        pass

    assert Hosts(nothing, configured).takes(host) is taken


async def test_a_console_in_trouble_is_told(shop: httpx.AsyncClient, world: World, tmp_path: Path) -> None:
    world.console = {"/api/v1/customers/lookup": httpx.Response(503, json={"success": False})}
    answer = await shop.get("/api/journey", params={"anonymousId": WHO})
    assert (answer.status_code, answer.json()["code"]) == (503, "console_unavailable")
    (tmp_path / CREDENTIAL_FILE).unlink()
    assert (await shop.get("/api/journey", params={"anonymousId": WHO})).status_code == 503
    for bad in ({}, {"anonymousId": "short"}, {"anonymousId": "<script>alert(1)"}):
        assert (await shop.get("/api/journey", params=bad)).json()["code"] == "bad_body"
    missing = await shop.get("/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "http_error")
