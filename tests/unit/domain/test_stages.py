from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.stages import MAX_STAGES, StageError, Stages
from tests.support.world import STAGES, touchpoint

SMALL = {
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
    ],
)
def test_a_file_that_cannot_be_used_is_told_where(data: Any, where: str) -> None:
    with pytest.raises(StageError) as error:
        Stages.from_builtins(data)
    assert where in str(error.value)
