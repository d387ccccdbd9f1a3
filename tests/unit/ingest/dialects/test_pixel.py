"""Pixels: the examples of Segment's and RudderStack's documentation."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.answers import ALL_STORED, refuse
from services.ingest.codes import CODES, Refused
from services.ingest.dialects import Translated, pixel, wire
from tests.support.translating import asked, only, taken, touchpoint, values

OPENED = {
    "writeKey": "YOUR_WRITE_KEY",
    "userId": "user_123",
    "event": "Email Opened",
    "properties": {"subject": "The Electric Daily", "email": "jane.kim@example.com"},
}


def got(query: str, path: str = "/v1/pixel/track") -> Any:
    return pixel.translate(asked(method="GET", path=path, query=query), new_id=lambda: "new")


def test_segment_s_example_in_base64_and_without() -> None:
    data = base64.b64encode(json.dumps(OPENED).encode()).decode()
    for query in (f"data={quote(data)}", f"data={data.rstrip('=')}", "data=" + quote(json.dumps(OPENED))):
        translated = got(query)
        assert translated.key == "YOUR_WRITE_KEY"
        call = only(translated)
        assert call == {**{k: v for k, v in OPENED.items() if k != "writeKey"}, "type": "track", "messageId": "new"}
    found = touchpoint(got(f"data={quote(data)}"))
    assert (found.event, found.channel) == ("Email Opened", "email")


def test_fields_with_dotted_names_are_objects() -> None:
    query = "writeKey=k&anonymousId=a1&name=Home&context.page.url=https%3A%2F%2Fa.de%2F&context.page.title=T&properties.path=%2F"
    translated = got(query, "/pixel/v1/page")
    assert translated.key == "k"
    assert only(translated) == {
        "type": "page", "anonymousId": "a1", "name": "Home", "messageId": "new",
        "context": {"page": {"url": "https://a.de/", "title": "T"}}, "properties": {"path": "/"},
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["identify", "group", "alias", "page", "screen", "track"])
def test_the_address_says_the_type(kind: str) -> None:
    query = "userId=ann&event=Bought&groupId=acme&previousId=old&type=nonsense&traits.email=a%40b.de"
    assert touchpoint(got(query, f"/v1/pixel/{kind}")).type == kind


def test_each_showing_is_a_touchpoint_unless_it_has_an_id() -> None:
    ids = [only(pixel.PIXEL.translate(asked(path="/v1/pixel/page", query="userId=ann")))["messageId"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert only(got("userId=ann&messageId=mine"))["messageId"] == "mine"
    assert only(got("userId=ann&messageId="))["messageId"] == "new"
    assert only(got('data={"userId":"ann","messageId":null}'))["messageId"] == "new"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("data=%25", "bad_base64"),
        ("data=bm8%3D", "invalid_json"),
        ("data=W10%3D", "not_an_object"),
        ("data={%22a%22", "invalid_json"),
        ("data=_w%3D%3D", "invalid_utf8"),
        ("a=1&a.b=2", "bad_query"),
        ("a.b=2&a=1", "bad_query"),
        (".".join("a" * 9) + "=1", "bad_query"),
        ("&".join(f"a{n}=1" for n in range(501)), "bad_query"),
        ("a=%FF", "invalid_utf8"),
        ("userId=ann%00&event=x", "bad_character"),
        ("", "missing_event"),
        ("event=x", "no_subject"),
        ("userId=ann&event=Order+Completed", "missing_property"),
        ("userId=ann&event=x&properties=5", "bad_properties"),
    ],
)
def test_what_is_wrong_has_a_code(query: str, code: str) -> None:
    assert taken(got(query)) == [code]


def test_the_answer_is_a_picture_with_the_true_status() -> None:
    assert len(wire.GIF) == 43
    assert wire.GIF.startswith(b"GIF89a\x01\x00\x01\x00")
    shown = wire.show_picture(ALL_STORED, asked())
    assert (shown.status, shown.content) == (200, wire.GIF)
    assert dict(shown.headers)[b"cache-control"] == b"no-store"
    for code in CODES:
        answer = refuse(Refused(code, ""))
        shown = wire.show_picture(answer, asked())
        assert (shown.status, shown.content, dict(shown.headers)[b"x-pathline-code"]) == (
            answer.status,
            wire.GIF,
            code.encode(),
        )


fields = st.dictionaries(
    st.sampled_from(["userId", "event", "properties.total", "properties", "context.page.url", "context", "data", "messageId", "writeKey"])
    | st.text(max_size=6),
    st.text(max_size=10),
    max_size=6,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(query=st.binary(max_size=60), named=fields, sent=values, raw=st.binary(max_size=30))
def test_any_query_is_translated_or_refused(query: bytes, named: dict[str, str], sent: Any, raw: bytes) -> None:
    whole = base64.urlsafe_b64encode(
        json.dumps({"userId": sent, "messageId": sent, "writeKey": sent}).encode()
    ).decode()
    for one in (query, urlencode(named).encode(), f"data={whole}".encode(), b"data=" + base64.b64encode(raw)):
        asked_for = asked(method="GET", path="/v1/pixel/track")._replace(query=one)
        translated = pixel.translate(asked_for, new_id=lambda: "new")
        assert isinstance(translated, Translated | Refused)
        taken(translated)
