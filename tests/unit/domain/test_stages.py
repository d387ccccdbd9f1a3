from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.stages import MAX_ACTIONS, MAX_STAGES, StageError, Stages
from tests.support.world import STAGES, touchpoint

SMALL: dict[str, Any] = {
    "stages": [
        {"name": "look", "enter": [{"event": ["Product Viewed"]}, {"type": ["page", "screen"]}]},
        {"name": "buy", "enter": [{"event": ["Order Completed", "Product Viewed"]}]},
        {"name": "wait", "enter": [{"event": ["Shipment Scanned"], "where": {"status": ["in_transit", "delayed"]}}]},
        {"name": "shop", "enter": [{"channel": ["web"], "type": ["identify"]}]},
    ],
    "moments_of_truth": [{"event": ["Order Completed"]}, {"event": ["Score"], "where": {"score": ["1", "2"]}}],
}


@pytest.mark.parametrize(
    ("parts", "stage", "moment"),
    [
        ({"event": "Product Viewed"}, "look", False),  # of two stages that it could enter the first counts
        ({"event": "Order Completed", "things": {"order": "1"}}, "buy", True),
        ({"type": "page"}, "look", False),
        ({"type": "identify"}, "shop", False),
        ({"event": "Something Else"}, None, False),
        ({"event": "Shipment Scanned", "properties": {"status": "delayed"}}, "wait", False),
        ({"event": "Shipment Scanned", "properties": {"status": "delivered"}}, None, False),
        ({"event": "Shipment Scanned"}, None, False),
        ({"event": "Score", "properties": {"score": 1}}, None, True),  # values are compared as text
        ({"event": "Score", "properties": {"score": 3}}, None, False),
    ],
)
def test_a_touchpoint_enters_the_first_stage_of_which_a_condition_holds(
    parts: dict[str, Any], stage: str | None, *, moment: bool
) -> None:
    one = touchpoint(1, people={"user_id": "ann"}, **parts)
    assert Stages.from_builtins(SMALL).place(one) == (stage, moment)


def test_a_page_is_not_taken_for_the_event_of_its_name() -> None:
    page = touchpoint(1, type="page", event="Order Completed", people={"user_id": "ann"})
    assert Stages.from_builtins(SMALL).place(page) == ("look", False)


def test_names_keep_the_order_of_the_file() -> None:
    assert Stages.from_builtins(SMALL).names == ("look", "buy", "wait", "shop")


def test_the_stages_that_come_with_pathline_are_those_of_the_literature() -> None:
    assert STAGES.names == ("awareness", "engagement", "transaction", "fulfilment", "retention")


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (True, True),
        ("true", True),
        (1, True),
        (1.5, True),
        (False, False),
        (None, False),
        ("True", False),
        ([1], False),
    ],
)
def test_a_value_is_compared_as_a_file_writes_it(value: Any, *, holds: bool) -> None:
    stages = Stages.from_builtins(
        {"stages": [{"name": "a", "enter": [{"event": ["Asked"], "where": {"it": ["true", "1", "1.5", "None"]}}]}]}
    )
    one = touchpoint(1, event="Asked", people={"user_id": "ann"}, properties={"it": value})
    assert (stages.place(one)[0] == "a") is holds


WANTED: dict[str, Any] = {
    "stages": [
        {
            "name": "buy",
            "enter": [{"event": ["Checkout Started"]}],
            "actions": [
                {"name": "order placed", "done": [{"event": ["Order Completed"]}]},
                {
                    "name": "paid by card",
                    "done": [{"event": ["Order Completed"], "where": {"payment_method": ["card"]}}],
                },
                {"name": "signed in", "done": [{"type": ["identify"]}, {"event": ["Signed In"]}]},
            ],
        },
        {"name": "use", "enter": [], "actions": [{"name": "reordered", "done": [{"event": ["Order Completed"]}]}]},
    ]
}


@pytest.mark.parametrize(
    ("parts", "done"),
    [
        ({"event": "Order Completed"}, {"order placed", "reordered"}),
        (
            {"event": "Order Completed", "properties": {"payment_method": "card"}},
            {"order placed", "paid by card", "reordered"},
        ),
        ({"type": "identify"}, {"signed in"}),
        ({"event": "Signed In"}, {"signed in"}),
        ({"event": "Checkout Started"}, set()),
    ],
)
def test_a_touchpoint_completes_every_action_of_which_a_condition_holds(parts: dict[str, Any], done: set[str]) -> None:
    stages = Stages.from_builtins(WANTED)
    assert set(stages.completed(touchpoint(1, people={"user_id": "ann"}, **parts))) == done
    assert stages.actions == {"buy": ("order placed", "paid by card", "signed in"), "use": ("reordered",)}


def changed(**parts: Any) -> str:
    return Stages.from_builtins({**SMALL, **parts}).identity


def test_the_identity_of_a_file_goes_by_what_it_does() -> None:
    same = changed()
    assert len(same) == 32 and int(same, 16)
    look, buy, wait, shop = SMALL["stages"]
    events = {"name": "buy", "enter": [{"event": ["Product Viewed", "Order Completed", "Order Completed"]}]}
    turned = {"name": "look", "enter": [look["enter"][1], look["enter"][0]]}
    explicit = {"name": "shop", "enter": [{**shop["enter"][0], "where": {}, "event": []}], "actions": []}
    for written in ([turned, buy, wait, shop], [look, events, wait, shop], [look, buy, wait, explicit]):
        assert changed(stages=written) == same
    assert changed(moments_of_truth=list(reversed(SMALL["moments_of_truth"]))) == same


def test_the_identity_of_a_file_changes_with_what_it_does() -> None:
    look, buy, wait, shop = SMALL["stages"]
    wanted = {**shop, "actions": [{"name": "order placed", "done": [{"event": ["Order Completed"]}]}]}
    renamed = {**wanted, "actions": [{**wanted["actions"][0], "name": "bought"}]}
    other_action = {**wanted, "actions": [{**wanted["actions"][0], "done": [{"event": ["Order Updated"]}]}]}
    other_value = {**wait, "enter": [{"event": ["Shipment Scanned"], "where": {"status": ["in_transit"]}}]}
    identities = [
        changed(),
        changed(stages=[buy, look, wait, shop]),
        changed(stages=[look, buy, wait]),
        changed(stages=[look, buy, other_value, shop]),
        changed(stages=[look, buy, wait, {**shop, "name": "Shop"}]),
        *(changed(stages=[look, buy, wait, one]) for one in (wanted, renamed, other_action)),
        changed(moments_of_truth=[]),
    ]
    assert len(set(identities)) == len(identities)


def test_the_identity_of_a_file_is_the_same_in_every_version() -> None:
    # A version that gave another would have every journey rebuilt for nothing.
    assert changed() == "5039fe42663283b7119b0793eb54f363"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (None, "Expected `object`"),
        ({}, "missing required field `stages`"),
        ({"stages": []}, "1 to"),
        ({"stages": [{"name": "a", "enter": []}, {"name": "a", "enter": []}]}, "different names"),
        ({"stages": [{"name": str(n), "enter": []} for n in range(MAX_STAGES + 1)]}, "1 to"),
        ({"stages": [{"name": 1, "enter": []}]}, "$.stages[0].name"),
        ({"stages": [{"name": "a", "enter": [{"events": ["x"]}]}]}, "$.stages[0].enter[0]"),
        ({"stages": [{"name": "a", "enter": [{"event": "x"}]}]}, "$.stages[0].enter[0].event"),
        ({"stages": [{"name": "a", "enter": [{"where": {"status": [1]}}]}]}, "$.stages[0].enter[0].where"),
        ({"stages": [{"name": "a"}]}, "$.stages[0]"),
        ({"stages": [{"name": "a", "enter": []}], "moments": []}, "moments"),
        ({"stages": [{"name": "a", "enter": [], "actions": [{"name": "b", "done": []}] * 2}]}, "different names"),
        (
            {
                "stages": [
                    {
                        "name": "a",
                        "enter": [],
                        "actions": [{"name": str(n), "done": []} for n in range(MAX_ACTIONS + 1)],
                    }
                ]
            },
            f"at most {MAX_ACTIONS} actions",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_where(data: Any, where: str) -> None:
    with pytest.raises(StageError) as error:
        Stages.from_builtins(data)
    assert where in str(error.value)


def test_what_is_read_for_actions_is_no_more_than_their_conditions_name() -> None:
    def stages(*done: dict[str, Any]) -> Stages:
        return Stages.from_builtins(
            {"stages": [{"name": "a", "enter": [], "actions": [{"name": "b", "done": list(done)}] if done else []}]}
        )

    assert stages().acted_on == ((), ())
    where = {"where": {"status": ["delivered"]}}
    assert stages({"event": ["B", "A"]}, {"event": ["C"], **where}).acted_on == (("A", "B", "C"), ("C",))
    assert stages({"type": ["page"]}, {"event": ["C"], **where}).acted_on == (None, ("C",))
    assert stages({"event": ["C"]}, where).acted_on == (None, None)
