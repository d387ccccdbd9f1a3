"""The console's API over HTTP, against what a real stitcher made in a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from pathline.contracts import api
from pathline.contracts.customer import Customer
from pathline.domain.identifiers import Identifier, name_id
from tests.support.console import Running
from tests.support.records import record

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

NOW = datetime.now(UTC).replace(microsecond=0)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def order(number: str) -> Identifier:
    return Identifier("default", "order", number)


def life_of(user: str) -> list[bytes]:
    """What a customer does: a visit, a name, an order with a parcel, a question."""
    calls: list[dict[str, Any]] = [
        {"type": "page", "anonymousId": f"v-{user}", "name": "Home", "properties": {"path": "/<b>"}},
        {
            "type": "identify", "userId": user, "anonymousId": f"v-{user}",
            "traits": {"email": f"{user}@example.com", "name": f"Name of {user}", "segments": ["vip"]},
        },
        {
            "event": "Order Completed", "userId": user,
            "properties": {
                "order_id": f"o-{user}", "total": "20.50", "currency": "EUR", "promised_at": "2026-01-31",
                "delivery_zone": "Europe/Berlin",
            },
        },
        {
            "event": "Shipment Scanned", "anonymousId": "courier",
            "properties": {
                "tracking_number": f"p-{user}", "order_id": f"o-{user}", "carrier": "Fast", "status": "in_transit"
            },
        },
        {
            "event": "Contact Opened", "userId": user,
            "properties": {"case_id": f"c-{user}", "channel": "phone", "order_id": f"o-{user}"},
        },
    ]  # fmt: skip
    return [
        record(call, message_id=f"{user}-{n}", at=ago(10 - n), library="web" if n < 2 else "server")
        for n, call in enumerate(calls)
    ]


async def refused(here: Running, method: str, path: str, **more: Any) -> tuple[int, str]:
    """Status and code of an answer that is an error, in the one shape of errors."""
    answer = await here.client.request(method, f"/api/v1{path}", **more)
    error = msgspec.json.decode(answer.content, type=api.Error, strict=True)
    assert error.code in api.CODES and error.message
    return answer.status_code, error.code


async def move(
    here: Running, alert_id: object, kind: str, body: Any = None, actor: str | None = None
) -> httpx.Response:
    headers = {} if actor is None else {b"pathline-actor": actor.encode()}
    return await here.client.post(f"/api/v1/alerts/{alert_id}/{kind}", json=body or {}, headers=headers)


async def test_a_customer_whole(here: Running) -> None:
    await here.send(*life_of("ann"))
    found = await here.get("/customers/lookup", kind="user_id", value="ann")
    customer = msgspec.convert(found, Customer)
    assert customer.name == "Name of ann" and customer.segments == ["vip"] and not customer.truncated
    assert [(i.kind, i.value) for i in customer.identifiers] == [
        ("user_id", "ann"), ("email", "ann@example.com"), ("anonymous_id", "v-ann"),
    ]  # fmt: skip
    assert customer.touchpoint_count == 5
    assert customer.channels == {"web": 2, "delivery": 1, "phone": 1, "server": 1}
    assert (customer.first_seen_at, customer.last_seen_at) == (ago(10), ago(6))
    assert [(s.stage, s.entity and s.entity.value) for s in customer.stages] == [
        ("awareness", None), ("engagement", None), ("transaction", "o-ann"), ("fulfilment", "o-ann"),
        ("retention", "o-ann"),
    ]  # fmt: skip
    # What couriers report is no act of hers: of the fulfilment she has done nothing.
    assert [s.last_touch and (s.last_touch.event, s.last_touch.at) for s in customer.stages] == [
        ("Home", ago(10)), ("identify", ago(9)), ("Order Completed", ago(8)), None, ("Contact Opened", ago(6)),
    ]  # fmt: skip
    one = customer.orders[0]
    assert (one.order_id, one.status, one.total, one.currency) == ("o-ann", "in_transit", "20.50", "EUR")
    # A date is kept until the day ends where the parcel goes.
    assert one.promised_at == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert [(s.tracking_number, s.status, s.last_scan_at) for s in one.shipments] == [("p-ann", "in_transit", ago(7))]
    assert customer.risk.band == "unknown" and customer.open_alerts == 0
    assert (customer.relation, customer.customer_type, customer.silent_since) == ("new", "consumer", ago(6))
    assert customer.first_touch and customer.last_touch
    assert (customer.first_touch.event, customer.first_touch.at) == ("Home", ago(10))
    assert (customer.last_touch.event, customer.last_touch.channel) == ("Contact Opened", "phone")
    # The page was the visitor's, who turned out to be Ann; the scan is no act of hers.
    assert [(s.started_at, s.touchpoints, s.orders) for s in customer.sessions] == [(ago(10), 4, ["o-ann"])]
    assert customer.sessions_complete and (one.sessions, one.same_session) == (1, True)
    assert [m.event for m in customer.moments_of_truth] == ["Contact Opened", "Order Completed"]
    assert [(a.action, a.entity and a.entity.value, a.done_at) for a in customer.actions] == [
        ("put into the cart", None, None), ("ordered", "o-ann", ago(8)), ("received", "o-ann", None),
        ("gave an opinion", "o-ann", None),
    ]  # fmt: skip
    assert [(c.case_id, c.order_id, c.status, c.waiting_since) for c in customer.cases] == [
        ("c-ann", "o-ann", "open", ago(6))
    ]
    assert await here.get(f"/customers/{customer.id}") == found


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "ANN@example.com"), ("anonymous_id", "v-ann"), ("order", "o-ann"), ("parcel", "p-ann"),
        ("case", "c-ann"),
    ],
)  # fmt: skip
async def test_a_customer_is_found_by_any_name_and_thing(here: Running, kind: str, value: str) -> None:
    found = await here.get("/customers/lookup", kind=kind, value=value)
    assert found["id"] == str(name_id("default", "user_id", "ann"))


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/customers/lookup?kind=user_id&value=nobody", 404, "customer_not_found"),
        ("/customers/lookup?kind=user_id&value=%00", 404, "customer_not_found"),
        ("/customers/lookup?kind=order&value=nothing", 404, "customer_not_found"),
        ("/customers/lookup?kind=shoe&value=1", 400, "bad_parameter"),
        ("/customers/lookup?kind=user_id", 400, "bad_parameter"),
        (f"/customers/lookup?kind=user_id&value={'x' * 1001}", 400, "bad_parameter"),
        (f"/customers/lookup?kind=user_id&value={'x' * 20_000}", 400, "bad_parameter"),
        ("/customers/123", 404, "customer_not_found"),
        (f"/customers/{Identifier('default', 'user_id', 'nobody').id}", 404, "customer_not_found"),
        (f"/customers/{Identifier('default', 'user_id', 'nobody').id}/touchpoints", 404, "customer_not_found"),
        (f"/customers/{Identifier('default', 'user_id', 'ann').id}/touchpoints?limit=0", 400, "bad_parameter"),
        (f"/customers/{Identifier('default', 'user_id', 'ann').id}/touchpoints?limit=-1", 400, "bad_parameter"),
        (f"/customers/{Identifier('default', 'user_id', 'ann').id}/touchpoints?cursor=%C3%A9", 400, "bad_cursor"),
        ("/alerts?cursor=!", 400, "bad_cursor"),
        ("/alerts?cursor=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMHwwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA", 400, "bad_cursor"),
        ("/alerts?limit=many", 400, "bad_parameter"),
        ("/alerts?state=sleepy", 400, "bad_parameter"),
        ("/alerts?severity=grave", 400, "bad_parameter"),
        ("/alerts?detector=%00", 400, "bad_parameter"),
        ("/alerts?assignee=%00", 400, "bad_parameter"),
        (f"/alerts?detector={','.join('abcdefghij' * 6)}", 400, "bad_parameter"),
        ("/alerts?customer=nobody", 404, "customer_not_found"),
        ("/alerts/123", 404, "alert_not_found"),
        (f"/alerts/{Identifier('default', 'user_id', 'ann').id}", 404, "alert_not_found"),
        ("/map?from=yesterday", 400, "bad_parameter"),
        ("/map?to=2026-01-01T00:00:00", 400, "bad_parameter"),
        ("/map?to=0001-01-01T00:00:00Z", 400, "bad_parameter"),
        ("/map?to=0001-01-01T00:00:00%2B14:00", 400, "bad_parameter"),
        ("/map?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "bad_parameter"),
        ("/map?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "bad_parameter"),
        ("/map?segment=%00", 400, "bad_parameter"),
        ("/stream?events=noise", 400, "bad_parameter"),
        ("/stream?customer=nobody", 404, "customer_not_found"),
        ("/shoes", 404, "not_found"),
    ],
)  # fmt: skip
async def test_a_bad_request_gets_its_code(here: Running, path: str, status: int, code: str) -> None:
    assert await refused(here, "GET", path) == (status, code)


async def test_a_wrong_method_is_said_so(here: Running) -> None:
    assert await refused(here, "DELETE", "/alerts") == (405, "method_not_allowed")


async def test_a_merged_customer_answers_with_who_they_became(here: Running) -> None:
    await here.send(record({"type": "page", "anonymousId": "v-bo"}, message_id="bo-0", at=ago(3)))
    visitor = (await here.get("/customers/lookup", kind="anonymous_id", value="v-bo"))["id"]
    assert visitor == str(name_id("default", "anonymous_id", "v-bo"))
    await here.send(
        record({"type": "identify", "userId": "bo", "anonymousId": "v-bo"}, message_id="bo-1", at=ago(2)),
        record({"type": "alias", "userId": "bo-new", "previousId": "bo"}, message_id="bo-2", at=ago(1)),
    )
    became = await here.get(f"/customers/{visitor}")
    assert became["touchpoint_count"] == 3
    for former in ("bo", "bo-new"):
        assert await here.get(f"/customers/{name_id('default', 'user_id', former)}") == became
    page = await here.get(f"/customers/{visitor}/touchpoints")
    assert [item["message_id"] for item in page["items"]] == ["bo-0", "bo-1", "bo-2"]


async def test_touchpoints_are_told_as_they_were_sent(here: Running) -> None:
    page = await here.get(f"/customers/{name_id('default', 'user_id', 'ann')}/touchpoints")
    told = msgspec.convert(page, api.TouchpointPage)
    assert told.next is None
    assert [(t.message_id, t.event, t.type, t.stage) for t in told.items] == [
        ("ann-0", "Home", "page", "awareness"),
        ("ann-1", "identify", "identify", "engagement"),
        ("ann-2", "Order Completed", "track", "transaction"),
        ("ann-3", "Shipment Scanned", "track", "fulfilment"),
        ("ann-4", "Contact Opened", "track", "retention"),
    ]
    assert [t.occurred_at for t in told.items] == [ago(n) for n in (10, 9, 8, 7, 6)]
    assert told.items[0].properties == {"path": "/<b>"}
    assert told.items[1].properties["name"] == "Name of ann"
    assert told.items[2].properties["total"] == "20.50" and told.items[2].moment_of_truth


async def test_paging_through_touchpoints_loses_none_while_more_arrive(here: Running) -> None:
    def seen(first: int, last: int) -> list[bytes]:
        return [
            record({"userId": "pat", "event": "Seen"}, message_id=f"pat-{n}", at=ago(1_000 - n // 3))
            for n in range(first, last)
        ]

    await here.send(*seen(0, 40))
    path = f"/customers/{name_id('default', 'user_id', 'pat')}/touchpoints"
    got: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await here.get(path, limit=7, **cursor)
        assert len(page["items"]) <= 7
        got += [item["message_id"] for item in page["items"]]
        if len(got) == 14:
            await here.send(*seen(40, 60))
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(got) == len(set(got))
    assert set(got) == {f"pat-{n}" for n in range(60)}


async def test_a_large_limit_is_clipped(here: Running) -> None:
    await here.send(
        *(record({"userId": "max", "event": "Seen"}, message_id=f"max-{n}", at=ago(n / 60)) for n in range(1_003))
    )
    path = f"/customers/{name_id('default', 'user_id', 'max')}/touchpoints"
    assert len((await here.get(path))["items"]) == 100
    page = await here.get(path, limit="9" * 30)
    assert len(page["items"]) == 1_000
    rest = await here.get(path, limit=5_000, cursor=page["next"])
    assert len(rest["items"]) == 3 and rest["next"] is None


async def test_alerts_are_listed_newest_first_by_every_filter(here: Running) -> None:
    await here.send(*life_of("lia"))
    lia = name_id("default", "user_id", "lia")
    made = [
        await here.raise_alert(order("o-lia"), detector="filtered_a", opened_at=ago(5), why=("lia-2", "lia-3")),
        await here.raise_alert(
            Identifier("default", "parcel", "p-lia"), detector="filtered_b", severity="critical", opened_at=ago(4)
        ),
        await here.raise_alert(
            Identifier("default", "user_id", "lia"), detector="filtered_a", severity="info", opened_at=ago(3),
            entity_kind="customer", entity_value=str(lia), state="resolved", resolved_at=ago(2), resolution="fixed",
            assignee="Uma",
        ),
        await here.raise_alert(order("o-of-nobody"), detector="filtered_b", opened_at=ago(2)),
    ]  # fmt: skip
    ids = [str(one.id) for one in made]

    async def listed(**params: Any) -> list[str]:
        params.setdefault("detector", "filtered_a,filtered_b")
        page = msgspec.convert(await here.get("/alerts", **params), api.AlertPage)
        return [item.id for item in page.items]

    assert await listed() == ids[::-1]
    assert await listed(state="open") == [ids[3], ids[1], ids[0]]
    assert await listed(state="open,resolved", severity="critical,info") == [ids[2], ids[1]]
    assert await listed(detector="filtered_a") == [ids[2], ids[0]]
    assert await listed(assignee="Uma") == [ids[2]]
    assert await listed(customer=str(lia)) == ids[2::-1]
    assert await listed(customer=str(name_id("default", "anonymous_id", "v-lia"))) == ids[2::-1]
    first = await here.get("/alerts", detector="filtered_a,filtered_b", limit=2)
    rest = await here.get("/alerts", detector="filtered_a,filtered_b", limit=2, cursor=first["next"])
    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1] and rest["next"] is None
    alert = await here.get(f"/alerts/{ids[0]}")
    assert alert["customer_id"] == str(lia) and alert["why"] == ["lia-2", "lia-3"]
    assert alert["entity"] == {"kind": "order", "value": "o-lia"} and alert["opened_at"].endswith("Z")
    assert (await here.get(f"/alerts/{ids[3]}"))["customer_id"] is None
    customer = await here.get(f"/customers/{lia}")
    assert customer["open_alerts"] == 2 and customer["risk"]["band"] == "critical"
    assert customer["risk"]["band_until"].endswith("Z")


async def test_an_alert_is_claimed_by_one_and_the_other_is_told_by_whom(here: Running) -> None:
    alert = await here.raise_alert(order("o-claim"))
    first = await move(here, alert.id, "acknowledge", actor="Änne 🙂")
    assert first.status_code == 200
    claimed = msgspec.json.decode(first.content, type=api.AlertOut)
    assert (claimed.state, claimed.assignee, claimed.revision) == ("acknowledged", "Änne 🙂", 2)
    again = await move(here, alert.id, "acknowledge", actor="Änne 🙂")
    assert again.status_code == 200 and again.json() == first.json()
    other = await move(here, alert.id, "acknowledge", actor="Bob")
    assert other.status_code == 409
    assert other.json() | {"message": ""} == {
        "success": False, "code": "alert_held", "state": "acknowledged", "holder": "Änne 🙂", "message": ""
    }  # fmt: skip


async def test_an_alert_goes_through_its_life(here: Running) -> None:
    alert = await here.raise_alert(order("o-life"))
    until = (NOW + timedelta(hours=2)).isoformat()
    snoozed = (await move(here, alert.id, "snooze", {"until": until})).json()
    assert snoozed["state"] == "snoozed" and snoozed["snoozed_until"] == until.replace("+00:00", "Z")
    due = await here.pool.fetchval("SELECT due_at FROM watch WHERE id = $1", alert.story_id)
    assert due == NOW + timedelta(hours=2)
    assert (await move(here, alert.id, "snooze", {"until": until})).json() == snoozed
    assigned = (await move(here, alert.id, "assign", {"assignee": "  Uma\n "})).json()
    assert (assigned["assignee"], assigned["state"]) == ("Uma", "snoozed")
    assert (await move(here, alert.id, "note", {"text": "Called\0, <b>no</b> answer"})).status_code == 200
    assert (await move(here, alert.id, "acknowledge", actor="Uma")).json()["state"] == "acknowledged"
    assert (await move(here, alert.id, "assign", {"assignee": None})).json()["state"] == "open"
    over = (await move(here, alert.id, "resolve", {"reason": "not_a_problem"}, actor="Uma")).json()
    assert (over["state"], over["resolution"]) == ("resolved", "not_a_problem") and over["resolved_at"]
    repeated = await move(here, alert.id, "resolve", {"reason": "not_a_problem"}, actor="Uma")
    assert repeated.status_code == 200 and repeated.json() == over
    for kind, body in (
        ("acknowledge", {}), ("assign", {"assignee": "Bob"}), ("snooze", {"until": until}), ("resolve", {}),
    ):  # fmt: skip
        late = await move(here, alert.id, kind, body, actor="Bob")
        assert late.status_code == 409
        assert (late.json()["code"], late.json()["state"]) == ("alert_resolved", "resolved")
    assert (await move(here, alert.id, "note", {"text": "The parcel came."}, actor="Bob")).status_code == 200
    kinds = await here.pool.fetch("SELECT kind, actor FROM alert_event WHERE alert_id = $1 ORDER BY id", alert.id)
    assert [(row["kind"], row["actor"]) for row in kinds] == [
        ("opened", "pathline"), ("snooze", "api"), ("assign", "api"), ("note", "api"), ("acknowledge", "Uma"),
        ("assign", "api"), ("resolve", "Uma"), ("note", "Bob"),
    ]  # fmt: skip
    queued = await here.pool.fetchval("SELECT count(*) FROM outbox WHERE alert_id = $1", alert.id)
    assert queued == len(kinds)


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("acknowledge", b"[]", "bad_body"),
        ("acknowledge", b"{", "bad_body"),
        ("acknowledge", b'{"a": 1} x', "bad_body"),
        ("assign", b"", "bad_assignee"),
        ("assign", b'{"assignee": 7}', "bad_assignee"),
        ("assign", b'{"assignee": " \\u0000 "}', "bad_assignee"),
        ("assign", b'{"assignee": "%b"}' % (b"x" * 201), "bad_assignee"),
        ("snooze", b"{}", "bad_until"),
        ("snooze", b'{"until": "tomorrow"}', "bad_until"),
        ("snooze", b'{"until": "2030-01-01T00:00:00"}', "bad_until"),
        ("snooze", b'{"until": "2020-01-01T00:00:00Z"}', "bad_until"),
        ("snooze", b'{"until": "9999-12-31T23:59:59-12:00"}', "bad_until"),
        ("resolve", b'{"reason": "bored"}', "bad_reason"),
        ("resolve", b'{"reason": null}', "bad_reason"),
        ("note", b"{}", "bad_note"),
        ("note", b'{"text": "  "}', "bad_note"),
        ("note", b'{"text": "%b"}' % (b"x" * 4_001), "bad_note"),
    ],
)
async def test_a_bad_move_gets_its_code(here: Running, kind: str, body: bytes, code: str) -> None:
    alert = await here.raise_alert(order(f"o-bad-{kind}-{hash(body)}"))
    assert await refused(here, "POST", f"/alerts/{alert.id}/{kind}", content=body) == (400, code)
    assert (await here.get(f"/alerts/{alert.id}"))["revision"] == 1


async def test_a_move_has_a_bound_and_an_alert(here: Running) -> None:
    alert = await here.raise_alert(order("o-large"))
    large = b'{"text": "' + b"x" * 70_000 + b'"}'
    assert await refused(here, "POST", f"/alerts/{alert.id}/note", content=large) == (413, "body_too_large")
    nothing = name_id("default", "user_id", "ann")
    assert await refused(here, "POST", f"/alerts/{nothing}/acknowledge") == (404, "alert_not_found")


async def test_the_map_counts_customers_by_stage(here: Running) -> None:
    await here.send(*life_of("mia"))
    window = {"from": ago(60).isoformat(), "to": (NOW + timedelta(hours=1)).isoformat(), "segment": "vip"}
    found = await here.get("/map", **window)
    told = msgspec.convert(found, api.JourneyMap)
    assert told.complete and told.customers >= 2
    stages = {stage.stage: stage for stage in told.stages}
    assert list(stages) == ["awareness", "engagement", "transaction", "fulfilment", "retention"]
    assert stages["transaction"].customers == stages["transaction"].went_on == told.customers
    assert stages["transaction"].median_seconds_to_next == 60 and stages["transaction"].share_on == 1
    assert stages["retention"].dropped == told.customers
    assert stages["fulfilment"].channels == {"delivery": told.customers}
    everyone = await here.get("/map", **{**window, "segment": ""})
    assert everyone["customers"] > told.customers
    assert (await here.get("/map"))["customers"] == everyone["customers"]


def answer_of(user: str, survey: str, score: Any, *, minutes: float = 1, **properties: Any) -> bytes:
    call = {
        "event": "Survey Answered", "userId": user,
        "properties": {"survey": survey, "score": score, **properties},
    }  # fmt: skip
    return record(call, message_id=f"{user}-{survey}-{minutes}", at=ago(minutes))


async def test_the_map_has_the_voice_of_each_stage_in_which_it_was_asked(here: Running) -> None:
    def seen(user: str, event: str, minutes: float, **properties: Any) -> bytes:
        call = {"event": event, "userId": user, "properties": properties}
        return record(call, message_id=f"{user}-{event}-{minutes}", at=ago(minutes), library="server")

    def named(user: str) -> bytes:
        call = {"type": "identify", "userId": user, "traits": {"segments": ["asked"]}}
        return record(call, message_id=f"{user}-named", at=ago(29), library="server")

    everyone = ["ina", "jon", "kai", "lea"]
    await here.send(
        *map(named, everyone),
        # Ina has an order whose parcel moves: she is asked about it, once its fulfilment has begun.
        seen("ina", "Order Completed", 20, order_id="o-ina", total="9", currency="EUR"),
        seen("courier", "Shipment Scanned", 15, tracking_number="p-ina", order_id="o-ina", status="delivered"),
        answer_of("ina", "nps", 10, order_id="o-ina"),
        # A second answer is asked where the first was: an answer is no stage that one is asked in.
        answer_of("ina", "ces", 7, minutes=0.5, order_id="o-ina"),
        seen("jon", "Order Completed", 20, order_id="o-jon", total="9", currency="EUR"),
        answer_of("jon", "NPS", "3", scale="10"),
        answer_of("jon", "nps", 9, minutes=0.25),
        answer_of("kai", "csat", 8, scale=10),
        answer_of("kai", "csat", 3, minutes=0.5, scale=5),
        # Nothing is known of Lea but that she was named; nobody has such a scale.
        answer_of("lea", "nps", 8, scale=5),
        answer_of("lea", "smiles", 3, minutes=0.5),
    )
    window = {"from": ago(60).isoformat(), "to": (NOW + timedelta(hours=1)).isoformat(), "segment": "asked"}
    told = msgspec.convert(await here.get("/map", **window), api.JourneyMap)
    by_stage = {one.stage: {f.variant: (f.value, f.n, f.few) for f in one.surveys} for one in told.stages}
    assert by_stage == {
        "awareness": {},
        "engagement": {"csat_top_two": (50.0, 2, True)},
        "transaction": {"nps": (0.0, 2, True)},
        "fulfilment": {"nps": (100.0, 1, True), "ces_mean": (7.0, 1, True), "ces_net": (100.0, 1, True)},
        "retention": {},
    }
    assert {f.variant: f.n for f in told.surveys} == {"nps": 3, "csat_top_two": 2, "ces_mean": 1, "ces_net": 1}
    assert told.answers_left_out == 2
    assert {f.label for f in told.surveys if f.survey == "nps"} == {"NPS: % of 9-10 minus % of 0-6"}
    customer = msgspec.convert(await here.get("/customers/lookup", kind="user_id", value="jon"), Customer)
    assert [(s.score, s.scale, s.variant, s.group) for s in customer.surveys] == [
        ("9", None, "nps", "promoter"), ("3", "10", "nps", "detractor"),
    ]  # fmt: skip
    lea = msgspec.convert(await here.get("/customers/lookup", kind="user_id", value="lea"), Customer)
    assert [(s.survey, s.variant, s.group) for s in lea.surveys] == [("smiles", None, None), ("nps", None, None)]
    page = await here.client.get(f"/customers/{customer.id}")
    assert "What they said" in page.text and "NPS 3 of 10" in page.text


async def test_the_map_has_the_share_of_visits_that_were_lost(here: Running) -> None:
    def visit(who: str, begins: float, seconds: float, clicks: int = 0, views: int = 1) -> list[bytes]:
        person = {"anonymousId": f"lost-{who}"}
        page = {"type": "page", **person, "name": "Start", "properties": {"path": "/start"}}
        over = {
            "event": "Visit Ended", **person, "properties": {"seconds": seconds, "clicks": clicks, "views": views},
        }  # fmt: skip
        starts, ends = ago(begins), ago(begins) + timedelta(seconds=seconds)
        return [
            record(page, message_id=f"{who}-begins", at=starts, received_at=starts, library="web"),
            record(over, message_id=f"{who}-ends", at=ends, received_at=ends, library="web"),
        ]

    bought = {"event": "Order Completed", "anonymousId": "lost-buys", "properties": {"order_id": "o-lost"}}
    await here.send(
        *visit("at-once", 3_000, 3),
        *visit("stays", 3_000, 40),
        *visit("looks-on", 3_000, 5, views=2),
        *visit("buys", 3_000, 6),
        record(bought, message_id="lost-bought", at=ago(3_000) + timedelta(seconds=4), received_at=ago(3_000)),
        # It does not say how it was: it is not counted.
        record(
            {"event": "Visit Ended", "anonymousId": "lost-x", "properties": {}}, message_id="x", received_at=ago(3_000)
        ),
    )
    window = {"from": ago(3_060).isoformat(), "to": ago(2_940).isoformat()}
    told = msgspec.convert(await here.get("/map", **window), api.JourneyMap).lost_interest
    assert (told.visits, told.lost, told.share) == (4, 1, 0.25)
    assert [(one.of, one.visits, one.lost) for one in told.by_landing] == [("/start", 4, 1)]
    assert [(one.of, one.visits, one.lost) for one in told.by_stage] == [("awareness", 4, 1)]
    assert sum(one.visits for one in told.by_day) == 4


async def test_a_silent_source_is_told_of_above_the_inbox_and_in_the_list(here: Running) -> None:
    async with here.pool.acquire() as db:
        await db.execute(
            "INSERT INTO source_rhythm VALUES ('courier <b>', $1, $2, 43200, 900, $2), ('till', $1, $2, 60, 900, NULL)",
            ago(60 * 24 * 20), ago(60 * 40),
        )  # fmt: skip
    told = msgspec.convert(await here.get("/sources"), api.SourceList)
    silent = {one.source: one.silent_since for one in told.items if one.source in {"courier <b>", "till"}}
    assert silent == {"courier <b>": ago(60 * 40), "till": None}
    for path in ("/", "/inbox/live"):
        page = (await here.client.get(path)).text
        assert "courier &lt;b&gt;" in page and page.count("is silent since") == 1
