"""What is refused is a dead letter, and `pathline dead-letters` lists it, shows it and sends it once more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import httpx
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from typer.testing import CliRunner

from pathline import cli
from pathline.commands import replaying
from pathline.commands.replaying import Choice, Verdict
from pathline.contracts.letters import Letter, encode
from pathline.kit.kafka import Topics
from pathline.storage import keys, letters, sources
from pathline.storage.keys import Policy
from pathline.storage.letters import DeadLetter
from tests.conftest import Stack
from tests.support.collector import add_demo_keys, environment, is_ready, metric, post, running, viewed
from tests.support.letters import Stitcher, put, read, rows
from tests.support.records import record, until

pytestmark = pytest.mark.integration

PROGRAM = cli.make_app(["dead_letters"])

NAMELESS = {"type": "track", "userId": "ann", "messageId": "nameless"}
"""A track call without an event."""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str
    raw: bytes


class Place:
    """A collector, a stitcher and the command line on one database and one Kafka."""

    def __init__(self, client: httpx.AsyncClient, pool: asyncpg.Pool[Any]) -> None:
        self.client = client
        self.pool = pool

    async def run(self, *arguments: object, stdin: bytes = b"") -> Ended:
        """`pathline dead-letters` with these arguments, in a thread: it has a loop of its own."""
        words = ["dead-letters", *map(str, arguments)]
        result = await asyncio.to_thread(CliRunner().invoke, PROGRAM, words, input=stdin)
        return Ended(result.exit_code, result.stdout, result.stderr, result.stdout_bytes)

    async def stored(self, message_id: str) -> list[Any]:
        """The touchpoints with this id."""
        return list(await self.pool.fetch("SELECT * FROM touchpoint WHERE message_id = $1", message_id))

    async def settle(self) -> None:
        """Wait until a call that is sent now has come through, and with it all that was sent before."""
        sent = [viewed(0, userId=f"u{n}", messageId=f"settle-{os.urandom(6).hex()}") for n in range(20)]
        assert (await post(self.client, "/v1/batch", {"batch": sent})).status_code == 200
        ids = [one["messageId"] for one in sent]

        async def through() -> bool:
            found = await self.pool.fetchval("SELECT count(*) FROM touchpoint WHERE message_id = ANY($1)", ids)
            return bool(found == len(ids))

        await until(through)


@pytest.fixture
async def env(stack: Stack, database: str, topic_prefix: str, pool: asyncpg.Pool[Any]) -> dict[str, str]:
    await add_demo_keys(database)
    await pool.execute("DELETE FROM dead_letter")
    return {
        **environment(stack.bootstrap, database, topic_prefix),
        "PATHLINE_STITCHER": "127.0.0.1:0",
        "PATHLINE_TICK_MS": "50",
        "PATHLINE_DEAD_LETTERS_PER_SECOND": "20",
    }


@pytest.fixture
async def place(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], topics: Topics, pool: asyncpg.Pool[Any]
) -> AsyncIterator[Place]:
    async with running(monkeypatch, env) as client:
        stitcher = Stitcher()
        await until(lambda: is_ready(client))
        yield Place(client, pool)
        await stitcher.end()


async def test_the_bad_calls_of_a_batch_are_letters_with_their_bytes_and_their_codes(
    place: Place, stack: Stack, topics: Topics
) -> None:
    good, nobody = orjson.dumps(viewed(1)), b'{"type":"track", "event":"Seen",  "userId":"null"}'
    before = datetime.now(UTC)
    body = b'{"context":{"locale":"de-DE"},"batch":[%b,%b,%b,7]}' % (good, orjson.dumps(NAMELESS), nobody)
    answer = await post(place.client, "/v1/batch", body)
    assert answer.status_code == 200
    assert [one["code"] for one in answer.json()["rejected"]] == ["missing_event", "no_subject", "not_an_object"]
    # Whoever is answered can rely on them: they are on the topic by then.
    assert len(await read(stack.bootstrap, topics.dead_letters)) == 3
    found = {row["code"]: row for row in await rows(place.pool, 3)}
    assert {code: row["value"] for code, row in found.items()} == {
        "missing_event": orjson.dumps(NAMELESS), "no_subject": nobody, "not_an_object": b"7",
    }  # fmt: skip
    for row in found.values():
        assert (row["stage"], row["source"], row["namespace"], row["size"]) == ("collector", "demo", "default", None)
        assert before - timedelta(seconds=1) < row["received_at"] < datetime.now(UTC)
        assert '["pathline.call.context","{\\"locale\\":\\"de-DE\\"}"]' in row["headers"]
    assert await metric(place.client, 'pathline_dead_letters_total{outcome="stored"}') == 3


async def test_a_single_call_is_one_where_its_key_is_known_and_nothing_is_kept_of_strangers(place: Place) -> None:
    assert (await post(place.client, "/v1/track", NAMELESS, auth=("nobody", ""))).status_code == 401
    assert (await post(place.client, "/v1/track", b"{", auth=None)).status_code == 400
    assert (await post(place.client, "/v1/batch", {"batch": [{}]}, auth=("nobody", ""))).status_code == 401
    assert (await post(place.client, "/v1/track", b'{"cut')).status_code == 400
    assert (await post(place.client, "/v1/t", {"writeKey": "demo-web", "userId": "a"}, auth=None)).status_code == 400
    assert (await post(place.client, "/v1/batch", {"batch": [{"type": "x"}]})).status_code == 400
    found = await rows(place.pool, 3)
    assert {(row["source"], row["code"]) for row in found} == {
        ("demo", "invalid_json"), ("demo-web", "missing_event"), ("demo", "unknown_type"),
    }  # fmt: skip


async def test_a_secret_and_an_address_that_a_policy_keeps_out_are_in_no_letter(place: Place, database: str) -> None:
    secret = "pls_0123456789abcdef0123456789"
    async with place.pool.acquire() as db:
        await keys.create(db, name="till", key=secret, kind="server", policy=Policy(addresses="truncated"))
    call = {**NAMELESS, "writeKey": secret, "context": {"ip": "192.0.2.77"}}

    async def known() -> bool:
        return (await post(place.client, "/v1/track", call, auth=None)).status_code == 400

    await until(known)
    (row,) = await rows(place.pool, 1)
    kept = orjson.loads(row["value"])
    assert (kept["writeKey"], kept["context"]["ip"]) == ("(write key)", "192.0.2.0")


async def test_a_flood_is_kept_within_its_share_and_counted_beyond(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], topics: Topics, stack: Stack
) -> None:
    env |= {"PATHLINE_DEAD_LETTERS_PER_SECOND": "1", "PATHLINE_DEAD_LETTER_BYTES_MAX": "1024"}
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        begun = asyncio.get_running_loop().time()
        for _ in range(3):
            answer = await post(client, "/v1/batch", {"batch": [NAMELESS] * 300})
            assert answer.status_code == 400 and len(answer.json()["rejected"]) == 300
        # Another key has a share of its own.
        await post(client, "/v1/track", {"userId": "a", "x": "y" * 5_000}, auth=("demo-web", ""))
        seconds = asyncio.get_running_loop().time() - begun
        stored, dropped, lost = [
            await metric(client, f'pathline_dead_letters_total{{outcome="{one}"}}')
            for one in ("stored", "dropped", "not_stored")
        ]
        assert (stored + dropped, lost) == (901, 0)
        assert 61 <= stored <= 62 + seconds
    kept = await read(stack.bootstrap, topics.dead_letters)
    assert len(kept) == stored
    (cut,) = [one for one in kept if one.source == "demo-web"]
    assert len(cut.value or b"") == 1_024 < (cut.size or 0)


async def test_where_letters_cannot_be_written_good_calls_count_and_the_answer_is_the_same(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], topics: Topics, stack: Stack
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    await admin.delete_topics([topics.dead_letters])
    await admin.close()
    async with running(monkeypatch, env) as client:
        await until(lambda: is_ready(client))
        answer = await post(client, "/v1/batch", {"batch": [viewed(1), NAMELESS]})
        assert answer.status_code == 200 and [one["index"] for one in answer.json()["rejected"]] == [1]
        assert (await post(client, "/v1/track", NAMELESS)).json()["code"] == "missing_event"
        assert await metric(client, 'pathline_dead_letters_total{outcome="not_stored"}') == 2
        assert (await client.get("/health/ready")).status_code == 200


async def test_they_are_listed_and_shown_and_what_they_hold_does_nothing_to_a_terminal(place: Place) -> None:
    nasty = {"userId": "a\u001b]0;owned\u0007", "note": "\u202egnp.exe\nreplayed  yes", "event": 1}
    for call in (nasty, NAMELESS, NAMELESS):
        await post(place.client, "/v1/track", call)
    await rows(place.pool, 3)
    listed = await place.run("list", "--json", "--code", "missing_event", "--source", "demo", "--limit", "2")
    lines = [orjson.loads(line) for line in listed.out.splitlines()]
    assert [line["code"] for line in lines] == ["missing_event"] * 2 and lines[0]["id"] > lines[1]["id"]
    assert "the newest 2" in listed.err and listed.status == 0
    table = (await place.run("list")).out.splitlines()
    assert table[0].split()[:5] == ["id", "found", "by", "source", "code"] and len(table) == 4
    assert (await place.run("list", "--source", "nobody")).out.count("\n") == 1

    (first,) = [row for row in await rows(place.pool, 3) if b"owned" in row["value"]]
    shown = await place.run("show", first["id"])
    assert all(one.isprintable() or one == "\n" for one in shown.out)
    assert "\\u202e" not in shown.out.split("\n\n")[0] and "| " in shown.out
    assert not any(line.startswith("replayed  yes") for line in shown.out.splitlines())
    assert (await place.run("show", first["id"], "--raw")).raw == first["value"]
    told = orjson.loads((await place.run("show", first["id"], "--json")).out)
    assert (told["value"].encode(), told["code"], told["stage"]) == (first["value"], "missing_event", "collector")
    missing = await place.run("show", 10**12)
    assert missing.status == 1 and "[not_found]" in missing.err
    missing = await place.run("replay", 10**12)
    assert missing.status == 1 and "[not_found]" in missing.out


async def test_a_mended_call_comes_into_its_journey_once_as_of_when_it_was_received(place: Place) -> None:
    await post(place.client, "/v1/batch", {"batch": [NAMELESS], "context": {"channel": "app"}})
    (row,) = await rows(place.pool, 1)
    refused = await place.run("replay", row["id"])
    assert refused.status == 1 and "[missing_event]" in refused.out and "0 replayed, 1 not" in refused.err
    mended = orjson.dumps({**NAMELESS, "event": "Product Viewed"}) + b"\n"
    checked = await place.run("replay", row["id"], "--with", "-", "--check", stdin=mended)
    assert checked.status == 0 and checked.out == f"{row['id']} accepted\n"
    assert await place.pool.fetchval("SELECT replayed_at FROM dead_letter WHERE id = $1", row["id"]) is None
    for _ in range(2):
        sent = await place.run("replay", row["id"], "--with", "-", "--json", stdin=mended)
        assert (sent.status, orjson.loads(sent.out)) == (0, {"id": row["id"], "outcome": "replayed"})
    await place.settle()
    (stored,) = await place.stored("nameless")
    assert (stored["source"], stored["event"], stored["channel"]) == ("demo", "Product Viewed", "app")
    assert stored["received_at"] == row["received_at"] == stored["occurred_at"]
    assert await place.pool.fetchval("SELECT replayed_at IS NOT NULL FROM dead_letter WHERE id = $1", row["id"])


async def test_what_is_accepted_by_now_is_replayed_by_its_code_and_the_rest_says_why_not(
    place: Place, topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    # As a version left them that knew less: the records are good ones today, but for one.
    values = [
        record({"userId": f"r{n}", "event": "Product Viewed"}, message_id=f"r{n}", source="shop") for n in range(120)
    ]
    bad = record({"userId": "null", "event": "Product Viewed"}, message_id="bad", source="shop")
    left = [DeadLetter(0, n, "old_code", "m", b"k", value, "[]", "shop") for n, value in enumerate([*values, bad])]
    async with pool.acquire() as db, db.transaction():
        await letters.write(db, topics.touchpoints, "stitcher", left)
    ended = await place.run("replay", "--code", "old_code")
    assert ended.status == 1 and ended.err == "120 replayed, 1 not\n"
    assert ended.out.splitlines()[-1].endswith("by a value that can be used [no_subject]")
    again = await place.run("replay", "--all")
    assert again.status == 1 and again.err == "0 replayed, 1 not\n"
    await place.settle()
    assert await pool.fetchval("SELECT count(*) FROM touchpoint WHERE source = 'shop'") == 120


async def test_what_becomes_a_letter_again_while_it_is_replayed_is_not_met_again(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], topics: Topics, pool: asyncpg.Pool[Any]
) -> None:
    for name, setting in env.items():
        monkeypatch.setenv(name, setting)
    count = 2 * replaying.AT_ONCE + 20
    value = record({"event": "Product Viewed", "userId": "ann"}, message_id="again", source="shop")
    made = iter(range(10 * count))

    async def refused(how_many: int) -> None:
        async with pool.acquire() as db, db.transaction():
            left = [DeadLetter(0, next(made), "too_much", "m", b"k", value, "[]", "shop") for _ in range(how_many)]
            await letters.write(db, topics.touchpoints, "stitcher", left)

    send = replaying.Post.send

    async def refused_again(post: replaying.Post, good: Any) -> None:
        # A stitcher that is as quick as it can be, and takes none of them.
        await send(post, good)
        await refused(len(good))

    monkeypatch.setattr(replaying.Post, "send", refused_again)
    await refused(count)
    told: list[Verdict] = []
    tally = await replaying.run(Choice([], "too_much", None, None), check=False, tell=told.append)
    assert tally == (count, 0) and len({verdict.id for verdict in told}) == len(told) == count
    left = await pool.fetch("SELECT id FROM dead_letter WHERE replayed_at IS NULL")
    assert len(left) == count and not {row["id"] for row in left} & {verdict.id for verdict in told}


async def test_what_a_source_of_webhooks_sent_is_replayed_by_its_name_while_the_source_is_in_use(
    place: Place, stack: Stack, topics: Topics
) -> None:
    async with place.pool.acquire() as db:
        await sources.create(db, name="shop-eu", provider="shopify", secret="s" * 32, namespace="eu")
    # As a collector left it that did not know the event, with another of a source that nobody knows.
    received = datetime.now(UTC) - timedelta(hours=3)
    for source in ("webhook:shop-eu", "webhook:gone", "shop-eu"):
        call = {"type": "track", "event": "Product Viewed", "userId": "ann", "messageId": f"hook {source}"}
        letter = Letter(
            stage="collector", code="missing_event", message="m", topic=topics.touchpoints, source=source, namespace="eu",
            received_at=received,
        )  # fmt: skip
        await put(stack.bootstrap, topics.dead_letters, orjson.dumps(call), encode(letter), source.encode())
    found = {row["source"]: row["id"] for row in await rows(place.pool, 3)}
    sent = await place.run("replay", "--source", "webhook:shop-eu")
    assert (sent.status, sent.out) == (0, f"{found['webhook:shop-eu']} replayed\n")
    for source in ("webhook:gone", "shop-eu"):
        refused = await place.run("replay", "--source", source)
        assert refused.status == 1 and "[unknown_key]" in refused.out
    await place.settle()
    (stored,) = await place.stored("hook webhook:shop-eu")
    assert (stored["source"], stored["received_at"]) == ("webhook:shop-eu", received)
    assert not await place.stored("hook webhook:gone") and not await place.stored("hook shop-eu")
    async with place.pool.acquire() as db:
        await db.execute("UPDATE webhook_source SET revoked_at = now() WHERE name = 'shop-eu'")
    revoked = await place.run("replay", found["webhook:shop-eu"])
    assert revoked.status == 1 and "[unknown_key]" in revoked.out
