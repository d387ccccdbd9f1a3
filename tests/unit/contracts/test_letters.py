"""The record of a dead letter: what it says comes back, and whatever else lies on the topic can be kept."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.contracts import letters
from pathline.contracts.letters import Around, Letter, around_of, decode, encode, headers_from_json, headers_to_json

TOPIC = "p.dead-letters.v1"
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
LETTER = Letter(
    stage="stitcher",
    code="no_subject",
    message="it names nobody",
    topic="p.touchpoints.v1",
    partition=3,
    offset=71,
    source="shop",
    key=b"k",
    value=b"v\xff",
    headers=(TRACE,),
)

header = st.tuples(
    st.one_of(st.text(max_size=9), st.sampled_from(sorted(letters._OURS))),
    st.one_of(
        st.none(), st.binary(max_size=30), st.sampled_from([b"5", b"-1", b"9" * 30, b"2026-01-01", b"collector"])
    ),
)


def test_a_letter_has_the_headers_that_kafka_connect_gives_it_after_its_own() -> None:
    assert encode(LETTER) == [
        TRACE,
        ("__connect.errors.topic", b"p.touchpoints.v1"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"71"),
        ("__connect.errors.stage", b"stitcher"),
        ("__connect.errors.exception.class.name", b"no_subject"),
        ("__connect.errors.exception.message", b"it names nobody"),
        ("pathline.source", b"shop"),
    ]


def test_it_comes_back_as_it_was() -> None:
    whole = Letter(
        stage="collector", code="no_subject", message="", topic="p.touchpoints.v1", source="shop", namespace="uk",
        received_at=datetime(2026, 11, 24, 9, 30, 1, 5, tzinfo=UTC), size=70_000, value=b"{}", headers=(TRACE,),
    )  # fmt: skip
    for letter in (LETTER, whole):
        assert decode(TOPIC, letter.key, letter.value, encode(letter)) == letter


def test_a_letter_that_becomes_one_again_keeps_what_was_said_of_it_before() -> None:
    first = encode(LETTER)
    again = Letter(
        stage="scorer", code="unreadable_record", message="m", topic="t", partition=0, offset=1, headers=first
    )
    read = decode(TOPIC, None, b"", encode(again))
    assert (read.stage, read.offset, list(read.headers)) == ("scorer", 1, first)


def test_who_found_it_is_kept_as_it_was_said_though_only_a_newer_version_knows_them() -> None:
    newer = msgspec.structs.replace(LETTER, stage="reader")
    assert decode(TOPIC, newer.key, newer.value, encode(newer)) == newer


def test_what_does_not_say_where_it_lies_lies_nowhere_else() -> None:
    somewhere = (letters.TOPIC, b"t")
    partition, far = (letters.PARTITION, b"1"), (letters.OFFSET, b"9" * 19)
    for told in ([], [partition, (letters.OFFSET, b"1")], [somewhere, partition], [somewhere, partition, far]):
        read = decode(TOPIC, None, b"x", told)
        assert (read.partition, read.offset, read.stage, read.code) == (None, None, "unknown", "unexplained")


@given(st.lists(header, max_size=14), st.none() | st.binary(max_size=20))
def test_whatever_lies_on_the_topic_is_read_and_can_be_written_to_postgresql(
    told: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    letter = decode(TOPIC, None, value, told)
    texts = (letter.stage, letter.code, letter.message, letter.topic, letter.source or "", letter.namespace or "")
    for text in texts:
        assert "\0" not in text and len(text) <= letters.TEXT_MAX and text.encode() is not None
    assert letter.stage
    assert (letter.partition is None) == (letter.offset is None)
    assert (letter.partition or 0) < 2**31 and (letter.offset or 0) < 2**63 and (letter.size or 0) < 2**63
    assert letter.value == value
    assert "\\u0000" not in headers_to_json(letter.headers)


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.none() | st.binary())))
def test_headers_in_the_table_lose_nothing(told: list[tuple[str, bytes | None]]) -> None:
    assert headers_from_json(headers_to_json(told)) == told


def test_text_in_headers_is_kept_as_text() -> None:
    assert headers_to_json([TRACE, ("b", b"\xff"), ("n", None)]) == (
        f'[["traceparent","{TRACE[1].decode()}"],["b",{{"base64":"/w=="}}],["n",null]]'
    )


def test_what_stood_around_a_call_goes_with_it() -> None:
    around = Around(
        "track", "2026-11-24T09:30:00Z", historical=True, context=b'{"locale":"de-DE"}', privacy_signal=True
    )
    assert around_of(around.to_headers()) == around
    assert letters.others([TRACE, *around.to_headers()]) == [TRACE]
    assert around_of(Around().to_headers()) == Around()
    without = Around("track", context_size=70_000)
    assert around_of(without.to_headers()) == without
    assert Around().to_headers() == []


@pytest.mark.parametrize("said", [b"", b"-1", b"many", None])
def test_a_context_that_is_not_there_is_not_there_whatever_its_size_is_said_to_be(said: bytes | None) -> None:
    assert around_of([(letters.CONTEXT_SIZE, said)]).context_size == 0


def test_headers_that_somebody_wrote_into_the_table_by_hand_are_no_fault() -> None:
    assert headers_from_json('[["a",{"base64":"\u00e9"}],["b",{"base64":"x"}],["c",{}]]') == [
        ("a", b""),
        ("b", b""),
        ("c", b""),
    ]
