"""RudderStack's merge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.dialects import merge
from tests.support.translating import asked, only, taken, touchpoint, values


def merged(*pairs: tuple[Any, Any], **more: Any) -> Any:
    body = {"type": "merge", **more, "mergeProperties": [{"type": kind, "value": value} for kind, value in pairs]}
    return merge.translate(asked(body))


def test_two_users_are_an_alias() -> None:
    call = only(merged(("user_id", "a"), ("userId", "b"), messageId="m", writeKey="k", anonymousId="x"))
    assert call == {"type": "alias", "userId": "a", "previousId": "b", "messageId": "m"}
    assert only(merged(("user_id", "a"), ("user_id", "b"), userId="b")) == {
        "type": "alias",
        "userId": "b",
        "previousId": "a",
    }
    assert merged(("user_id", "a"), ("user_id", "b"), writeKey="k").key == "k"
    assert taken(merged(("user_id", "a"), ("user_id", "b")), trusted=False) == ["needs_server_key"]


def test_a_visitor_and_a_user_are_an_alias_in_either_order() -> None:
    for pairs in ((("anonymous_id", "v"), ("user_id", "a")), (("user_id", "a"), ("anonymousId", "v"))):
        assert only(merged(*pairs, userId="other")) == {"type": "alias", "userId": "a", "previousId": "v"}


def test_mailboxes_and_telephones_are_traits() -> None:
    # RudderStack's own example.
    found = touchpoint(merged(("email", "alex@example.com"), ("mobile", "+1-202-555-0146"), userId="1hKOmRA4GRlm"))
    assert found.type == "identify"
    assert [(one.kind, one.value) for one in found.people] == [
        ("user_id", "1hKOmRA4GRlm"), ("email", "alex@example.com"), ("phone", "+12025550146"),
    ]  # fmt: skip
    assert only(merged(("email", "a@b.de"), ("user_id", "a"))) == {
        "type": "identify",
        "userId": "a",
        "traits": {"email": "a@b.de"},
    }
    assert only(merged(("anonymous_id", "v"), ("phone", "12345")))["anonymousId"] == "v"


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("user_id", "a"),),
        (("user_id", "a"), ("user_id", "b"), ("user_id", "c")),
        (("user_id", "a"), ("loyalty_card", "b")),
        (("user_id", "null"), ("user_id", "b")),
        (("user_id", "a"), ("user_id", {})),
        (("email", "a@b.de"), ("email", "c@d.de")),
        (("anonymous_id", "a"), ("anonymous_id", "b")),
        ((5, "a"), ("user_id", "b")),
    ],
)
def test_what_is_no_pair_is_refused(pairs: tuple[tuple[Any, Any], ...]) -> None:
    assert taken(merged(*pairs, userId="me")) == ["bad_merge"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{}", "bad_merge"),
        (b"[]", "bad_merge"),
        (b'{"mergeProperties":"\xff"}', "invalid_utf8"),
    ],
)
def test_a_body_that_is_no_merge_is_refused(body: bytes, code: str) -> None:
    assert taken(merge.translate(asked(body))) == [code]


kinds = st.sampled_from(["user_id", "userId", "anonymous_id", "email", "mobile", "phone", "x"]) | values
pair = st.fixed_dictionaries({"type": kinds, "value": values | st.sampled_from(["ann", "a@b.de", "12345"])})


@settings(max_examples=100, deadline=None)
@given(st.lists(pair, max_size=3) | values, values, st.binary(max_size=30))
def test_anything_is_translated_or_refused(pairs: Any, own: Any, raw: bytes) -> None:
    body = json.dumps({"mergeProperties": pairs, "userId": own, "writeKey": own, "context": own}).encode()
    assert len(taken(merge.translate(asked(body)))) == 1
    assert len(taken(merge.translate(asked(raw)))) == 1
    assert len(taken(merge.translate(asked(body[:-1] + b',"' + raw + b'":1}')))) == 1
