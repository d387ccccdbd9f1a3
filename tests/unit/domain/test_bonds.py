from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain import bonds
from pathline.domain.bonds import Bond, Pointer
from pathline.domain.identifiers import Identifier
from tests.support.world import START, touchpoint

ids = st.integers(min_value=0, max_value=3).map(lambda n: UUID(int=n))
proposals = st.builds(
    Bond,
    rank=st.tuples(st.integers(min_value=0, max_value=2), st.integers(min_value=0, max_value=1)),
    at=st.integers(min_value=0, max_value=3).map(lambda s: START + timedelta(seconds=s)),
    source=st.sampled_from(("shop", "courier")),
    message_id=st.sampled_from("ab"),
    target=ids,
)


def kept(listed: list[Bond]) -> Pointer | None:
    return reduce(bonds.keep, listed, None)


@given(st.lists(proposals, min_size=1))
def test_the_best_is_the_least_and_the_next_best_the_least_with_another_parent(listed: list[Bond]) -> None:
    pointer = kept(listed)
    assert pointer is not None
    assert pointer.best == min(listed)
    others = [bond for bond in listed if bond.target != pointer.best.target]
    assert pointer.runner_up == min(others, default=None)


@given(st.lists(proposals, min_size=1), st.lists(proposals, min_size=1))
def test_pointers_merge_to_what_all_proposals_together_give(some: list[Bond], others: list[Bond]) -> None:
    a, b = kept(some), kept(others)
    assert a is not None and b is not None
    assert bonds.merge(a, b) == bonds.merge(b, a) == kept([*some, *others])
    assert bonds.merge(a, a) == bonds.merge(None, a) == a


@given(st.lists(proposals, min_size=1), proposals)
def test_a_pointer_knows_whether_a_proposal_would_change_it(listed: list[Bond], more: Bond) -> None:
    pointer = kept(listed)
    assert pointer is not None
    assert pointer.beaten_by(more) is (bonds.keep(pointer, more) != pointer)


def parent(kind: str, **parts: Any) -> Bond:
    return bonds.parent_bond(touchpoint(1, people={kind: "x@y"}, **parts), Identifier("default", kind, "x@y"))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (parent("user_id", seconds=9, trusted=False), parent("email")),  # strength outranks all
        (parent("user_id", seconds=9), parent("user_id", trusted=False)),  # a server outranks a browser
        (parent("email"), parent("email", seconds=1)),  # the earlier outranks the later
        (parent("email", source="a"), parent("email", source="b")),
    ],
)
def test_which_of_two_parents_is_kept(better: Bond, worse: Bond) -> None:
    assert better < worse


def claim(event: str, kind: str, person: str = "user_id", **parts: Any) -> Bond:
    things = {kind: "t"}
    made = touchpoint(1, event=event, people={person: "x@y"}, things=things, **parts)
    return bonds.claim(made, made.things[0], made.people[0])


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        # The act that makes the thing outranks all; a browser can make one, which the docs own up to.
        (
            claim("Order Completed", "order", "anonymous_id", trusted=False, seconds=9),
            claim("Return Requested", "order"),
        ),
        (
            claim("Return Requested", "order", "anonymous_id", seconds=9),
            claim("Return Requested", "order", trusted=False),
        ),
        (claim("Return Requested", "order", "email", seconds=9), claim("Return Requested", "order", "anonymous_id")),
        (claim("Return Requested", "order", "email"), claim("Return Requested", "order", "user_id", seconds=1)),
    ],
)
def test_which_of_two_claims_owns_a_thing(better: Bond, worse: Bond) -> None:
    assert better < worse


@pytest.mark.parametrize(
    ("event", "kind", "makes"),
    [
        ("Order Completed", "order", True),
        ("Order Completed", "checkout", False),
        ("Checkout Started", "checkout", True),
        ("Contact Opened", "case", True),
        ("Contact Opened", "order", False),
        ("Survey Answered", "case", False),
    ],
)
def test_the_act_that_makes_a_thing_is_known(event: str, kind: str, *, makes: bool) -> None:
    assert bonds.makes_the_thing(claim(event, kind)) is makes


def test_a_server_outranks_a_browser_about_the_order_of_a_thing_and_then_the_earlier_counts() -> None:
    def told(**parts: Any) -> Bond:
        one = touchpoint(1, event="Shipment Created", things={"parcel": "p", "order": "1"}, **parts)
        return bonds.order_bond(one, Identifier("default", "order", "1"))

    assert told(seconds=9) < told(trusted=False)
    assert told() < told(seconds=1)
