"""The sign-in link: good until it expires, for one token, and not to be forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.kit import signin

NOW = 1_700_000_000.0


def test_a_ticket_is_good_until_it_expires() -> None:
    ticket = signin.make_ticket("token", now_seconds=NOW, good_seconds=60)
    assert signin.is_good("token", ticket, now_seconds=NOW + 59.9)
    assert not signin.is_good("token", ticket, now_seconds=NOW + 60)
    assert not signin.is_good("another", ticket, now_seconds=NOW)


def test_its_expiry_cannot_be_moved() -> None:
    expiry, _dot, signature = signin.make_ticket("token", now_seconds=NOW).partition(".")
    assert not signin.is_good("token", f"{int(expiry) + 1}.{signature}", now_seconds=NOW)


@pytest.mark.parametrize("ticket", ["", ".", "1", "x.y", "9" * 13 + ".x", "\N{FULLWIDTH DIGIT NINE}.x", "-1.x", "1.ÿ"])
def test_nonsense_is_no_ticket(ticket: str) -> None:
    assert not signin.is_good("token", ticket, now_seconds=0)


@given(st.text(max_size=60))
def test_no_text_is_taken_for_one(ticket: str) -> None:
    assert not signin.is_good("token", ticket.encode("utf-8", "replace").decode(), now_seconds=NOW)


def test_the_link_leads_to_the_console() -> None:
    link = signin.link("127.0.0.1:8081", "token", now_seconds=NOW)
    assert link.startswith("http://127.0.0.1:8081/sign-in?ticket=")
    assert "token" not in link
