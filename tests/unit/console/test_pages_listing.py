"""Which list the page shows on which somebody acts."""

from __future__ import annotations

import pytest

from services.console.pages.listing import Filter, shown_in


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("http://console.example/", Filter("Ann")),
        ("http://console.example/?view=mine&severity=high&detector=x", Filter("Ann", "mine", "high", "x")),
        ("http://console.example/customers/1", None),
        ("http://console.example/?view=none", None),
        ("http://[console/", None),
        (f"http://console.example/?{'&'.join('abcdefghijklmnopqrstuvwxyz')}&{'x=1&' * 30}", None),
        ("", None),
    ],
)
def test_the_list_is_that_of_the_address_and_none_where_it_is_no_inbox(address: str, wanted: Filter | None) -> None:
    assert shown_in(address, "Ann") == wanted
