from __future__ import annotations

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.identifiers import (
    MAX_VALUE_BYTES,
    NAMED,
    PERSON_KINDS,
    STRENGTH,
    THING_KINDS,
    Identifier,
    are_plain,
    name_id,
    person,
    thing,
    touchpoint_id,
    usable,
    usable_email,
    usable_phone,
)

REFUSED = [
    "anonymous", "guest", "null", "none", "nil", "undefined", "nan", "true", "false", "0", "-1", "0000", "0" * 50,
    "id", "not_authenticated", "email", "distinct_id", "[object Object]", "", " ", "\t\n",
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED)
def test_what_broken_integrations_send_is_refused_in_any_case_and_in_quotes(value: str) -> None:
    forms = [value, value.upper(), value.title(), f"  {value} ", f'"{value}"', f"'{value}'"]
    assert [usable(form) for form in forms] == [None] * len(forms)


@given(
    st.lists(
        st.sampled_from((*REFUSED, "ann", "Ann B", "00a", "0a", "10", "it's", '"x"', "e\u0301", "x" * 51, "a\0"))
        | st.text(max_size=60),
        max_size=4,
    )
)  # fmt: skip
def test_names_that_are_plain_are_used_as_they_are(values: list[str]) -> None:
    if are_plain(values):
        assert [usable(value) for value in values] == values


@pytest.mark.parametrize(
    "value", ["user-1", "0190a6b2-7c1d-7e3f-9a4b-1c2d3e4f5a6b", "00a", "ann@example.com", "x" * 50]
)
def test_usual_names_are_plain(value: str) -> None:
    assert are_plain([value, "ann", value])


@pytest.mark.parametrize("value", [*REFUSED, "GUEST", " ann", "ann b", "'ann'", "\u00e9", "a\0", "x" * 51])
def test_one_name_that_needs_a_look_says_no_for_all(value: str) -> None:
    assert not are_plain(["ann", value])
    assert not are_plain([value])


@pytest.mark.parametrize("value", [None, True, False, 0, 1.5, [], {}, b"42"])
def test_what_is_neither_text_nor_a_whole_number_is_refused(value: object) -> None:
    assert usable(value) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (42, "42"),
        (2**64, str(2**64)),
        ("  42 ", "42"),
        ("00042", "00042"),
        ("Ann", "Ann"),
        ("e\u0301", "\u00e9"),  # NFD and NFC are one name
        ("a\0b", "a\ufffdb"),
        ("a" * MAX_VALUE_BYTES, "a" * MAX_VALUE_BYTES),
        ("'; DROP TABLE person", "'; DROP TABLE person"),
    ],
)
def test_a_usable_value_has_one_spelling(value: object, name: str) -> None:
    assert usable(value) == name


@pytest.mark.parametrize("value", ["a" * (MAX_VALUE_BYTES + 1), "é" * (MAX_VALUE_BYTES // 2 + 1), 10**MAX_VALUE_BYTES])
def test_a_value_is_measured_in_bytes(value: object) -> None:
    assert usable(value) is None


@given(st.text() | st.integers())
def test_what_is_usable_can_be_stored_and_used_again(value: object) -> None:
    text = usable(value)
    if text is not None:
        assert text and "\0" not in text
        assert len(text.encode()) <= MAX_VALUE_BYTES
        assert unicodedata.is_normalized("NFC", text)
        assert usable(text) == text


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert usable("a\ud800b") == "a?b"


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("  a@b  ", "a@b"),
        ("STRASSE@x.de", "strasse@x.de"),
        ("@example.com", None),
        ("ann@", None),
        ("ann", None),
        ("email", None),
        (42, None),
    ],
)
def test_a_mailbox_is_case_folded(value: object, mailbox: str | None) -> None:
    assert usable_email(value) == mailbox


@pytest.mark.parametrize(
    ("value", "region", "number"),
    [
        ("+1 (202) 555-0101", None, "+12025550101"),
        ("(202) 555-0101", "US", "+12025550101"),
        ("(202) 555-0101", "us", "+12025550101"),
        ("030 901820", "DE", "+4930901820"),
        ("+4930901820", "US", "+4930901820"),
        ("(202) 555-0101", None, "2025550101"),
        ("(202) 555-0101", "XX", "2025550101"),
        (2025550101, None, "2025550101"),
        ("1234", None, None),
        ("ext.", "DE", None),
        ("00000", None, None),
    ],
)
def test_a_telephone_number_is_put_into_e164_where_its_region_is_known(
    value: object, region: str | None, number: str | None
) -> None:
    assert usable_phone(value, region) == number


def test_a_name_is_normalised_for_its_kind() -> None:
    assert person("shop", "email", "A@B.c") == Identifier("shop", "email", "a@b.c")
    assert person("shop", "phone", "030 901820", "DE") == Identifier("shop", "phone", "+4930901820")
    assert person("shop", "user_id", "A@B.c") == Identifier("shop", "user_id", "A@B.c")
    assert person("shop", "user_id", "null") is None
    assert thing("shop", "order", 1001) == Identifier("shop", "order", "1001")
    assert thing("shop", "order", "undefined") is None


names = st.tuples(
    st.sampled_from(("default", "other")), st.sampled_from((*PERSON_KINDS, *THING_KINDS)), st.text(max_size=9)
)


@given(st.lists(names, unique=True))
def test_different_names_have_different_ids_and_equal_ones_the_same(listed: list[tuple[str, str, str]]) -> None:
    ids = [name_id(*name) for name in listed]
    assert len(set(ids)) == len(listed)
    assert ids == [Identifier(*name).id for name in listed]


def test_ids_are_the_same_in_every_process_and_release() -> None:
    assert name_id("default", "user_id", "ann") == UUID("e4daa135-63be-e56c-c5ab-e0191765c722")
    assert touchpoint_id("shop", "m1") == UUID("52564976-2de4-2b43-9709-5c6d90eb5c9c")


def test_message_ids_are_unique_within_a_source_only() -> None:
    assert touchpoint_id("shop", "m") != touchpoint_id("courier", "m")
    assert touchpoint_id("a", "bc") != touchpoint_id("ab", "c")


def test_strengths_go_from_the_user_id_to_the_device() -> None:
    assert sorted(PERSON_KINDS, key=lambda kind: STRENGTH[kind]) == list(PERSON_KINDS)
    assert set(PERSON_KINDS[:3]) == NAMED
