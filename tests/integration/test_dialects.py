"""The other dialects against the real collector: what arrives in the log, and what their senders are answered."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
import orjson
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from pathline.kit.kafka import Topics, make_consumer
from services.ingest.dialects.wire import GIF
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, is_ready, metric, running
from tests.support.records import until

pytestmark = pytest.mark.integration

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAGE = {"origin": "https://shop.example"}
VIEW = {
    "e": "pv",
    "aid": "demo-web",
    "duid": "visitor",
    "tv": "js-4.10.1",
    "page": "Lamps",
    "url": "https://shop.example/lamps",
}
EVENT = {
    "specversion": "1.0",
    "type": "com.shop.order_completed",
    "source": "/shop",
    "id": "c1",
    "data": {"userId": "ann", "order_id": "7"},
}


async def stored(log: Log, count: int) -> list[Touchpoint]:
    """The touchpoints in the log, by their message ids."""
    found = [to_touchpoint(accepted.decode(record.value)) for record in await log.read(count)]
    return sorted(found, key=lambda one: one.message_id)


async def test_snowplow_s_payload_and_query(collector: httpx.AsyncClient, log: Log) -> None:
    body = {"schema": "iglu:x", "data": [{**VIEW, "eid": "s1"}, {"e": "ue", "ue_px": "%", "aid": "demo-web"}]}
    answer = await collector.post(TP2, content=orjson.dumps(body), headers=PAGE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [(1, "bad_base64")]
    body = {"data": [{**VIEW, "eid": "s2"}]}
    answer = await collector.post(TP2, content=orjson.dumps(body))
    assert (answer.status_code, answer.content) == (200, b"ok")
    answer = await collector.get("/i?" + urlencode({**VIEW, "eid": "s3", "page": "灯"}))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, GIF, "image/gif")
    answer = await collector.get("/i?" + urlencode({**VIEW, "aid": "nobody"}))
    assert (answer.status_code, answer.content) == (401, GIF)
    assert answer.headers["x-pathline-code"] == "unknown_key"
    found = await stored(log, 3)
    assert [(one.message_id, one.event, one.channel) for one in found] == [
        ("s1", "Lamps", "web"), ("s2", "Lamps", "web"), ("s3", "灯", "web"),
    ]  # fmt: skip
    assert await metric(collector, 'pathline_ingest_requests_total{route="snowplow",status="200"}') == 3
    assert await metric(collector, 'pathline_ingest_touchpoints_total{outcome="bad_base64"}') == 1


async def test_an_event_that_cannot_be_read_is_a_dead_letter_as_it_was_sent(
    collector: httpx.AsyncClient, stack: Stack, topics: Topics
) -> None:
    bad = {"e": "ue", "ue_px": "%", "eid": "bad"}
    answer = await collector.post(TP2, content=orjson.dumps({"data": [{**VIEW, "eid": "s1"}, bad]}))
    assert answer.status_code == 200
    answer = await collector.post(
        "/v1/cloudevents", content=orjson.dumps([EVENT, {**EVENT, "specversion": "0.3"}]), auth=("demo", "")
    )
    assert answer.status_code == 200
    consumer = make_consumer(stack.bootstrap, topics.dead_letters, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        letters = await Log(consumer).read(2)
    finally:
        await consumer.stop()
    codes = {dict(letter.headers)["__connect.errors.exception.class.name"] for letter in letters}
    assert codes == {b"bad_base64", b"bad_specversion"}
    sent = [orjson.loads(letter.value) for letter in letters]
    assert bad in sent
    assert {**EVENT, "specversion": "0.3"} in sent


async def test_a_tracker_of_a_page_is_let_in_by_a_preflight(collector: httpx.AsyncClient) -> None:
    asked = {
        **PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,sp-anonymous",
    }
    answer = await collector.options(TP2, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert {"content-type", "sp-anonymous"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_a_snowplow_tracker_is_never_told_to_send_for_ever(collector: httpx.AsyncClient) -> None:
    large = {"data": [{**VIEW, "page": "x" * 40_000}]}
    answer = await collector.post(TP2, content=orjson.dumps(large))
    assert (answer.status_code, answer.json()["code"]) == (400, "none_accepted")
    assert [one["code"] for one in answer.json()["rejected"]] == ["call_too_large"]
    answer = await collector.post(TP2, content=b"x" * 5_000_000)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_large")


async def test_cloudevents_in_all_three_modes(collector: httpx.AsyncClient, log: Log) -> None:
    async def send(kind: str, body: Any, **headers: str) -> httpx.Response:
        named = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await collector.post("/v1/cloudevents", content=orjson.dumps(body), headers=named, auth=("demo", ""))

    answer = await send("application/cloudevents+json", EVENT)
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    batch = [{**EVENT, "id": "c2"}, {**EVENT, "id": "c3", "specversion": "0.3"}, {**EVENT, "id": "c4"}]
    answer = await send("application/cloudevents-batch+json", batch)
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [(1, "bad_specversion")]
    answer = await send("application/json", {"order_id": "7"}, ce_specversion="1.0", ce_type="Order%20Completed", ce_source="/s",
                        ce_id="c5", ce_userid="ann", ce_time="2026-06-01T12:00:00Z")  # fmt: skip
    assert answer.status_code == 200
    assert (await send("application/cloudevents-batch+json", [])).json() == {"success": True}
    answer = await send("application/cloudevents+json", {**EVENT, "id": None})
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_attribute")
    answer = await send("application/cloudevents+xml", EVENT)
    assert (answer.status_code, answer.json()["code"]) == (415, "bad_content_type")
    found = await stored(log, 4)
    assert [one.message_id for one in found] == ["c1", "c2", "c4", "c5"]
    assert {(one.event, one.people[0].value, one.things[0].value) for one in found} == {("Order Completed", "ann", "7")}
    assert found[3].occurred_at.isoformat() == "2026-06-01T12:00:00+00:00"


async def test_pixels_are_pictures_with_a_true_status(collector: httpx.AsyncClient, log: Log) -> None:
    opened = {"writeKey": "demo-web", "userId": "ann", "event": "Email Opened", "messageId": "p1"}
    data = base64.urlsafe_b64encode(orjson.dumps(opened)).decode()
    page = {"writeKey": "demo-web", "anonymousId": "visitor", "name": "Terms", "context.page.path": "/terms"}
    for query in (f"/v1/pixel/track?data={data}", *["/pixel/v1/page?" + urlencode(page)] * 2):
        answer = await collector.get(query)
        assert (answer.status_code, answer.content) == (200, GIF)
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["cache-control"] == "no-store"
    found = await stored(log, 3)
    assert len({one.message_id for one in found}) == 3
    assert sorted(one.event for one in found) == ["Email Opened", "Terms", "Terms"]
    for query, status, code in (
        ("/pixel/v1/track?writeKey=nobody&userId=ann&event=x", 401, "unknown_key"),
        ("/pixel/v1/track?userId=ann&event=x", 401, "missing_key"),
        ("/pixel/v1/track?writeKey=demo-web&userId=ann", 400, "missing_event"),
        ("/pixel/v1/track?writeKey=demo-web&event=Invoice+Paid&properties.invoice_id=1", 403, "needs_server_key"),
        ("/v1/pixel/track?data=%25", 400, "bad_base64"),
    ):
        answer = await collector.get(query, headers=PAGE)
        assert (answer.status_code, answer.content, answer.headers["x-pathline-code"]) == (status, GIF, code)
        assert "x-pathline-code" in answer.headers["access-control-expose-headers"]


async def test_a_merge_joins_two_names(collector: httpx.AsyncClient, log: Log) -> None:
    body = {
        "userId": "ann", "messageId": "m1",
        "mergeProperties": [{"type": "anonymous_id", "value": "visitor"}, {"type": "user_id", "value": "ann"}],
    }  # fmt: skip
    answer = await collector.post("/v1/merge", content=orjson.dumps(body), auth=("demo-web", ""))
    assert (answer.status_code, answer.json()["code"]) == (403, "needs_server_key")
    answer = await collector.post("/v1/merge", content=orjson.dumps({**body, "writeKey": "demo"}))
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    answer = await collector.post("/v1/merge", content=orjson.dumps({"mergeProperties": []}), auth=("demo", ""))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_merge")
    [found] = await stored(log, 1)
    assert (found.type, found.previous_id, found.people[0].value) == ("alias", "visitor", "ann")
    assert b"writeKey" not in log.records[0].value


async def test_what_segment_s_sdks_fetch(collector: httpx.AsyncClient) -> None:
    answer = await collector.get("/v1/projects/demo-web/settings", headers=PAGE)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    ours = answer.json()["integrations"]["Segment.io"]
    assert f"{ours['protocol']}://{ours['apiHost']}" == f"{collector.base_url}/v1"
    told = {"host": "c.example", "x-forwarded-proto": "https"}
    ours = (await collector.get("/v1/projects/demo-web/settings", headers=told)).json()["integrations"]["Segment.io"]
    assert (ours["protocol"], ours["apiHost"]) == ("https", "c.example/v1")
    for key, more, status, code in (
        ("nobody", {}, 404, "unknown_key"),
        ("demo-web", {"x-forwarded-for": "192.0.2.1"}, 403, "local_key"),
        ("demo-web", {"host": "a b"}, 400, "bad_host"),
    ):
        answer = await collector.get(f"/v1/projects/{key}/settings", headers={**PAGE, **more})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"


async def test_what_rudderstack_s_sdks_fetch(collector: httpx.AsyncClient) -> None:
    asked = {**PAGE, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    answer = await collector.options("/sourceConfig/", headers=asked)
    assert answer.status_code == 200
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    for path, auth in (
        ("/sourceConfig/?p=npm&writeKey=demo-web", None),
        ("/sourceConfig/", ("demo-web", "")),
        ("/sourceConfig", ("demo", "")),
    ):
        answer = await collector.get(path, headers=PAGE, auth=auth)
        assert answer.status_code == 200
        assert answer.json()["source"]["enabled"] is True
    assert (await collector.head("/sourceConfig/?writeKey=demo-web")).content == b""
    for path, code in (("/sourceConfig/?writeKey=nobody", "unknown_key"), ("/sourceConfig/", "missing_key")):
        answer = await collector.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
    answer = await collector.post("/sourceConfig/", content=b"{}")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD, OPTIONS",
    )


async def test_the_address_that_is_set_is_told(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topic_prefix: str, topics: Topics, pool: asyncpg.Pool
) -> None:
    await add_demo_keys(database)
    env = {**environment(stack.bootstrap, database, topic_prefix), "PATHLINE_PUBLIC_COLLECTOR": "https://c.example/in"}
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        told = (await client.get("/v1/projects/demo-web/settings")).json()
        assert told["integrations"]["Segment.io"]["apiHost"] == "c.example/in/v1"


async def test_the_document_describes_every_address(collector: httpx.AsyncClient) -> None:
    paths = json.loads((await collector.get("/openapi.json")).content)["paths"]
    assert set(paths[TP2]) == {"post"} and set(paths["/i"]) == {"get"}
    assert set(paths["/v1/pixel/track"]) == set(paths["/pixel/v1/page"]) == {"get"}
    assert {"/v1/cloudevents", "/v1/merge", "/v1/projects/{key}/settings", "/sourceConfig/"} <= set(paths)
