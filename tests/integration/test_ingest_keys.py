"""What a write key's policy lets through, on a running collector; changed, rotated and revoked while it runs."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import signal
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pathline.contracts import accepted
from pathline.kit.kafka import Topics
from pathline.storage import keys
from pathline.storage.keys import Kind, Policy
from tests.conftest import Stack
from tests.support.collector import Log, add_demo_keys, environment, is_ready, metric, post, running, viewed
from tests.support.records import until

pytestmark = pytest.mark.integration

SHOP = {"origin": "https://shop.example"}


class Key:
    """A key of its own for a test, and calls with it."""

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self._client = client
        self._auth = (name, "")

    async def send(self, body: Any, path: str = "/v1/track", **more: Any) -> tuple[int, str | None]:
        """The status, and the code if there is one."""
        answer = await post(self._client, path, body, **{"auth": self._auth, **more})
        return answer.status_code, answer.json().get("code")

    async def known(self) -> bool:
        """Whether the collector knows it; to ask costs nothing of its rate."""
        answer = await self._client.get(f"/v1/projects/{self._auth[0]}/settings")
        return answer.status_code != httpx.codes.NOT_FOUND


async def made(
    client: httpx.AsyncClient, pool: asyncpg.Pool, name: str, kind: Kind = "browser", **policy: Any
) -> Key:  # fmt: skip
    assert await keys.create(pool, name=name, key=name, kind=kind, policy=Policy(**policy)) is not None
    key = Key(client, name)
    await until(key.known)
    return key


async def test_only_the_sites_of_its_list_may_send(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    key = await made(collector, pool, "sites", origins=("https://shop.example", "https://*.shop.example"))
    for origin in ("https://shop.example", "https://m.shop.example"):
        assert await key.send(viewed(1), headers={"origin": origin}) == (200, None)
    assert await key.send(viewed(1), headers={"origin": "https://evil.example"}) == (403, "origin_not_allowed")
    assert await key.send(viewed(1)) == (200, None)


async def test_a_preflight_is_answered_for_the_sites_of_all_keys_together(
    collector: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    async def allowed(origin: str) -> bool:
        answer = await collector.options("/v1/t", headers={"origin": origin})
        assert answer.status_code == 200
        return "access-control-allow-origin" in answer.headers

    assert await allowed("https://evil.example")
    await made(collector, pool, "first", origins=("https://one.example",))
    await made(collector, pool, "second", origins=("https://two.example",))
    # The demo's browser key may be used from everywhere, and so are all others of this file.
    for key in await keys.active(pool):
        if key.kind == "browser" and key.policy is not None and not key.policy.origins:
            await keys.revoke(pool, key.name)

    async def closed() -> bool:
        return not await allowed("https://evil.example")

    await until(closed)
    assert await allowed("https://one.example") and await allowed("https://two.example")


async def test_only_the_events_of_its_list_may_be_sent(
    collector: httpx.AsyncClient, pool: asyncpg.Pool, log: Log
) -> None:
    key = await made(collector, pool, "events", events=("Product Viewed",))
    assert await key.send(viewed(1)) == (200, None)
    assert await key.send(viewed(2, event="Cart Viewed")) == (403, "event_not_allowed")
    assert await key.send({"userId": "ann", "name": "Home"}, "/v1/page") == (200, None)
    batch = {"batch": [viewed(3), viewed(4, event="Cart Viewed")]}
    answer = await post(collector, "/v1/batch", batch, auth=("events", ""))
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [(1, "event_not_allowed")]
    await log.read(3)


async def test_calls_beyond_its_rate_are_put_off_and_others_are_not(
    collector: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    key = await made(collector, pool, "slow", calls_per_second=1, burst=3)
    # More than it may at once: they are paid for in the ten minutes after, which no busy machine takes for this test.
    assert await key.send({"batch": [viewed(number) for number in range(600)]}, "/v1/batch") == (200, None)
    answer = await post(collector, "/v1/track", viewed(600), auth=("slow", ""))
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 600
    assert (await post(collector, "/v1/track", viewed(601))).status_code == 200


async def test_its_sizes_go_before_the_collector_s(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    key = await made(collector, pool, "small", body_bytes_max=2_000, call_bytes_max=500, batch_calls_max=3)
    long = viewed(1, properties={"text": "x" * 600})
    assert await key.send(long) == (413, "call_too_large")
    assert await key.send({"batch": [viewed(1)] * 4}, "/v1/batch") == (413, "too_many_calls")
    assert await key.send(gzip.compress(b" " * 3_000 + b"{}"), "/v1/batch") == (413, "body_too_large")
    answer = await post(collector, "/v1/batch", {"batch": [viewed(1), long]}, auth=("small", ""))
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (200, "call_too_large")


async def test_addresses_are_kept_as_the_policy_says(
    collector: httpx.AsyncClient, pool: asyncpg.Pool, log: Log
) -> None:
    shown = {"ip": "203.0.113.77", "locale": "en-GB"}
    expected = {"full": "203.0.113.77", "truncated": "203.0.113.0", "none": None}
    for number, addresses in enumerate(keys.ADDRESSES):
        key = await made(collector, pool, f"ip-{addresses}", addresses=addresses)
        assert await key.send(viewed(number, context=shown)) == (200, None)
        batch = {"batch": [viewed(number + 10)], "context": shown}
        assert await key.send(batch, "/v1/batch") == (200, None)
    for record in await log.read(6):
        got = accepted.decode(record.value)
        context = got.call.context or got.shared
        assert context.get("ip") == expected[got.source.removeprefix("ip-")]
        assert context["locale"] == "en-GB"
        assert (b"203.0.113.77" in record.value) == (got.source == "ip-full")


async def test_a_privacy_signal_is_noted_or_refused(collector: httpx.AsyncClient, pool: asyncpg.Pool, log: Log) -> None:
    signal = {"sec-gpc": "1"}
    noting = await made(collector, pool, "noting")
    refusing = await made(collector, pool, "refusing", privacy_signal="refuse")
    assert await noting.send(viewed(1), headers=signal) == (200, None)
    assert await noting.send(viewed(2)) == (200, None)
    assert await refusing.send(viewed(3), headers=signal) == (403, "privacy_signal")
    assert await refusing.send(viewed(4)) == (200, None)
    # The request of a server says nothing of a person's browser.
    assert (await post(collector, "/v1/track", viewed(5), headers=signal)).status_code == 200
    noted = {
        accepted.decode(one.value).message_id: accepted.decode(one.value).privacy_signal for one in await log.read(4)
    }
    assert noted == {"m1": True, "m2": False, "m4": False, "m5": False}


async def test_a_rotated_secret_is_the_same_sender_and_the_old_one_is_taken_for_a_while(
    collector: httpx.AsyncClient, pool: asyncpg.Pool, log: Log
) -> None:
    old = await made(collector, pool, "till", "server")
    new = Key(collector, "till-new")
    assert await keys.rotate(pool, "till", key="till-new", overlap=timedelta(hours=1))
    await until(new.known)
    assert await old.send(viewed(1)) == (200, None)
    assert await new.send(viewed(2)) == (200, None)
    assert {accepted.decode(one.value).source for one in await log.read(2)} == {"till"}
    assert await keys.rotate(pool, "till", key="till-newer", overlap=timedelta(0))

    async def ended() -> bool:
        return not await new.known()

    await until(ended)
    assert await keys.create(pool, name="thief", key="till-new", kind="server") is None
    assert await keys.revoke(pool, "till")
    newer = Key(collector, "till-newer")

    async def revoked() -> bool:
        return not await newer.known()

    await until(revoked)


async def test_a_change_holds_without_a_restart(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    key = await made(collector, pool, "changing")
    assert await key.send(viewed(1), headers=SHOP) == (200, None)
    await keys.set_policy(pool, "changing", Policy(origins=("https://other.example",)))

    async def changed() -> bool:
        return await key.send(viewed(1), headers=SHOP) == (403, "origin_not_allowed")

    await until(changed)


async def test_one_key_cannot_take_the_room_of_another(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, database: str, topics: Topics, topic_prefix: str, pool: asyncpg.Pool
) -> None:
    """While the log gives no ack what is sent is held: of one key no more than its share."""
    await add_demo_keys(database)
    env = {
        **environment(stack.bootstrap, database, topic_prefix),
        "PATHLINE_BODY_BYTES_MAX": "65536",
        "PATHLINE_BYTES_IN_FLIGHT_MAX": str(16 * 1_048_576),
        "PATHLINE_KEY_SHARE": "0.1",
        "PATHLINE_ACK_SECONDS": "20",
    }
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        greedy = await made(client, pool, "greedy", "server")
        modest = await made(client, pool, "modest", "server")
        large = {"batch": [viewed(n, properties={"text": "x" * 30_000}) for n in range(2)]}
        broker = stack.children["kafka"].pid
        assert broker is not None
        os.kill(broker, signal.SIGSTOP)
        try:
            floods = [asyncio.create_task(greedy.send(large, "/v1/batch")) for _ in range(60)]
            for flood in itertools.islice(asyncio.as_completed(floods), 30):
                assert await flood == (503, "key_overloaded")
            waiting = asyncio.create_task(modest.send(viewed(1)))
            await asyncio.wait({waiting}, timeout=0.5)
            assert not waiting.done()
        finally:
            os.kill(broker, signal.SIGCONT)
        assert await waiting == (200, None)
        assert {status for status, _ in await asyncio.gather(*floods)} == {200, 503}


async def test_a_policy_of_a_newer_version_puts_its_calls_off_and_nobody_else_s(
    collector: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    """While some of several collectors are upgraded the others must neither end nor ignore a new restriction."""
    old, new = await made(collector, pool, "as-ever"), await made(collector, pool, "newer")

    async def put_off() -> bool:
        return await new.send(viewed(1)) == (503, "keys_unavailable")

    for policy in ('{"addresses":"hashed"}', '{"countries":["DE"]}'):
        await pool.execute("UPDATE write_key SET policy = $1::json WHERE name = 'newer'", policy)
        await until(put_off)
        assert await metric(collector, "pathline_ingest_keys_unreadable ") == 1
        assert await old.send(viewed(2)) == (200, None)
        assert {key.name for key in await keys.list_all(pool) if key.policy is None} == {"newer"}
        await keys.set_policy(pool, "newer", Policy())
        await until(lambda: taken(new))


async def taken(key: Key) -> bool:
    return await key.send(viewed(3)) == (200, None)


async def test_a_header_of_another_scheme_hides_no_key(collector: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await made(collector, pool, "behind-a-proxy")
    for foreign in ("Digest username=staging", "Basic OnNlY3JldA=="):
        headers = {"authorization": foreign}
        for path, body in (
            ("/v1/track?writeKey=behind-a-proxy", viewed(1)),
            ("/v1/track", viewed(2, writeKey="behind-a-proxy")),
            ("/v1/batch", {"batch": [viewed(3)], "writeKey": "behind-a-proxy"}),
        ):
            answer = await post(collector, path, body, auth=None, headers=headers)
            assert answer.status_code == httpx.codes.OK, (foreign, path, answer.text)
        told = await collector.get("/sourceConfig/?writeKey=behind-a-proxy", headers=headers)
        assert told.status_code == httpx.codes.OK
