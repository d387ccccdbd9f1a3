"""What each event tells, of what: an expectation written out by hand for each, and the corners of how it is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.facts import ACTION_PREFIX, MARKS, MAX_MARKS, MAX_TEXT, STAGE_PREFIX, Fact, Rule, State, rule_of
from pathline.domain.identifiers import THING_KINDS
from pathline.domain.recording import MAX_SEGMENTS, RECORDING, scalar
from tests.support.world import PERSON_VALUES, PROPERTIES, THING_VALUES, stitched, touchpoint

THINGS = {kind: values[0] for kind, values in THING_VALUES.items()}
PEOPLE = {kind: values[0] for kind, values in PERSON_VALUES.items()}
EVERY_PROPERTY = {name: values[0] for name, values in PROPERTIES.items()}

PLACED = (STAGE_PREFIX, ACTION_PREFIX)
PROMISE = {"promised", "promised_first", "promises", "zone"}
MONEY = {"total", "currency"}
ESTIMATE = {"estimated", "estimated_first"}

TELLS: dict[str, dict[str, set[str]]] = {
    "Order Completed": {
        "order": {"placed", "ship_by", "delivery_method", "payment_method"} | PROMISE | MONEY,
        "checkout": {"completed"},
        "person": {"progress"},
    },
    "Order Updated": {"order": PROMISE | MONEY},
    "Order Cancelled": {"order": {"cancellations"}},
    "Order Refunded": {"order": {"refunds"}},
    "Delivery Promised": {"order": PROMISE},
    "Shipment Created": {"order": PROMISE, "parcel": {"created", "carrier"} | ESTIMATE},
    "Shipment Scanned": {"parcel": {"status", "scans", "carrier"} | ESTIMATE},
    "Shipment Reported": {"parcel": {"carrier"} | ESTIMATE},
    "Shipment Redirected": {"parcel": {"redirected", "redirects"}},
    "Payment Failed": {"checkout": {"payments"}},
    "Payment Succeeded": {"checkout": {"payments"}},
    "Invoice Payment Failed": {"invoice": {"payments", "next_attempt"}},
    "Invoice Paid": {"invoice": {"payments"}},
    "Dispute Opened": {"dispute": {"opened", "reason"} | MONEY},
    "Dispute Closed": {"dispute": {"closed", "outcome"}},
    "Return Requested": {"order": {"return_requested", "returns"}},
    "Payment Info Entered": {"checkout": {"payment_entered"}},
    "Checkout Started": {"checkout": {"started", "value"} | MONEY, "person": {"progress"}},
    "Checkout Step Viewed": {"checkout": {"steps"}},
    "Checkout Step Completed": {"checkout": {"steps"}, "person": {"progress"}},
    "Product Added": {"person": {"progress"}},
    "Contact Opened": {"case": {"opened", "channel", "topic", "person_wanted", "requests", "sentiment"}},
    "Contact Replied": {"case": {"replies", "requests"}},
    "Contact Accepted": {"case": {"accepted", "acceptances"}},
    "Contact Closed": {"case": {"closed", "outcome"}},
    "Survey Answered": {"case": {"surveys"}},
    "Product Viewed": {"person": {"views"}},
    "Products Searched": {"person": {"searches"}},
    "Coupon Denied": {"person": {"coupons"}},
    "Coupon Applied": {"person": {"coupons"}},
    "Error Shown": {"person": {"errors"}},
    "Rage Clicked": {"person": {"rage_clicks"}},
    "Dead Clicked": {"person": {"dead_clicks"}},
    "Page Reloaded": {"person": {"reloads"}},
}


def told_by(event: str, things: dict[str, str], **properties: Any) -> dict[str, set[str]]:
    """What the states of each kind hold after this event, but for stages and for activity on a checkout."""
    one = touchpoint(1, event=event, people=PEOPLE, things=things, properties=properties)
    told: dict[str, set[str]] = {}
    world = stitched([[one]])
    kinds = {one: name.kind for one, name in (world.people | world.things).items()}
    for at, state in world.states.items():
        names = {name for name in (*state.facts, *state.marks) if not name.startswith(PLACED) and name != "active"}
        if names:
            told.setdefault("person" if kinds[at] in PEOPLE else kinds[at], set()).update(names)
    return told


@pytest.mark.parametrize("event", TELLS)
def test_an_event_tells_these_facts_of_these_things_and_no_others(event: str) -> None:
    assert told_by(event, THINGS, **EVERY_PROPERTY) == TELLS[event]


def test_no_event_is_forgotten() -> None:
    assert TELLS.keys() == RECORDING.keys()


@pytest.mark.parametrize(
    ("event", "kind", "facts"),
    [
        ("Shipment Scanned", "order", TELLS["Shipment Scanned"]["parcel"]),
        ("Payment Failed", "order", {"payments"}),
        ("Survey Answered", "order", {"surveys"}),
    ],
)
def test_a_report_that_names_only_the_order_tells_of_the_order(event: str, kind: str, facts: set[str]) -> None:
    assert told_by(event, {"order": "order-1"}, **EVERY_PROPERTY) == {kind: facts}


def test_a_survey_about_nothing_tells_of_the_person() -> None:
    assert told_by("Survey Answered", {}, survey="nps", score=3) == {"person": {"surveys"}}


@pytest.mark.parametrize(
    ("event", "properties", "facts"),
    [
        ("Order Completed", {}, {"placed"}),
        ("Order Completed", {"promised_at": ""}, {"placed"}),
        ("Order Completed", {"promised_at": {"day": 3}}, {"placed"}),
        ("Order Completed", {"total": 0}, {"placed", "total"}),
        ("Order Updated", {}, set()),
        ("Order Cancelled", {}, {"cancellations"}),
    ],
)
def test_without_its_property_a_fact_is_not_told(event: str, properties: dict[str, Any], facts: set[str]) -> None:
    assert told_by(event, {"order": "order-1"}, **properties).get("order", set()) == facts


@pytest.mark.parametrize(("wanted", "told"), [(True, True), ("yes", True), (False, False), (None, False), ("", False)])
def test_a_person_is_wanted_only_when_it_says_so(wanted: Any, *, told: bool) -> None:
    facts = told_by("Contact Opened", {"case": "k"}, channel="chat", wants_person=wanted)["case"]
    assert ("person_wanted" in facts) is told
    assert ("requests" in facts) is told


@pytest.mark.parametrize(
    ("said", "of_the_call", "told"),
    [
        ("phone", "phone", "phone"),
        ("Email", "email", "Email"),
        (None, "phone", "phone"),  # context.channel
        ("sms", "chat", "chat"),
        ("sms", "server", "sms"),
        (None, "server", None),
        (None, "web", None),
    ],
)
def test_a_reply_was_said_on_the_channel_of_its_call_unless_that_is_only_where_it_was_sent_from(
    said: str | None, of_the_call: str, told: str | None
) -> None:
    properties = {"by": "customer"} | ({} if said is None else {"channel": said})
    one = touchpoint(1, event="Contact Replied", people=PEOPLE, things={"case": "k"}, properties=properties)
    world = stitched([[msgspec.structs.replace(one, channel=of_the_call)]])
    (mark,) = (mark for state in world.states.values() for mark in state.marks.get("replies", ()))
    assert mark.value.get("channel") == told


@pytest.mark.parametrize("status", ["delivered", "out_for_delivery"])
def test_two_statuses_are_facts_of_their_own(status: str) -> None:
    assert status in told_by("Shipment Scanned", {"parcel": "p"}, status=status)["parcel"]
    assert status in told_by("Shipment Scanned", {"order": "1"}, status=status)["order"]


def test_any_touchpoint_that_names_a_checkout_keeps_it_active() -> None:
    log = [
        touchpoint(1, event="Checkout Started", people=PEOPLE, things={"checkout": "c"}),
        touchpoint(2, event="Coupon Denied", people=PEOPLE, things={"checkout": "c"}, seconds=60),
    ]
    (checkout,) = stitched([log]).entities().values()
    assert checkout.state.facts["active"] == Fact(log[1].occurred_at, "m2")


def test_a_page_of_an_events_name_tells_nothing() -> None:
    page = touchpoint(1, type="page", event="Order Completed", people=PEOPLE, properties=EVERY_PROPERTY)
    assert all(name.startswith(PLACED) for s in stitched([[page]]).states.values() for name in s.facts)


def person_state(*traits: dict[str, Any], account: str | None = None) -> State:
    log = [
        touchpoint(n, type="identify", people={"user_id": "ann"}, traits=t, account=account, seconds=n)
        for n, t in enumerate(traits)
    ]
    (state,) = stitched([log]).states.values()
    return state


@pytest.mark.parametrize(
    ("traits", "name"),
    [
        ({"name": "Ann"}, "Ann"),
        ({"first_name": "Ann", "last_name": "Lee"}, "Ann Lee"),
        ({"firstName": "Ann", "lastName": "Lee"}, "Ann Lee"),
        ({"lastName": "Lee"}, "Lee"),
        ({"name": "", "firstName": "Ann"}, "Ann"),
        ({"name": ["Ann"]}, None),
        ({"email": "ann@example.com"}, None),
        ({"name": "x" * 999}, "x" * MAX_TEXT),
        ({"name": 7}, "7"),
    ],
)
def test_a_person_has_the_name_that_traits_tell(traits: dict[str, Any], name: str | None) -> None:
    assert person_state(traits).value("name") == name


@pytest.mark.parametrize(
    ("traits", "segments"),
    [
        ({"segments": ["vip", "new", "vip"]}, ["new", "vip"]),
        ({"segment": "vip"}, ["vip"]),
        ({"segments": []}, None),
        ({"segments": [{"a": 1}]}, ["None"]),
        ({"segments": [str(n) for n in range(99)]}, sorted(str(n) for n in range(MAX_SEGMENTS))),
    ],
)
def test_segments_are_a_bounded_sorted_set(traits: dict[str, Any], segments: list[str] | None) -> None:
    assert person_state(traits).value("segments") == segments


@pytest.mark.parametrize(
    ("traits", "told"),
    [
        ({"customer_type": "business"}, {"customer_type": "business"}),
        ({"switched_from": "Other Shop", "customer_type": ""}, {"switched_from": "Other Shop"}),
        ({"switched_from": ["Other Shop"], "company": "acme"}, {}),
        ({"switched_from": "x" * 999}, {"switched_from": "x" * MAX_TEXT}),
    ],
)
def test_what_kind_of_customer_it_is_is_told_by_traits(traits: dict[str, Any], told: dict[str, str]) -> None:
    state = person_state(traits)
    assert {name: state.value(name) for name in ("customer_type", "switched_from") if name in state.facts} == told


def test_every_redirect_is_kept_and_the_last_counts() -> None:
    log = [
        touchpoint(n, event="Shipment Redirected", things={"parcel": "p"}, seconds=n, properties={"to": to})
        for n, to in enumerate(("neighbour", "locker"))
    ]
    (parcel,) = stitched([log]).entities().values()
    assert parcel.state.value("redirected") == "locker"
    assert [mark.value for mark in parcel.state.marks["redirects"]] == [{"to": "neighbour"}, {"to": "locker"}]


def test_what_was_told_last_of_a_person_counts_and_accounts_add_up() -> None:
    state = person_state({"name": "Ann"}, {"name": "Bo"}, account="acme")
    assert state.value("name") == "Bo"
    assert {fact.value["account"] for fact in state.marks["accounts"]} == {"acme"}


@pytest.mark.parametrize("in_batches_of", [1, 7, 100])
def test_of_more_marks_than_are_kept_the_oldest_go(in_batches_of: int) -> None:
    log = [
        touchpoint(n, event="Payment Failed", things={"order": "1"}, seconds=n, properties={"code": str(n)})
        for n in range(MAX_MARKS + 5)
    ]
    batches = [log[n : n + in_batches_of] for n in range(0, len(log), in_batches_of)]
    (order,) = stitched(batches).entities().values()
    assert [mark.value["code"] for mark in order.state.marks["payments"]] == [str(n) for n in range(5, MAX_MARKS + 5)]


@pytest.mark.parametrize("in_batches_of", [1, 7, 100])
def test_of_what_comes_with_every_page_fewer_are_kept(in_batches_of: int) -> None:
    log = [
        touchpoint(
            n,
            event="Product Viewed",
            people={"user_id": "ann"},
            seconds=n,
            properties={"product_id": str(n), "price": 1},
        )
        for n in range(25)
    ]
    batches = [log[n : n + in_batches_of] for n in range(0, len(log), in_batches_of)]
    (views,) = (state.marks["views"] for state in stitched(batches).states.values())
    assert [mark.value["product_id"] for mark in views] == [str(n) for n in range(15, 25)]


@pytest.mark.parametrize(
    "told",
    ["0001-01-01T00:00:00Z", "tomorrow", 1769817600000, 1769817600, "", None, True, ["2026-01-09"], "9999-12-31"],
)
@pytest.mark.parametrize(
    ("event", "kind", "prop", "facts"),
    [
        ("Delivery Promised", "order", "promised_at", ("promised", "promised_first")),
        ("Order Completed", "order", "ship_by", ("ship_by",)),
        ("Shipment Scanned", "parcel", "estimated_at", ("estimated", "estimated_first")),
        ("Invoice Payment Failed", "invoice", "next_attempt_at", ("next_attempt",)),
    ],
)
def test_a_time_that_is_none_replaces_no_good_one(
    event: str, kind: str, prop: str, facts: tuple[str, ...], told: Any
) -> None:
    log = [
        touchpoint(n, event=event, things={kind: "1"}, seconds=n, properties={prop: value})
        for n, value in enumerate((told, "2026-01-05", told))
    ]
    (thing,) = stitched([log]).entities().values()
    assert {thing.state.value(name) for name in facts} == {"2026-01-05"}
    assert [mark.value for mark in thing.state.marks.get("promises", ())] == [{prop: "2026-01-05"}] * (
        kind == "order" and "promised" in facts
    )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_a_fact_keeps_scalars_only_and_short_ones(value: Any) -> None:
    kept = scalar(value)
    assert kept is None or isinstance(kept, str | int | float)
    assert not isinstance(kept, str) or len(kept) <= MAX_TEXT
    if not isinstance(value, list | str):
        assert kept is value


def test_every_fact_that_is_told_has_a_rule() -> None:
    for kinds in TELLS.values():
        for kind, names in kinds.items():
            assert kind in {*THING_KINDS, "person"}
            for name in names - MARKS:
                assert isinstance(rule_of(name), Rule)
