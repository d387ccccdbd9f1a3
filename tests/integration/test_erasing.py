"""`pathline customer erase`: nothing of the person is left in any column of any table, and nobody else loses a thing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.domain.identifiers import Identifier, name_id, touchpoint_id
from pathline.storage import erasing
from pathline.storage.tables import metadata
from tests.support.console import Running, user
from tests.support.records import produce, record

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PERSON = {
    "user_id": ("erased-eve", "erased-eve-2"),
    "email": ("erased@example.com",),
    "phone": ("+12025550147",),
    "anonymous_id": ("erased-browser",),
    "order": ("erased-order-1",),
    "parcel": ("erased-parcel-1",),
    "case": ("erased-case-1",),
}
"""Everything that the person of this test and what they own goes by."""
TRACES = ["Erased Person", *(value for values in PERSON.values() for value in values)]
IDS = [str(name_id("default", kind, value)) for kind, values in PERSON.items() for value in values]

UNTOUCHED = {
    "seen": "hashes of message ids, so that nothing comes back from the log",
    "endpoint": "where notices go",
    "write_key": "who may send",
    "webhook_source": "who may send",
    "source_rhythm": "when a sender was heard",
    "detector": "what runs",
    "detector_act": "what became of it",
    "detector_sweep": "one row",
    "scorer_process": "what runs",
    "stitcher_process": "what runs",
    "rebuild": "how far a rebuild is; none is under way while somebody is erased",
}
"""Tables that have nothing of a person, and what they have."""

_numbers = count()


def call(**given: Any) -> bytes:
    return record(given, message_id=f"erase-{next(_numbers)}")


def life() -> list[bytes]:
    """A person on a site, with a purchase, a parcel, a complaint, an account, an alias; and somebody else beside them."""
    me: dict[str, Any] = {"userId": "erased-eve", "context": {"groupId": "erased-firm"}}
    eve = {"email": "erased@example.com", "phone": "+1 202-555-0147", "name": "Erased Person"}
    return [
        call(type="page", name="Home", anonymousId="erased-browser", properties={"path": "/"}),
        call(type="identify", anonymousId="erased-browser", traits=eve, **me),
        call(event="Order Completed", properties={"order_id": "erased-order-1", "total": "9.00"}, **me),
        call(
            event="Shipment Created",
            properties={"order_id": "erased-order-1", "tracking_number": "erased-parcel-1", "email": eve["email"]},
        ),
        call(event="Contact Opened", properties={"case_id": "erased-case-1", "topic": "delivery"}, **me),
        call(type="alias", userId="erased-eve", previousId="erased-eve-2"),
        call(type="identify", userId="erased-eve-2", traits={"email": "erased@example.com"}),
        # Somebody else: at one browser with them, later; and by themselves.
        call(type="identify", userId="kept-kim", anonymousId="erased-shared", traits={"email": "kim@example.com"}),
        call(type="identify", userId="kept-kim", anonymousId="erased-browser"),
        call(event="Order Completed", userId="kept-kim", properties={"order_id": "kept-1", "total": "1.00"}),
    ]


async def columns(db: Any) -> list[tuple[str, str, str]]:
    rows = await db.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = ANY($1::text[])",
        list(metadata.tables),
    )
    return [tuple(row) for row in rows]


async def met_in(db: Any, texts: Iterable[str]) -> dict[str, set[str]]:
    """In which columns of which tables any of these texts stands, by the table."""
    patterns = [f"%{text}%" for text in texts]
    found: dict[str, set[str]] = {}
    for table, column, kind in await columns(db):
        text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
        if await db.fetchval(f'SELECT true FROM "{table}" WHERE {text} ILIKE ANY($1::text[]) LIMIT 1', patterns):
            found.setdefault(table, set()).add(column)
    return found


async def fill(here: Running) -> None:
    """Rows of the tables that a stitcher and a console alone do not write."""
    order = Identifier("default", "order", "erased-order-1")
    alert = await here.raise_alert(order, title="The parcel of Erased Person is late")
    await here.pool.execute(
        "INSERT INTO alert_cause (detector, cause, alert_id) VALUES ('late_vs_promise', $1, $2)",
        f"{order.id} 2026-01-01",
        alert.id,
    )
    await here.pool.execute("INSERT INTO watch (id, due_at) VALUES ($1, now())", order.id)
    await here.pool.execute(
        "INSERT INTO outbox (endpoint, delivery_id, alert_id, payload, created_at, next_attempt_at)"
        " VALUES ('webhook', 'erased', $1, '{\"title\": \"Erased Person\"}', now(), now() + interval '1 day')",
        alert.id,
    )
    await here.client.post(f"/api/v1/alerts/{alert.id}/note", json={"text": "Erased Person called"})
    await here.pool.execute("INSERT INTO customer_risk (id) VALUES ($1)", name_id("default", "user_id", "erased-eve"))
    await here.pool.execute("INSERT INTO risk_look (entity_id) VALUES ($1)", order.id)
    await here.pool.execute("INSERT INTO rebuild_note (id, told) VALUES ($1, '{}')", order.id)
    await here.pool.execute("INSERT INTO earlier_fact (id, name) VALUES ($1, 'stage.x')", order.id)
    # A fence keeps the hints of the last batch until they are sent.
    now = datetime.now(UTC)
    eve, kim = (name_id("default", "user_id", name) for name in ("erased-eve", "kept-kim"))
    hints = [
        Hint(one, touchpoint_id("demo", f"h{one}"), "h", "Seen", "web", now, now, moved=[eve, kim])
        for one in (eve, kim)
    ]
    await here.pool.execute(
        "INSERT INTO fence (topic, partition, epoch, next_offset, through, cluster_id, hints)"
        " VALUES ('erased', 0, 1, 1, now(), 'none', $1)",
        hint.encode(hints, now),
    )
    letters = [
        b'{"type": "track", "traits": {"mail": "Erased@Example.com"}}',
        b'{"userId": "erased-eve", "event": 5}',
        b"no json, but erased-browser is in it",
        b'{"userId": "erased-eve", "namespace": "another"}',
        b'{"userId": "kept-kim", "note": "erasing is not erased-eve\'s"}',
    ]
    for number, value in enumerate(letters):
        await here.pool.execute(
            'INSERT INTO dead_letter (topic, partition, "offset", code, message, key, value, headers, told_at)'
            " VALUES ('erased', 0, $1, 'bad', 'said so', NULL, $2, '{}', now())",
            number,
            value,
        )
    # An operator's words: one about the person, one that gave somebody else's name back.
    body = {"identifier": {"kind": "email", "value": "erased@example.com"}, "reason": "a trial"}
    split = await here.client.post(f"/api/v1/customers/{user('erased-eve')}/split", json=body)
    assert split.status_code == httpx.codes.OK, split.text
    act = split.json()["act"]["id"]
    await here.client.post(
        f"/api/v1/customers/{user('erased-eve')}/take-back", json={"act": act, "reason": "was right"}
    )
    merge = {"customer_id": user("erased-eve"), "reason": "one person"}
    await here.client.post(f"/api/v1/customers/{user('erased-eve-2')}/merge", json=merge)


async def erase(here: Running, *arguments: str) -> Result:
    program = cli.make_app(["customer"])
    env = {"PATHLINE_DATABASE_URL": here.dsn}
    return await asyncio.to_thread(CliRunner().invoke, program, ["customer", "erase", *arguments], env=env)


async def of_others(here: Running) -> tuple[Any, ...]:
    """What there is of somebody else."""
    kim = await here.get("/customers/lookup", kind="user_id", value="kept-kim")
    return (
        {(one["kind"], one["value"]) for one in kim["identifiers"]} - {("anonymous_id", "erased-browser")},
        kim["touchpoint_count"],
        [one["order_id"] for one in kim["orders"]],
        kim["stages"],
    )


async def test_every_table_is_reached_or_has_nothing_of_a_person(here: Running) -> None:
    await here.send(*life())
    await fill(here)
    before = await met_in(here.pool, [*TRACES, *IDS])
    assert set(before) | set(UNTOUCHED) >= set(metadata.tables) - {"operator_link", "operator_join"}, "tables unmet"
    assert not set(before) & set(UNTOUCHED)
    others = await of_others(here)
    seen = await here.pool.fetchval("SELECT count(*) FROM seen")
    result = await erase(here, "email:erased@example.com", "--yes", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    # The browser was somebody else's, too, next: it is theirs now, without what was done on it before.
    assert told["kept"] == [{"namespace": "default", "kind": "anonymous_id", "value": "erased-browser"}]
    assert told["rows"]["dead_letter"] == 3 and told["rows"]["alert"] == 1
    traces = [one for one in (*TRACES, *IDS) if one not in {"erased-browser", IDS[4]}]
    assert IDS[4] == str(name_id("default", "anonymous_id", "erased-browser"))
    left = await met_in(here.pool, traces)
    # One dead letter of somebody else says a name in a sentence, one is of another namespace: neither is the person's.
    assert left == {"dead_letter": {"value"}}
    assert await here.pool.fetchval("SELECT count(*) FROM dead_letter WHERE topic = 'erased'") == 2
    (left_hint,) = hint.decode(await here.pool.fetchval("SELECT hints FROM fence WHERE topic = 'erased'")).hints
    assert [left_hint.subject] == left_hint.moved == [name_id("default", "user_id", "kept-kim")]
    kept = await met_in(here.pool, ["erased-browser", IDS[4]])
    assert kept == {"identifier": {"id", "value"}}
    assert await of_others(here) == others
    kim = await here.get("/customers/lookup", kind="user_id", value="kept-kim")
    assert {"kind": "anonymous_id", "value": "erased-browser"} in kim["identifiers"]
    assert await here.pool.fetchval("SELECT count(*) FROM seen") == seen
    for kind, values in PERSON.items():
        for value in values if kind != "anonymous_id" else ():
            answer = await here.client.get("/api/v1/customers/lookup", params={"kind": kind, "value": value})
            assert (answer.status_code, answer.json()["code"]) == (404, "customer_not_found")


async def test_who_comes_again_is_new_and_what_was_erased_does_not_come_back(here: Running) -> None:
    again = record({"type": "identify", "userId": "back-ben", "traits": {"email": "ben@example.com"}}, message_id="b1")
    await here.send(again)
    assert (await erase(here, "user_id:back-ben", "--yes")).exit_code == 0
    stored = await here.stored()
    # The log has it once more, as by a retry: what was counted is not counted again.
    await produce(here.stack.bootstrap, here.topics.touchpoints, [again])
    later = record({"type": "page", "name": "Home", "userId": "back-ben"}, message_id="b2")
    await here.send(later)
    assert await here.stored() == stored + 1
    ben = await here.get("/customers/lookup", kind="user_id", value="back-ben")
    assert ben["touchpoint_count"] == 1 and [one["value"] for one in ben["identifiers"]] == ["back-ben"]
    noted = await here.pool.fetchval("SELECT true FROM seen WHERE id = $1", touchpoint_id("demo", "b1"))
    assert noted


async def test_who_is_only_somebody_elses_next_best_is_forgotten_there(here: Running) -> None:
    box = {"email": "erase-box@example.com"}
    for number, name in enumerate(("erase-first", "erase-second")):
        await here.send(record({"type": "identify", "userId": name, "traits": box}, message_id=f"box-{number}"))
    second = user("erase-second")

    async def next_best() -> bool:
        statement = "SELECT pointer::text FROM identifier WHERE value = 'erase-box@example.com'"
        return second in str(await here.pool.fetchval(statement))

    assert await next_best()
    assert (await erase(here, "user_id:erase-second", "--yes")).exit_code == 0
    assert not await next_best()
    first = await here.get("/customers/lookup", kind="email", value="erase-box@example.com")
    assert first["id"] == user("erase-first")


async def test_it_asks_first_and_says_what_stands_in_the_way(here: Running) -> None:
    await here.send(record({"type": "identify", "userId": "erase-asked"}, message_id="asked"))
    asked = await erase(here, "user_id:erase-asked")
    assert asked.exit_code == 1 and "user_id:erase-asked for good" in asked.output
    nobody = await erase(here, "user_id:nobody-at-all", "--yes")
    assert nobody.exit_code == 1 and "[customer_not_found]" in nobody.output
    now = datetime.now(UTC)
    await here.pool.execute(
        "INSERT INTO rebuild (stages, fold_version, phase, started_at, touched_at, expected, positions)"
        " VALUES ('x', 1, 'read', $1, $1, 0, '{}')",
        now,
    )
    try:
        busy = await erase(here, "user_id:erase-asked", "--yes")
        assert busy.exit_code == 1 and "[rebuild_under_way]" in busy.output
    finally:
        await here.pool.execute("DELETE FROM rebuild WHERE stages = 'x'")
    assert (await here.get("/customers/lookup", kind="user_id", value="erase-asked"))["touchpoint_count"] == 1


async def test_a_customer_of_more_names_than_are_read_at_a_time_is_erased_whole(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        record({"type": "identify", "userId": "erase-many", "anonymousId": f"erase-many-{n}"}, message_id=f"many-{n}")
        for n in range(230)
    ]
    await here.send(*names)
    monkeypatch.setattr(erasing, "PAGE", 50)
    result = await erase(here, "user_id:erase-many", "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"]["identifier"] == 231
    assert await met_in(here.pool, ["erase-many"]) == {}
