"""The collector against real Kafka and PostgreSQL, spoken to over HTTP as SDKs do."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator

import asyncpg
import httpx
import msgspec
import orjson
import pytest

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.storage import keys
from tests.support.collector import Log, metric, post, viewed
from tests.support.records import until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "forms", [("identify", "i"), ("track", "t"), ("page", "p"), ("screen", "s"), ("group", "g"), ("alias", "a")]
)
async def test_every_call_by_both_of_its_addresses(
    collector: httpx.AsyncClient, log: Log, forms: tuple[str, str]
) -> None:
    for form in forms:
        call = {
            "userId": "ann",
            "event": "Product Viewed",
            "groupId": "acme",
            "previousId": "visitor",
            "messageId": form,
        }
        answer = await post(collector, f"/v1/{form}", call)
        assert (answer.status_code, answer.content) == (200, b'{"success":true}')
        assert answer.headers["content-type"] == "application/json"
    for record in await log.read(2):
        touchpoint = to_touchpoint(accepted.decode(record.value))
        assert touchpoint.type == forms[0]
        assert record.key == b"default/user_id/ann"
        assert abs(record.timestamp - touchpoint.received_at.timestamp() * 1_000) < 2


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"])
async def test_a_batch_stores_what_is_good_and_says_what_is_not(
    collector: httpx.AsyncClient, log: Log, path: str
) -> None:
    batch = [viewed(0), {"type": "nonsense"}, viewed(2), viewed(3, userId="\ud800"), viewed(4)]
    raw = b'{"batch":[' + b",".join(msgspec.json.encode(call) if call.get("userId") != "\ud800" else
                                    b'{"type":"page","userId":"\\ud800"}' for call in batch) + b"]}"  # fmt: skip
    answer = await post(collector, path, raw)
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [(1, "unknown_type"), (3, "bad_character")]
    assert {accepted.decode(record.value).message_id for record in await log.read(3)} == {"m0", "m2", "m4"}
    assert await metric(collector, 'pathline_ingest_touchpoints_total{outcome="accepted"}') == 3
    assert await metric(collector, 'pathline_ingest_touchpoints_total{outcome="unknown_type"}') == 1


async def test_a_batch_with_nothing_good_is_refused(collector: httpx.AsyncClient) -> None:
    answer = await post(collector, "/v1/batch", {"batch": [{"type": "page"}, {"type": "x", "userId": "ann"}]})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["success"], body["code"]) == (False, "none_accepted")
    assert [one["code"] for one in body["rejected"]] == ["no_subject", "unknown_type"]


async def test_the_calls_of_one_person_keep_their_order(collector: httpx.AsyncClient, log: Log) -> None:
    people = [f"user-{number}" for number in range(20)]

    async def live(person: str) -> None:
        for step in range(10):
            answer = await post(collector, "/v1/track", viewed(step, userId=person, messageId=f"{person}/{step}"))
            assert answer.status_code == 200

    batch = [viewed(step, userId="batched", messageId=f"batched/{step}") for step in range(300)]
    await asyncio.gather(post(collector, "/v1/batch", {"batch": batch}), *map(live, people))
    seen: dict[str, list[int]] = {}
    partitions: dict[str, set[int]] = {}
    for record in await log.read(500):
        person, step = accepted.decode(record.value).message_id.split("/")
        seen.setdefault(person, []).append(int(step))
        partitions.setdefault(person, set()).add(record.partition)
    assert seen.pop("batched") == list(range(300))
    assert all(steps == list(range(10)) for steps in seen.values())
    assert all(len(found) == 1 for found in partitions.values())


async def test_the_context_and_clock_of_a_batch_hold_for_its_calls(collector: httpx.AsyncClient, log: Log) -> None:
    body = {
        "writeKey": "demo-web", "sentAt": "2011-01-01T00:01:00Z", "context": {"device": {"id": "d1"}, "library": {"name": "analytics-swift"}},
        "batch": [{"type": "screen", "messageId": "1", "timestamp": "2011-01-01T00:00:00Z", "context": {"channel": "nonsense"}}],
    }  # fmt: skip
    answer = await post(collector, "/v1/b", body, auth=None)
    assert answer.status_code == 200
    (record,) = await log.read(1)
    touchpoint = to_touchpoint(accepted.decode(record.value))
    assert (touchpoint.channel, touchpoint.trusted, touchpoint.source) == ("app", False, "demo-web")
    assert [one.value for one in touchpoint.people] == ["d1"]
    assert (touchpoint.received_at - touchpoint.occurred_at).total_seconds() == 60
    assert b"writeKey" not in record.value


async def test_history_keeps_its_times_and_needs_a_server_key(collector: httpx.AsyncClient, log: Log) -> None:
    body = {"historical": True, "batch": [viewed(1, timestamp="2015-05-05T05:05:05Z")]}
    assert (await post(collector, "/v1/import", body)).status_code == 200
    assert (await post(collector, "/v1/track", {**viewed(2), "historical": True})).status_code == 200
    for path, sent in (("/v1/batch", body), ("/v1/track", {**viewed(3), "historical": True})):
        answer = await post(collector, path, sent, auth=("demo-web", ""))
        assert (answer.status_code, answer.json()["code"]) == (403, "needs_server_key")
    first, second = sorted((accepted.decode(one.value) for one in await log.read(2)), key=lambda one: one.message_id)
    assert first.historical and second.historical
    assert first.occurred_at.year == 2015


@pytest.mark.parametrize(
    ("headers", "query", "in_body"),
    [
        ({"authorization": "Basic " + base64.b64encode(b"demo:").decode()}, "", None),
        ({"authorization": "basic " + base64.b64encode(b"demo").decode()}, "", None),
        ({"authorization": "Bearer demo"}, "", None),
        ({}, "?writeKey=demo", None),
        ({}, "", "demo"),
        ({"authorization": "Basic " + base64.b64encode(b":").decode()}, "", "demo"),
    ],
)
async def test_the_key_may_stand_in_many_places(
    collector: httpx.AsyncClient, headers: dict[str, str], query: str, in_body: str | None
) -> None:
    call = viewed(1) if in_body is None else viewed(1, writeKey=in_body)
    answer = await post(collector, f"/v1/track{query}", call, auth=None, headers=headers)
    assert answer.status_code == 200
    batch = {"batch": [viewed(2)]} if in_body is None else {"batch": [viewed(2)], "writeKey": in_body}
    assert (await post(collector, f"/v1/batch{query}", batch, auth=None, headers=headers)).status_code == 200


async def test_a_wrong_key_is_told_so(collector: httpx.AsyncClient) -> None:
    for more, expected in (
        ({"auth": None}, "missing_key"),
        ({"auth": ("nobody", "")}, "unknown_key"),
        ({"auth": None, "headers": {"authorization": "Bearer démo".encode()}}, "unknown_key"),
        ({"auth": None, "params": {"writeKey": "nobody"}}, "unknown_key"),
    ):
        answer = await post(collector, "/v1/track", viewed(1), **more)
        assert (answer.status_code, answer.json()["code"]) == (401, expected)


async def test_keys_come_and_go_without_a_restart(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    async def answered(status: int) -> bool:
        return (await post(collector, "/v1/track", viewed(1), auth=("fresh", ""))).status_code == status

    assert await answered(401)
    await keys.create(pool, name="fresh", key="fresh", kind="server")
    await until(lambda: answered(200), 5)
    await keys.revoke(pool, "fresh")
    await until(lambda: answered(401), 5)


async def test_a_local_key_is_not_believed_through_a_proxy(collector: httpx.AsyncClient) -> None:
    for header in ("x-forwarded-for", "forwarded"):
        answer = await post(collector, "/v1/track", viewed(1), headers={header: "127.0.0.1"})
        assert (answer.status_code, answer.json()["code"]) == (403, "local_key")


async def test_the_media_type_is_ignored_and_gzip_and_chunks_are_read(collector: httpx.AsyncClient, log: Log) -> None:
    body = orjson.dumps({"batch": [viewed(number) for number in range(3)]})
    zipped = {"content-encoding": "gzip", "content-type": "application/x-www-form-urlencoded"}

    async def chunks() -> AsyncIterator[bytes]:
        packed = gzip.compress(body)
        for start in range(0, len(packed), 20):
            yield packed[start : start + 20]

    assert (await post(collector, "/v1/batch", gzip.compress(body), headers=zipped)).status_code == 200
    assert (await post(collector, "/v1/batch", body, headers={"content-type": "text/plain"})).status_code == 200
    answer = await collector.post("/v1/batch", content=chunks(), auth=("demo", ""), headers=zipped)
    assert answer.status_code == 200
    await log.read(9)


async def test_the_trace_goes_with_the_record(collector: httpx.AsyncClient, log: Log) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for number, given in enumerate(
        (trace, trace.upper(), "00-" + "0" * 32 + "-00f067aa0ba902b7-01", trace + "-x", "x")
    ):
        assert (await post(collector, "/v1/track", viewed(number), headers={"traceparent": given})).status_code == 200
    carried = {accepted.decode(one.value).message_id: list(one.headers) for one in await log.read(5)}
    assert carried == {"m0": [("traceparent", trace.encode())], "m1": [], "m2": [], "m3": [], "m4": []}


async def test_browsers_may_ask_from_everywhere(collector: httpx.AsyncClient) -> None:
    origin = {"origin": "https://shop.example"}
    answer = await collector.options("/v1/t", headers=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "7200"
    for header in ("authorization", "content-type", "x-retry-count", "anonymousid", "rsa-retry-reason"):
        assert header in answer.headers["access-control-allow-headers"].split(", ")
    for body in (viewed(1), b"nonsense"):
        answer = await post(collector, "/v1/t", body, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-expose-headers"] == "retry-after, x-pathline-code"
        assert answer.headers["vary"] == "origin"


async def test_the_script_is_served(collector: httpx.AsyncClient) -> None:
    answer = await collector.get("/pathline.js")
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = await collector.get("/pathline.js", headers={"accept-encoding": "identity"})
    assert plain.text == answer.text
    assert plain.headers["etag"] != answer.headers["etag"]
    again = await collector.get("/pathline.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_what_sdks_tell_about_themselves_is_dropped(collector: httpx.AsyncClient) -> None:
    assert (await collector.post("/v1/m", content=b'{"series":[]}')).content == b'{"success":true}'
    assert await metric(collector, 'pathline_ingest_requests_total{route="sdk_metrics",status="200"}') == 1


async def test_other_addresses_and_methods(collector: httpx.AsyncClient) -> None:
    for method, path, expected in (
        ("GET", "/nothing", (404, "not_found")), ("POST", "/v1/nothing", (404, "not_found")),
        ("GET", "/v1/track", (405, "method_not_allowed")), ("DELETE", "/v1/batch", (405, "method_not_allowed")),
        ("POST", "/pathline.js", (405, "method_not_allowed")),
    ):  # fmt: skip
        answer = await collector.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == expected
        assert answer.json()["success"] is False


async def test_the_document_tells_of_every_address(collector: httpx.AsyncClient) -> None:
    document = (await collector.get("/openapi.json")).json()
    assert {"/v1/track", "/v1/b", "/beacon/v1/batch", "/pathline.js"} <= set(document["paths"])
    assert "unknown_key" in document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
