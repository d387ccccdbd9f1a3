"""Sessions and the names of people."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.domain.alerts import MAX_NAME
from services.console.sessions import DEFAULT_NAME, Sessions, clean_name, one_line

NOW = 1_000_000.0


@pytest.fixture
def sessions() -> Sessions:
    return Sessions("a-token-for-tests-only", seconds=60, https=False)


def test_a_session_is_read_back_until_it_is_over(sessions: Sessions) -> None:
    session = sessions.open("Uma", NOW)
    assert session.until == NOW + 60
    sealed = sessions.seal(session)
    assert sessions.read(sealed, NOW) == session == sessions.read(sealed, NOW + 59.9)
    assert sessions.read(sealed, NOW + 60) is None


def test_nothing_in_a_session_can_be_changed(sessions: Sessions) -> None:
    session = sessions.open("Uma", NOW)
    body, _dot, signature = sessions.seal(session).partition(".")
    other, _dot, _signature = sessions.seal(msgspec.structs.replace(session, name="Bob")).partition(".")
    assert sessions.read(f"{other}.{signature}", NOW) is None
    assert sessions.read(f"{body}.{sessions.csrf(session)}", NOW) is None


def test_another_name_keeps_the_session_and_its_forms(sessions: Sessions) -> None:
    session = sessions.open("Uma", NOW)
    renamed = sessions.rename(session, " Uma\n B. ")
    assert (renamed.name, renamed.until) == ("Uma B.", session.until)
    assert sessions.is_csrf(renamed, sessions.csrf(session))


def test_two_sessions_have_different_forms(sessions: Sessions) -> None:
    one, other = sessions.open("Uma", NOW), sessions.open("Uma", NOW)
    assert not sessions.is_csrf(one, sessions.csrf(other))


def test_the_cookie_demands_https_where_people_come_by_it() -> None:
    assert Sessions("t" * 20, seconds=1, https=True).cookie == "__Host-pathline"
    assert Sessions("t" * 20, seconds=1, https=False).cookie == "pathline"


@given(st.text())
def test_no_cookie_that_we_did_not_make_is_read(value: str) -> None:
    assert Sessions("a-token-for-tests-only", seconds=60, https=False).read(value, NOW) is None


@given(st.text())
def test_a_name_is_one_printable_line_and_never_empty(text: str) -> None:
    name = clean_name(text)
    assert 0 < len(name) <= MAX_NAME and name.isprintable() and name == clean_name(name).strip()
    assert one_line(one_line(text)) == one_line(text)


@pytest.mark.parametrize(("text", "name"), [("", DEFAULT_NAME), ("\0 \r\n", DEFAULT_NAME), ("a\u202eb", "a b")])
def test_what_cannot_be_printed_is_no_name(text: str, name: str) -> None:
    assert clean_name(text) == name
