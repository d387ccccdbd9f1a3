"""From what is stored to what the API answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pathline.contracts.customer import Customer, EntityOut
from pathline.domain.bonds import Bond
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import Identifier
from pathline.domain.people import Person
from pathline.domain.visits import Act
from pathline.storage.acts import Lived
from pathline.storage.customers import Whole
from pathline.storage.people import Family
from services.console import shapes
from tests.support.alerts import alert_about
from tests.support.world import STAGES

T0 = datetime(2026, 1, 1, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
ANN = Identifier("default", "user_id", "ann")
VISITOR = Identifier("default", "anonymous_id", "v")
ORDER = Identifier("default", "order", "1001")
OTHER = Identifier("default", "order", "1002")


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


def shown(one: Whole, alive: list[Any] | None = None, lived: Lived | None = None) -> Customer:
    out = shapes.customer(one, alive or [], STAGES, UTC_ZONE, at(60), lived or Lived(), [], {"sum"})
    return msgspec.json.decode(msgspec.json.encode(out), type=Customer)


def test_a_customer_of_nothing_but_a_name() -> None:
    out = shown(whole({ANN: State()}, []))
    assert out.name is None and out.first_seen_at is None and out.touchpoint_count == 0
    assert not (out.orders or out.stages or out.accounts or out.segments or out.channels)
    assert (out.risk.score, out.risk.band, out.risk.band_until) == (0, "unknown", None)


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


def test_a_stage_tells_what_was_done_last_at_it_of_each_purchase() -> None:
    order, other = (Entity(name, state(facts={"stage.transaction": fact(1)})) for name in (ORDER, OTHER))
    case = part("case", "c", ORDER, facts={"stage.retention": fact(5)})

    def act(number: int, stage: str | None, *things: Entity) -> Act:
        return Act(at(number), f"a{number}", "Seen", "web", stage, things=tuple(one.id for one in things))

    acts = (
        act(9, None, order), act(8, "retention", case), act(7, "transaction", other), act(6, "engagement"),
        act(5, "transaction", order), act(4, "transaction", order, other),
    )  # fmt: skip
    person = state(facts={"stage.engagement": fact(0), "stage.awareness": fact(0)})
    out = shown(whole({ANN: person}, [order, other, case]), lived=Lived(acts, acts[-1]))
    assert [(s.stage, s.entity and s.entity.value, s.last_touch and s.last_touch.message_id) for s in out.stages] == [
        ("awareness", None, None), ("engagement", None, "a6"), ("transaction", "1001", "a5"),
        ("retention", "1001", "a8"), ("transaction", "1002", "a7"),
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


def test_what_alerts_add_up_to_is_not_added_once_more() -> None:
    high = [alert_about(ORDER, severity="high", opened_at=at(60)) for _ in range(2)]
    composite = alert_about(ORDER, detector="sum", severity="critical", opened_at=at(60))
    apart, both = shown(whole({ANN: State()}, []), high), shown(whole({ANN: State()}, []), [*high, composite])
    assert both.risk == apart.risk and both.open_alerts == apart.open_alerts + 1


def test_risk_is_of_the_alerts_that_last() -> None:
    out = shown(whole({ANN: State()}, []), [alert_about(ORDER, severity="critical", opened_at=at(60))])
    assert (out.risk.score, out.risk.band, out.open_alerts) == (90, "critical", 1)
    assert out.risk.band_until is not None and timedelta() < out.risk.band_until - at(60) < timedelta(hours=1)


@pytest.mark.parametrize(
    ("given_back", "sum_told"),
    [
        ([("5", "EUR"), ("7.50", None)], "12.50"),
        ([("5", "eur"), ("40", "EUR")], "30"),
        ([("5", "EUR"), ("900", "JPY")], None),
        ([("900", "JPY"), (None, "JPY")], "30"),
    ],
)
def test_refunds_are_summed_in_the_currency_of_the_order(
    given_back: list[tuple[str | None, str | None]], sum_told: str | None
) -> None:
    marks = [
        fact(10 + n, {k: v for k, v in (("total", sum_), ("currency", currency)) if v is not None})
        for n, (sum_, currency) in enumerate(given_back)
    ]
    facts = {"placed": fact(0), "total": fact(0, "30"), "currency": fact(0, "EUR")}
    (one,) = shown(whole({ANN: State()}, [Entity(ORDER, state(facts=facts, marks={"refunds": tuple(marks)}))])).orders
    assert one.refunded == sum_told
    assert [(part.amount, part.currency) for part in one.refunds] == given_back


def test_an_order_tells_what_was_promised_paid_given_back_and_how_often_the_courier_came() -> None:
    order = Entity(
        ORDER,
        state(
            facts={"placed": fact(0), "total": fact(0, "30"), "return_requested": fact(9, "damaged")},
            marks={
                "promises": (fact(0, {"promised_at": "2026-01-03"}), fact(5, {"promised_at": "2026-01-05"})),
                "refunds": (fact(10, {"total": "5"}), fact(11, {"total": "7.50"})),
                "payments": (fact(2, {"outcome": "succeeded", "amount": "30", "attempt": 2}),),
            },
        ),
    )
    checkout = part("checkout", "c", ORDER, marks={"payments": (fact(1, {"outcome": "failed", "code": "declined"}),)})
    scans = (fact(6, {"status": "attempt_failed", "reason": "nobody home"}), fact(7, {"status": "delivered"}))
    sent = part(
        "parcel", "a", ORDER,
        facts={"delivered": fact(7), "status": fact(7, "delivered")},
        marks={"scans": scans, "redirects": (fact(6, {"to": "locker"}),)},
    )  # fmt: skip
    dispute = part("dispute", "d", ORDER, facts={"opened": fact(12), "total": fact(12, "30"), "reason": fact(12, "x")})
    out = shown(whole({ANN: State()}, [order, checkout, sent, part("parcel", "b", ORDER), dispute]))
    (one,) = out.orders
    assert [(p.told_at, p.promised_at.day) for p in one.promises] == [(at(0), 4), (at(5), 6)]
    assert [(p.outcome, p.amount, p.code, p.attempt) for p in one.payments] == [
        ("failed", None, "declined", None), ("succeeded", "30", None, "2"),
    ]  # fmt: skip
    assert (one.refunded, [r.amount for r in one.refunds]) == ("12.50", ["5", "7.50"])
    assert [r.currency for r in one.refunds] == [None, None]
    assert (one.cancelled, one.return_reason, one.return_requested_at) == (None, "damaged", at(9))
    assert (one.parcels, one.parcels_delivered) == (2, 1)
    (first, _) = one.shipments
    assert (first.failed_attempts, [r.to for r in first.redirects], first.delivered_at) == (1, ["locker"], at(7))
    assert [(s.status, s.reason) for s in first.scans] == [("attempt_failed", "nobody home"), ("delivered", None)]
    assert [(d.dispute_id, d.order_id, d.amount, d.reason, d.outcome) for d in out.disputes] == [
        ("d", "1001", "30", "x", None)
    ]


def test_checkouts_cases_invoices_and_surveys_are_told_newest_first() -> None:
    order = Entity(ORDER, state(facts={"placed": fact(0)}))
    things = [
        order,
        part(
            "checkout", "c", None, facts={"started": fact(1), "active": fact(2), "value": fact(1, "9.90")},
            marks={"steps": (fact(2, {"step": 1, "outcome": "viewed"}),)},
        ),
        part("case", "old", ORDER, facts={"opened": fact(3), "closed": fact(4)}),
        part("case", "new", None, facts={"opened": fact(5), "sentiment": fact(5, "angry"), "person_wanted": fact(5, "yes")}),
        part(
            "invoice", "i", None, facts={"next_attempt": fact(6, "2026-01-05T00:00:00Z")},
            marks={"payments": (fact(6, {"outcome": "failed"}), fact(7, {"outcome": "succeeded"}))},
        ),
    ]  # fmt: skip
    things[2].state.marks["surveys"] = (fact(8, {"survey": "csat", "score": 4, "scale": 5}),)
    ann = state(marks={"surveys": (fact(9, {"survey": "nps", "score": 0}),)})
    out = shown(whole({ANN: ann}, things))
    (checkout,) = out.checkouts
    assert (checkout.total, checkout.completed_at, checkout.order_id) == ("9.90", None, None)
    assert [(s.step, s.outcome) for s in checkout.steps] == [("1", "viewed")]
    assert [(c.case_id, c.order_id, c.status, c.waiting_since) for c in out.cases] == [
        ("new", None, "open", at(5)), ("old", "1001", "closed", None),
    ]  # fmt: skip
    assert (out.cases[0].sentiment, out.cases[0].wants_person, out.cases[1].wants_person) == ("angry", True, False)
    (invoice,) = out.invoices
    assert invoice.paid_at == at(7) and invoice.next_attempt_at == datetime(2026, 1, 5, tzinfo=UTC)
    assert [(s.survey, s.score, s.scale, s.entity) for s in out.surveys] == [
        ("nps", "0", None, None), ("csat", "4", "5", EntityOut("case", "old")),
    ]  # fmt: skip


def test_touches_sessions_and_moments_are_of_what_the_person_did() -> None:
    order = Entity(ORDER, state(count=1, last_seen_at=at(99), facts={"placed": fact(41)}))
    acts = (
        Act(at(41), "m3", "Order Completed", "web", "transaction", moment_of_truth=True),
        Act(at(40), "m2", "page", "web", "awareness"),
        Act(at(0), "m1", "Ad Clicked", "ad", "awareness"),
    )
    ann = state(count=3, first_seen_at=at(0), last_seen_at=at(41), facts={"stage.awareness": fact(0, "ad")})
    out = shown(whole({ANN: ann}, [order]), lived=Lived(acts, acts[-1]))
    assert out.first_touch and (out.first_touch.channel, out.first_touch.event) == ("ad", "Ad Clicked")
    assert out.last_touch and out.last_touch.event == "Order Completed"
    assert [m.message_id for m in out.moments_of_truth] == ["m3"]
    assert out.silent_since == at(41) and out.sessions_complete
    assert [(s.started_at, s.orders) for s in out.sessions] == [(at(40), ["1001"]), (at(0), [])]
    assert (out.orders[0].sessions, out.orders[0].same_session) == (2, False)
    assert (out.relation, out.customer_type) == ("new", "consumer")


def test_a_first_touch_that_is_no_longer_retained_is_remembered_by_the_stage_it_entered() -> None:
    act = Act(at(40), "m9", "page", "web", "awareness")
    ann = state(count=2, first_seen_at=at(0), facts={"stage.awareness": Fact(at(0), "m1", "ad")})
    out = shown(whole({ANN: ann}, []), lived=Lived((act,), act, complete=False))
    assert out.first_touch and (out.first_touch.at, out.first_touch.channel, out.first_touch.event) == (
        at(0),
        "ad",
        None,
    )
    assert not out.sessions_complete and out.sessions == []


def test_what_is_wanted_is_told_of_each_stage_that_was_entered() -> None:
    order = Entity(ORDER, state(facts={"stage.transaction": fact(1), "action.ordered": fact(1, "web")}))
    parcel = part("parcel", "p", ORDER, facts={"stage.fulfilment": fact(2)})
    out = shown(whole({ANN: state(facts={"stage.engagement": fact(0)})}, [order, parcel]))
    assert [(a.action, a.entity and a.entity.value, a.done_at, a.channel) for a in out.actions] == [
        ("put into the cart", None, None, None), ("ordered", "1001", at(1), "web"), ("received", "1001", None, None),
    ]  # fmt: skip
