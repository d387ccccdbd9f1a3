from __future__ import annotations

from typing import Any

import pytest

from pathline.domain.bonds import Bond, Pointer
from pathline.domain.erasing import Sought
from pathline.domain.identifiers import Identifier, name_id
from pathline.storage.erasing import without
from tests.support.world import START

SOUGHT = Sought(
    Identifier("default", kind, value)
    for kind, value in (("user_id", "42"), ("email", "ann@b.c"), ("phone", "+12025550101"), ("order", "1001"))
)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"userId": "42"}, True),
        ({"userId": 42}, True),
        ({"properties": {"price": 42, "count": "42"}}, False),
        ({"properties": {"order_id": "1001", "total": "9"}}, True),
        ({"properties": {"order_number": 1001}}, True),
        ({"properties": {"total": "1001"}}, False),
        ({"a": [{"b": " ANN@b.c "}]}, True),
        ({"a": "write to ann@b.c"}, False),
        ({"tel": "+1 (202) 555-0101"}, True),
        ({"tel": "+1 (202) 555-0102", "x": None, "y": True}, False),
        ("ann@b.c", True),
        ([], False),
    ],
)
def test_a_letter_tells_of_a_person_by_a_whole_value_and_of_an_id_by_its_field(body: Any, *, found: bool) -> None:
    assert SOUGHT.in_json(body) is found


@pytest.mark.parametrize(
    ("body", "found"), [(b"<x>ANN@b.c</x>", True), (b"\xff ann@b.c", True), (b"42 of 1001", False), (b"", False)]
)
def test_in_what_is_no_json_only_long_names_are_looked_for(body: bytes, *, found: bool) -> None:
    assert SOUGHT.in_bytes(body) is found


def test_the_next_best_steps_up_when_the_best_is_gone() -> None:
    ann, bob, cem = (name_id("default", "user_id", name) for name in ("ann", "bob", "cem"))
    best, second = (Bond((0, n), START, "shop", f"m{n}", target) for n, target in enumerate((ann, bob)))
    assert without(None, {ann}) is None
    assert without(Pointer(best, second), {ann}) == Pointer(second)
    assert without(Pointer(best, second), {bob}) == Pointer(best)
    assert without(Pointer(best, second), {ann, bob}) is None
    assert without(Pointer(best, second), {cem}) == Pointer(best, second)
