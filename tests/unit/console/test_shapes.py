"""From what is stored to what the API answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pathline.contracts import api
from pathline.domain.bonds import Bond
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.people import Person
from pathline.storage.customers import Whole
from pathline.storage.people import Family
from services.console import shapes
from tests.support.alerts import alert_about

T0 = datetime(2026, 1, 1, tzinfo=UTC)
STAGES = ("awareness", "engagement", "transaction", "fulfilment", "retention")
UTC_ZONE = ZoneInfo("UTC")
ANN = Identifier("default", "user_id", "ann")
VISITOR = Identifier("default", "anonymous_id", "v")
ORDER = Identifier("default", "order", "1001")


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def fact(minutes: int, value: Any = None) -> Fact:
    return Fact(at(minutes), f"m{minutes}", value)


def state(**given: Any) -> State:
    made = State()
    for name, value in given.items():
        setattr(made, name, value)
    return made


def part(kind: str, value: str, order: Identifier | None, **given: Any) -> Entity:
    bond = None if order is None else Bond((0, 0), T0, "s", "m", order.id)
    return Entity(Identifier("default", kind, value), state(**given), None, bond)


def whole(strands: dict[Identifier, State], things: list[Entity], *, truncated: bool = False) -> Whole:
    people = {name.id: Person(name) for name in strands}
    root = next(iter(people))
    return Whole(Family(root, people, truncated), {name.id: one for name, one in strands.items()}, things)


def shown(one: Whole, alive: list[Any] | None = None) -> api.Customer:
    out = shapes.customer(one, alive or [], STAGES, UTC_ZONE, at(60))
    return msgspec.json.decode(msgspec.json.encode(out), type=api.Customer)


def test_a_customer_of_nothing_but_a_name() -> None:
    out = shown(whole({ANN: State()}, []))
    assert out.name is None and out.first_seen_at is None and out.touchpoint_count == 0
    assert not (out.orders or out.stages or out.accounts or out.segments or out.channels)
    assert (out.risk.score, out.risk.band) == (0, "unknown")


def test_counts_times_and_channels_are_of_all_people_and_things() -> None:
    order = Entity(ORDER, state(count=2, channels={"delivery": 2}, first_seen_at=at(3), last_seen_at=at(9)))
    out = shown(
        whole(
            {
                ANN: state(count=1, channels={"web": 1}, first_seen_at=at(2), last_seen_at=at(2)),
                VISITOR: state(count=2, channels={"web": 1, "app": 1}, first_seen_at=at(1), last_seen_at=at(1)),
            },
            [order],
        )
    )
    assert out.touchpoint_count == 5 and list(out.channels.items()) == [("delivery", 2), ("web", 2), ("app", 1)]
    assert (out.first_seen_at, out.last_seen_at) == (at(1), at(9))


def test_the_name_and_the_segments_last_told_count() -> None:
    out = shown(
        whole(
            {
                ANN: state(facts={"name": fact(1, "Ann"), "segments": fact(5, ["vip"])}),
                VISITOR: state(facts={"name": fact(2, "Ann B."), "segments": fact(4, ["new"])}),
            },
            [],
        )
    )
    assert (out.name, out.segments) == ("Ann B.", ["vip"])


def test_the_stages_of_an_order_count_its_parts_and_things_without_one_have_their_own() -> None:
    order = Entity(ORDER, state(facts={"stage.transaction": fact(1)}))
    parcel = part("parcel", "p", ORDER, facts={"stage.fulfilment": fact(2)})
    case = part("case", "c", None, facts={"stage.retention": fact(3)})
    lone = part("parcel", "q", Identifier("default", "order", "not mine"), facts={"stage.fulfilment": fact(4)})
    out = shown(whole({ANN: state(facts={"stage.awareness": fact(0)})}, [case, lone, parcel, order]))
    assert [(s.stage, s.entity and s.entity.value, s.left_at) for s in out.stages] == [
        ("awareness", None, None), ("transaction", "1001", at(2)), ("fulfilment", "1001", None),
        ("retention", "c", None), ("fulfilment", "q", None),
    ]  # fmt: skip


def test_an_order_with_two_parcels_and_scans_of_its_own() -> None:
    order = Entity(
        ORDER,
        state(
            facts={
                "placed": fact(0),
                "total": fact(0, "10.50"),
                "currency": fact(0, "EUR"),
                "status": fact(3, "delayed"),
            },
            marks={"scans": (fact(3, {"status": "delayed"}),)},
        ),
    )
    sent = part("parcel", "a", ORDER, facts={"delivered": fact(5), "carrier": fact(1, "Fast")})
    fresh = part("parcel", "b", ORDER)
    (out,) = shown(whole({ANN: State()}, [order, sent, fresh])).orders
    assert (out.total, out.currency, out.placed_at, out.delivered_at) == ("10.50", "EUR", at(0), None)
    assert [(s.tracking_number, s.carrier, s.status) for s in out.shipments] == [
        ("a", "Fast", "delivered"), ("b", None, "created"), (None, None, "delayed"),
    ]  # fmt: skip
    assert out.shipments[2].last_scan_at == at(3)


def test_orders_are_newest_first_and_truncation_is_said() -> None:
    orders = [
        Entity(Identifier("default", "order", str(n)), state(facts={"placed": fact(n)} if n else {})) for n in range(3)
    ]
    out = shown(whole({ANN: State()}, orders, truncated=True))
    assert [one.order_id for one in out.orders] == ["2", "1", "0"] and out.truncated


def test_risk_is_of_the_alerts_that_last() -> None:
    out = shown(whole({ANN: State()}, []), [alert_about(ORDER, severity="critical", opened_at=at(60))])
    assert (out.risk.score, out.risk.band, out.open_alerts) == (90, "critical", 1)
